"""The made-up recordings of the demo: works, voices, textures."""
