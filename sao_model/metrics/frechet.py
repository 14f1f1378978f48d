"""Fréchet distance between two sets of embeddings, each taken for normally distributed (Heusel et al. 2017;
Dowson & Landau 1982): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

The root is never taken. With C = A^T A the eigenvalues of C1 C2 are the squared singular values of A1 A2^T,
so the trace of the root is the sum of those: no imaginary part appears where a covariance is singular, as it
is for fewer clips than dimensions. All in float64.

    N clips   D dimensions   R rank, at most D
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """Mean (D,) and a factor (R, D) of the covariance, which is factor^T factor."""

    mean_D: Doubles
    factor_RD: Doubles
    num: int  # clips it was made of; 0: not known

    @property
    def is_full_rank(self) -> bool:
        """Were there clips enough to know the covariance in every direction?"""
        return self.num > len(self.mean_D)


def fit(embeddings_ND: npt.ArrayLike) -> Normal:
    """Mean and unbiased covariance of two clips or more."""
    values = np.asarray(embeddings_ND, np.float64)
    assert values.ndim == 2, values.shape
    assert len(values) > 1, values.shape
    mean = values.mean(axis=0)
    factor = (values - mean) / np.sqrt(len(values) - 1)
    if len(factor) > factor.shape[1]:
        factor = np.linalg.qr(factor, mode="r")
    return Normal(mean_D=mean, factor_RD=factor, num=len(values))


def from_moments(mean_D: npt.ArrayLike, covariance_DD: npt.ArrayLike, num: int = 0) -> Normal:
    """From moments as others publish them (FAD, FD statistics); what rounding made negative counts as 0."""
    covariance = np.asarray(covariance_DD, np.float64)
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    factor = np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T
    return Normal(mean_D=np.asarray(mean_D, np.float64), factor_RD=factor, num=num)


def distance(one: Normal, other: Normal) -> float:
    """The distance, 0 or more; in the square of the embedding's unit."""
    assert one.mean_D.shape == other.mean_D.shape, (one.mean_D.shape, other.mean_D.shape)
    shift = np.square(one.mean_D - other.mean_D).sum()
    spread = np.square(one.factor_RD).sum() + np.square(other.factor_RD).sum()
    shared = np.linalg.svd(one.factor_RD @ other.factor_RD.T, compute_uv=False).sum()
    return max(0.0, float(shift + spread - 2 * shared))
