"""Captioners, one file each: audio into words about it, made by a machine and marked as such.

A captioner's dotted path stands in manifests; its weights are the user's. None is asked unless a manifest
has the table `[captioner]`.

Imports: the vocabulary, embedders.
"""
