"""Seeded chance without state: the same question always gets the same answer, whatever the thread order."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt


def number(*parts: object) -> int:
    """64 bits that depend on the parts only."""
    text = "|".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def share(*parts: object) -> float:
    """A float in [0, 1) that depends on the parts only."""
    return number(*parts) / 2**64


def mix(value: int, salt: int = 0) -> int:
    """Scramble 64 bits (the finaliser of splitmix64; Steele et al. 2014); cheap enough for 500,000 sounds."""
    x = (value + (salt + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)


def mix_all(values: npt.NDArray[np.int64], salt: int = 0) -> npt.NDArray[np.uint64]:
    """`mix` of a whole column."""
    x = values.astype(np.uint64) + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
