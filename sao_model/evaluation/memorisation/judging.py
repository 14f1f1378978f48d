"""Is a similarity more than the dataset's own works have to one another?

The baseline is exact for any size: if a sound is one more like the dataset's works, the chance that it lies
above the k-th smallest of n similarities, k = ceil((n + 1) q), is at most 1 - q (split conformal prediction:
Vovk et al. 2005). Too few works for the quantile, and nothing is judged.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sao_data.matching.togetherness import LinkedWork, together
from sao_data.records import CatalogueRow

Floats = npt.NDArray[np.float32]

DIGITS = 5  # of a similarity: what follows depends on how the data lie in blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBaseline:
    """How near the dataset's works are to the nearest other one, by one embedder, for so many windows."""

    num: int  # works
    quantile: float
    threshold: float | None  # None: too few works to tell
    median: float | None


def baseline(similarities: Floats, quantile: float) -> OwnBaseline:
    """Of (n,) similarities, one a work, each to its nearest work of another group."""
    there = np.sort(similarities[np.isfinite(similarities)])
    place = math.ceil((len(there) + 1) * quantile - 1e-9)
    return OwnBaseline(
        num=len(there),
        quantile=quantile,
        threshold=round(float(there[place - 1]), DIGITS) if place <= len(there) else None,
        median=round(float(np.median(there)), DIGITS) if len(there) else None,
    )


def needed(quantile: float) -> int:
    """Works without which this quantile says nothing."""
    return math.ceil(quantile / (1 - quantile) - 1e-9)


def sampled(ids: Iterable[str], num: int) -> list[str]:
    """So many of these recordings, always the same ones."""
    return sorted(sorted(ids, key=lambda key: hashlib.sha256(f"baseline {key}".encode()).digest())[:num])


def groups(works: Iterable[CatalogueRow], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By recording, what stands for all it is linked with: by author, equal audio, or alike to the ear."""
    linked = [
        LinkedWork(
            id=row.id,
            author=f"{row.source}:{row.author_id or row.author or row.id}",
            album="",
            audio_sha256=row.audio_sha256 or row.id,
        )
        for row in works
    ]
    return together(linked, pairs).deciding
