"""Embedders and taggers, one file each: audio into numbers that say what is heard in it.

An embedder's dotted path stands in manifests; its weights are the user's.

Imports: the vocabulary.
"""
