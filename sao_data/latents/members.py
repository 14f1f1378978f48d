"""Latents as bytes: a `.npy` of float16, (latents, 2, channels), of each latent means, then deviations.

A stretch of latents is one stretch of bytes. Rounded to the nearest float16, a mean is off by 2^-11 of its
size at most, and so is a deviation: they are 1e-4 at least, and float16 is exact to that down to 6.1e-5.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

Halves = npt.NDArray[np.float16]
Sums = npt.NDArray[np.float64]


def packed(mean_LD: npt.NDArray[np.float32], std_LD: npt.NDArray[np.float32]) -> Halves:
    """(L, 2, D), rounded. ValueError for what float16 does not hold."""
    wide = np.stack([mean_LD, std_LD], axis=1)
    with np.errstate(over="ignore"):  # told below
        halves: Halves = wide.astype(np.float16)
    if not np.isfinite(halves).all():
        raise ValueError("the codec gives numbers that float16 does not hold (65,504 at most)")
    assert (halves[:, 1] > 0).all(), "a deviation of zero"
    return halves


def to_bytes(latents: Halves) -> bytes:
    """The `.npy` member."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(latents), allow_pickle=False)
    return buffer.getvalue()


def from_bytes(data: bytes, latent_dim: int) -> Halves:
    """The array in a `.npy` member; ValueError if it is another than ours."""
    found = np.load(io.BytesIO(data), allow_pickle=False)
    if found.dtype != np.float16 or found.ndim != 3 or found.shape[1:] != (2, latent_dim):
        raise ValueError(f"{found.dtype} {found.shape}, want float16 (latents, 2, {latent_dim})")
    if to_bytes(found) != data:
        raise ValueError("its header is not as it is written here")
    halves: Halves = found
    return halves


def num_bytes(num_latents: int, latent_dim: int) -> int:
    """Bytes of so many latents, without a header."""
    return num_latents * 2 * latent_dim * 2


def sums(latents: Halves) -> tuple[Sums, Sums]:
    """Of each channel: the sum of the means, and that of mean² + std²."""
    wide = latents.astype(np.float64)
    return wide[:, 0].sum(axis=0), np.square(wide).sum(axis=(0, 1))


def statistics(num: int, total: Sums, squares: Sums) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel, six digits of each."""
    mean = total / max(num, 1)
    std = np.sqrt(np.maximum(squares / max(num, 1) - mean**2, 0.0))
    return _rounded(mean), _rounded(std)


def _rounded(values: Sums) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]
