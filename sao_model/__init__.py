"""Stable Audio Open as pages to read: codec, conditioners, DiT, diffusion, guidance, samplers, model."""
