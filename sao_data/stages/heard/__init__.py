"""Stages that listen to what curation kept, by models whose weights are the user's.

Imports: the vocabulary, captioners, captions, storage, its neighbours.
"""
