"""Shards to training batches: what is drawn, in which order, how it is read and checked, what was seen.

It hands out the stream, prompts, the sampler's order and what training_data.json says.

Imports: the vocabulary, audio, storage, captions, rights, dataset.
"""
