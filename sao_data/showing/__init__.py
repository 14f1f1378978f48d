"""Datasets shown and handed on: where a sample in a shard comes from, a difference as a page, a part
of it to look at and listen to.

It hands out `provenance` (what a shard says of itself, and what its dataset says of it), `diff_page`,
`browsing` and `browse_page`.

Imports: attribution, audio, dataset, licences, stages, storage, the vocabulary.
"""
