"""Caption builders, one file each: what a source says into caption fields, and fields into a prompt.

A caption builder's dotted path stands in manifests.

Imports: the vocabulary.
"""
