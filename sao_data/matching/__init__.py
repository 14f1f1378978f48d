"""Copies of one work: by what sources state, by equal audio, by sound; and works of evaluation lists.

It hands out objections: at most one to each work, with the rule and whom it is like.

Imports: the vocabulary, audio, licences, storage.
"""
