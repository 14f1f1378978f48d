"""A published dataset: writing it, reading it, checking it, comparing it, reporting on it.

It hands out `Dataset` (`reader.open_dataset`), `verify`, `explain`, `diff`, `publish` and the declared
release.

Imports: the vocabulary, audio, licences, storage, matching, rights, screening, attribution, stages.
"""
