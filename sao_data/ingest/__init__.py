"""The pipeline from end to end: list, judge, match, prepare, compare, pack, publish.

It hands out `run.ingest` and `run.dry_run`; the steps over all buckets are in `global_steps`.

Imports: audio, dataset, execution, fetch, licences, matching, revision, rights, screening, sources, stages,
storage, the vocabulary.
"""
