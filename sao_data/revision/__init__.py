"""A published dataset changed in place, or asked about again.

Take-down and other credits (a journal, then shard by shard, each step seeing whether it was done), and
asking the sources again without changing anything.

Imports: the vocabulary, audio, licences, storage, sources, matching, rights, screening, attribution,
stages, dataset.
"""
