"""Filters, one file each: a clip is kept, or rejected with a reason and the measured value.

A filter's dotted path stands in manifests.

Imports: the vocabulary.
"""
