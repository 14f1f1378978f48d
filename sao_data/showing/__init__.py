"""Datasets shown and handed on: where a sample in a shard comes from, a difference as a page.

It hands out `provenance` (what a shard says of itself, and what its dataset says of it) and `diff_page`.

Imports: attribution, dataset, storage, the vocabulary.
"""
