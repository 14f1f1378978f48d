"""Scoring a checkpoint, or any folder of sounds, by a protocol: generate, embed, score, and say on a page
what was measured with what.

It knows sounds, embedders and the scores in `metrics/scores`; a model only by `making`, which generates.
"""
