"""One file a stage: rows of one kind into rows of the next, bucket by bucket, kept or rejected with a
reason.

`base` is the machinery (a part's name is a digest of all it follows from); the others are the stages in
the order of the records, the transferred originals, and what is reused of earlier parts.

Imports: the vocabulary, audio, licences, storage, captions, fetch, matching, rights, screening, attribution.
"""
