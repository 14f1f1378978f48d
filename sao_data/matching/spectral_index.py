"""Short and steady sounds that are alike by their spectral hashes, among very many.

Each is compared with the few that are nearest by the mean spectrum, whole and without its beginning, among
those that are loudest in the same place. So the work grows with the number of sounds, but for the distances,
which are one matrix product. What is crowded out by nearer ones is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sao_data.audio.measuring.spectral_hash import NUM_BANDS, SpectralHash
from sao_data.matching.spectral_fit import Fit, compare
from sao_data.records import SAMPLE_RATE

Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

# The search: a copy has much the same mean spectrum, so it is among the nearest by that. Distances: 1 is 4 dB
# in every band and none in the lines, or 6 dB in these.
NUM_NEAREST = 8  # that each sound is compared with, …
NEAREST = 1.5  # … as far as they are so near
NUM_NEAREST_PARTS = 3  # likewise, for what is left when its beginning is cut off …
NEAREST_PART = 1.75  # … by the bands alone
_SUFFIXES = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)  # seconds that may be cut off
_BAND_FLOOR, _LINE_FLOOR = 25.0, 30.0  # dB below the loudest; less counts as that
_BAND_SCALE, _LINE_SCALE = 4.0, 6.0
_TIE = 3.0  # dB below the loudest pair of bands: this one counts as the loudest, too
_ROWS = 1_024  # sounds looked up together


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralMatch:
    """Two sounds that are alike, and how nearly."""

    first: str  # recording ids
    second: str
    difference: float  # dB, root mean square of the aligned levels
    of_chance: float  # what the course differs by, of what chance would leave: 0 equal, 1 another recording


def find_pairs(items: Iterable[tuple[str, SpectralHash]]) -> list[SpectralMatch]:
    """All pairs alike, first id below second, sorted. Of equal hashes only the lowest id is compared with
    others, and each of the rest is paired with that one alone."""
    sounds = _collected(items)
    found = [
        SpectralMatch(first=names[0], second=name, difference=0.0, of_chance=0.0)
        for names, _ in sounds
        for name in names[1:]
    ]
    hashes = [made for _, made in sounds]
    near = {(min(n, m), max(n, m)) for n, m in _near(hashes, hashes, is_same=True)}
    for n, m in sorted(near):
        if fit := compare(hashes[n], hashes[m]):
            found.append(_match(sounds[n][0][0], sounds[m][0][0], fit))
    return sorted(found, key=lambda like: (like.first, like.second))


def find_matches(
    queries: Mapping[str, SpectralHash], corpus: Iterable[tuple[str, SpectralHash]]
) -> list[SpectralMatch]:
    """Every query (`first`) alike a recording of the corpus (`second`), sorted."""
    asked, held = _collected(queries.items()), _collected(corpus)
    ours, theirs = [made for _, made in asked], [made for _, made in held]
    near = {*_near(ours, theirs), *((n, m) for m, n in _near(theirs, ours))}
    found = [
        _match(query, name, fit)
        for n, m in sorted(near)
        if (fit := compare(ours[n], theirs[m]))
        for query in asked[n][0]
        for name in held[m][0]
    ]
    return sorted(found, key=lambda like: (like.first, like.second))


def _collected(items: Iterable[tuple[str, SpectralHash]]) -> list[tuple[list[str], SpectralHash]]:
    """Each different hash once, with all its ids, in the order of ids."""
    groups: dict[bytes, tuple[list[str], SpectralHash]] = {}
    seen: set[str] = set()
    for name, made in items:
        if name in seen:
            raise ValueError(f"matching: {name!r} is given twice")
        seen.add(name)
        key = made.spectrum.tobytes() + made.moments.tobytes()
        groups.setdefault(key, ([], made))[0].append(name)
    for names, _ in groups.values():
        names.sort()
    return sorted(groups.values(), key=lambda group: group[0])


def _near(
    asked: list[SpectralHash], held: list[SpectralHash], *, is_same: bool = False
) -> Iterator[tuple[int, int]]:
    """Pairs of numbers: each sound, whole and without its beginning, and the nearest among the held."""
    if not asked or not held:
        return
    theirs = np.stack([_vector(made) for made in held])
    ours = np.stack([_vector(made) for made in asked])
    yield from _nearest(np.arange(len(asked)), ours, theirs, NUM_NEAREST, NEAREST, is_same=is_same)
    for seconds in _SUFFIXES:
        skipped = [round(seconds * SAMPLE_RATE / 2 / made.step) for made in asked]
        numbers = np.array([n for n, made in enumerate(asked) if len(made.moments) > skipped[n]], np.int64)
        if len(numbers):
            parts = np.stack([_bands(asked[n], skipped[n]) for n in numbers])
            bands = np.ascontiguousarray(theirs[:, :NUM_BANDS])
            yield from _nearest(numbers, parts, bands, NUM_NEAREST_PARTS, NEAREST_PART, is_same=is_same)


def _nearest(
    numbers: Indices, asked: Vectors, held: Vectors, most: int, limit: float, *, is_same: bool
) -> Iterator[tuple[int, int]]:
    """For every row of `asked` the nearest rows of `held`, of those that are loudest in the same place."""
    ours, theirs = _loudest(asked), _loudest(held)
    for place in range(NUM_BANDS // 2):
        rows, columns = np.flatnonzero(ours[:, place]), np.flatnonzero(theirs[:, place])
        there = held[columns]
        lengths = (there**2).sum(axis=1)
        for start in range(0, len(rows) if len(columns) else 0, _ROWS):
            some = rows[start : start + _ROWS]
            here = asked[some]
            apart = (here**2).sum(axis=1)[:, None] + lengths - 2 * (here @ there.T)
            if is_same:
                apart[numbers[some][:, None] == columns] = np.inf
            if apart.shape[1] > most:
                nearest = np.argpartition(apart, most - 1, axis=1)[:, :most]
            else:
                nearest = np.broadcast_to(np.arange(apart.shape[1]), apart.shape)
            found = np.take_along_axis(apart, nearest, axis=1) <= limit**2
            n = np.broadcast_to(numbers[some][:, None], found.shape)[found]
            yield from zip(n.tolist(), columns[nearest[found]].tolist(), strict=True)


def _loudest(vectors: Vectors) -> Flags:
    """In which pairs of bands a sound is loudest, or nearly; (sounds, 12)."""
    level = vectors[:, :NUM_BANDS].reshape(len(vectors), -1, 2).min(axis=2)  # dB below the loudest, scaled
    return np.asarray(level <= _TIE / (_BAND_SCALE * NUM_BANDS**0.5))


def _vector(made: SpectralHash) -> Vectors:
    """A place in which near sounds are near: 24 bands, and the louder of every four lines."""
    lines = np.minimum(made.spectrum, _LINE_FLOOR).astype(np.float32).reshape(-1, 4).min(axis=1)
    return np.concatenate([_bands(made, 0), lines / np.float32(_LINE_SCALE * len(lines) ** 0.5)])


def _bands(made: SpectralHash, skipped: int) -> Vectors:
    """Level of every band over the sound from a moment on, below the loudest of them, scaled."""
    power = _POWER[made.moments[skipped:]].sum(axis=0)
    level = 10 * np.log10(power)
    below = np.minimum(level.max() - level, _BAND_FLOOR)
    return np.asarray(below / (_BAND_SCALE * NUM_BANDS**0.5), np.float32)


def _match(first: str, second: str, fit: Fit) -> SpectralMatch:
    return SpectralMatch(first=first, second=second, difference=fit.difference, of_chance=fit.of_chance)


_POWER = 10.0 ** (np.arange(256) / -10.0)  # of a level
