"""What lies on disk or in an object store: the only package that opens paths of a dataset.

It hands out `Storage` (local folder or fsspec URL, everything by temporary file, fsync and rename), tables of
records as Parquet, stored JSON as checked values, shards and their members, evidence under a Merkle root,
series of shards, and CSV as strangers write it. What is read back is checked against the record it should be.

Imports: the vocabulary.
"""
