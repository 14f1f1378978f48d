"""Stable Audio Open as pages to read: codec, conditioners, DiT, diffusion, samplers (not here yet)."""
