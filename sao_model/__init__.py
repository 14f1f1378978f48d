"""Stable Audio Open as pages to read: codec, conditioners, DiT, diffusion, samplers (arrives with the model road)."""
