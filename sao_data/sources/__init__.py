"""One public file a source; what several share, or a long one is made of, lies in private packages beside
them.

A source lists what it offers (`offers`), opens a file (`open`) and, where it is remote, transfers it.
Its dotted path stands in manifests, so a public file here stays where it is.

Imports: the vocabulary, audio, licences, storage, fetch.
"""
