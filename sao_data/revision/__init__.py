"""A published dataset changed in place, or asked about again.

Take-down and other credits (a journal, then shard by shard, each step seeing whether it was done), and
asking the sources again without changing anything.

Imports: attribution, dataset, licences, matching, rights, screening, sources, stages, storage,
the vocabulary.
"""
