"""What people asked for and answered, and what is remembered for them.

Answers to questions (`reviews`), take-downs, credits, audio once held, what a source says otherwise than
it did, and what files' own tags say against their sources.

Imports: the vocabulary, audio, licences, storage.
"""
