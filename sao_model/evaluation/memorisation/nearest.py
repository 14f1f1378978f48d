"""The nearest clips of a library, in bounded memory: blocks of float32 products, the best of all merged.

Embeddings of length one (CLAP) are compared by their cosine. The zero and units of others say nothing:
each dimension is centred and scaled by the library's own mean and spread, and the similarity is 1 - d²/2D:
1 equal, 0 as far as two windows of the library on average, less for what lies outside of it all. (A cosine
there calls noise, far from every melody, near to those in its direction.)

    Q sounds asked, of V windows in all   S clips of a pack   D dimensions   E those compared   K kept
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sao_model.evaluation.memorisation.library import LibraryPack

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_ROWS = 1_024  # windows asked at once
_UNIT = 1e-3  # by which lengths may differ from one


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceScale:
    """How an embedder's numbers are compared."""

    mean: Floats  # (D,)
    spread: Floats  # (D,)
    is_unit: bool  # they are directions already
    num_windows: int

    def asked(self, windows_WD: Floats) -> Floats:
        """(W, E), whose product with `held` is the similarity."""
        return self._directions(windows_WD) if self.is_unit else self._points(windows_WD, own_last=True)

    def held(self, windows_WD: Floats) -> Floats:
        """(W, E) of the library's windows."""
        return self._directions(windows_WD) if self.is_unit else self._points(windows_WD, own_last=False)

    def _directions(self, windows_WD: Floats) -> Floats:
        lengths = np.maximum(np.linalg.norm(windows_WD, axis=1, keepdims=True), 1e-9)
        return np.asarray(windows_WD / lengths, np.float32)

    def _points(self, windows_WD: Floats, *, own_last: bool) -> Floats:
        """With two more numbers, (1, 1 - |a|²/2D) of one side against (-|b|²/2D, 1) of the other."""
        scale = self.spread * np.float32(len(self.spread) ** 0.5)
        moved = (windows_WD - self.mean) / scale
        half = (np.square(moved).sum(axis=1, keepdims=True) / 2).astype(np.float32)
        more = (np.ones_like(half), 1 - half) if own_last else (-half, np.ones_like(half))
        return np.concatenate([moved, *more], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """For each sound asked the nearest clips, best first; -1 where there are no more."""

    similarity: Floats  # (Q, K)
    rows: Indices  # (Q, K) numbers of clips


def scale(packs: Iterable[LibraryPack], dimensions: int) -> SpaceScale:
    """One pass over a library."""
    num, total, squares, is_unit = 0, np.zeros(dimensions), np.zeros(dimensions), True
    for pack in packs:
        num += len(pack.windows)
        total += pack.windows.sum(axis=0, dtype=np.float64)
        squares += np.square(pack.windows, dtype=np.float64).sum(axis=0)
        is_unit &= bool((np.abs(np.linalg.norm(pack.windows, axis=1) - 1) < _UNIT).all())
    mean = total / max(num, 1)
    spread = np.sqrt(np.maximum(squares / max(num, 1) - mean**2, 0))
    spread[spread < 1e-6] = 1.0  # a dimension that does not move
    return SpaceScale(
        mean=mean.astype(np.float32), spread=spread.astype(np.float32), is_unit=is_unit, num_windows=num
    )


def search(
    asked_VE: Floats,
    lengths: Indices,
    packs: Iterable[LibraryPack],
    scaled: SpaceScale,
    num: int,
    excluded: tuple[Indices, Indices] | None = None,
) -> Nearest:
    """The `num` nearest clips of each sound, by its and their nearest windows. `lengths`: windows of each
    sound, 1 or more; `asked_VE` from `scaled`. `excluded`: a group of each sound and of each clip of the
    library; those of one group are not compared."""
    similarity = np.full((len(lengths), num), -np.inf, np.float32)
    rows = np.full((len(lengths), num), -1, np.int64)
    bounds = _blocks(lengths)
    edges = np.concatenate([[0], np.cumsum(lengths)])
    for pack in packs:
        if not len(pack.rows):
            continue
        theirs_WE = scaled.held(pack.windows)
        starts = np.concatenate([[0], np.cumsum(pack.lengths)[:-1]])
        for first, last in bounds:
            by_clip = np.maximum.reduceat(asked_VE[edges[first] : edges[last]] @ theirs_WE.T, starts, axis=1)
            found = np.maximum.reduceat(by_clip, edges[first:last] - edges[first], axis=0)
            if excluded is not None:
                found[excluded[0][first:last, None] == excluded[1][pack.rows]] = -np.inf
            _merge(similarity[first:last], rows[first:last], found, pack.rows)
    return Nearest(similarity=similarity, rows=rows)


def _blocks(lengths: Indices) -> list[tuple[int, int]]:
    """Runs of sounds with some thousand windows together."""
    found, first, size = [], 0, 0
    for n, length in enumerate(lengths.tolist()):
        if size and size + length > _ROWS:
            found.append((first, n))
            first, size = n, 0
        size += length
    return [*found, (first, len(lengths))] if len(lengths) else []


def _merge(best: Floats, rows: Indices, found: Floats, numbers: Indices) -> None:
    """Keep the best of both, in place; ties by the clip's number."""
    num = best.shape[1]
    both = np.concatenate([best, found], axis=1)
    of = np.concatenate([rows, np.broadcast_to(numbers, found.shape)], axis=1)
    if both.shape[1] > 4 * num:
        part = np.argpartition(-both, 2 * num, axis=1)[:, : 2 * num]
        both, of = np.take_along_axis(both, part, axis=1), np.take_along_axis(of, part, axis=1)
    order = np.lexsort((of, -both), axis=1)[:, :num]
    best[:] = np.take_along_axis(both, order, axis=1)
    rows[:] = np.where(np.isfinite(best), np.take_along_axis(of, order, axis=1), -1)
