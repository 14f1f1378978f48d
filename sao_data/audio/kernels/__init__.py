"""Inner loops over samples, compiled by numba: each is one pass where arrays would need several."""
