"""Entry points: the `sao` command, what command lines share, how a command ends, progress.

Each verb is one file in `verbs/`, found through the entry points `sao.verbs`.

Imports: the vocabulary, audio, licences, storage, execution, fetch, sources, rights, attribution,
dataset, loading, latents, revision, showing, ingest.
"""
