"""The pipeline from end to end: list, judge, match, prepare, compare, pack, publish.

It hands out `run.ingest` and `run.dry_run`; the steps over all buckets are in `global_steps`.

Imports: the vocabulary, audio, licences, storage, execution, fetch, matching, rights, screening, stages,
dataset, revision.
"""
