"""Short and steady sounds that are alike by their spectral hashes, among very many.

Three things must agree. The spectrum: another note, another hum. The course of the 24 bands, aligned: another
take. And in that course what is left when the mean of every band and the loudness of every moment are taken
off, against what would differ by chance: another hiss of the same colour. Where nothing is left (a steady
tone) the spectrum alone decides, and must agree to a decibel.

Found: other encodings, levels, bandwidths, silence before or after, cuts that leave half of the sound. Not
found: other pitch or speed, mixes, a short excerpt of something long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sao_data.audio.measuring.spectral_hash import MOMENTS_PER_SECOND, NUM_BANDS, Levels, SpectralHash

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

# Measured on 190 excerpts cut to 1, 2, 3 and 5 s and on made near-misses: benchmarks/README.md.
STEADY = 0.8  # dB; what fluctuates less has no course to compare …
MAX_STEADY = 1.0  # … and must agree in its spectrum to this, dB
MIN_SHARE = 0.5  # of the shorter, aligned
MIN_MOMENTS = 8  # aligned, where there are so many

NEAR = 6.0  # dB in any of the bands, for two sounds to be compared at all
_BAND_FLOOR = 15.0  # dB below the loudest band; less counts as that
_COMPARED = 40  # dB below the loudest that are compared
_LINES_COMPARED = 30
_REACH = round(1.2 * MOMENTS_PER_SECOND)  # moments by which one may begin later
_SHIFTS = (-4, -3, -2, -1, 1, 2, 3, 4)  # 24ths of an octave
_NUM_TRIED = 3  # alignments, those nearest by eye of six bands
_SUFFIXES = (0.0, 0.25, 0.5, 0.75, 1.0)  # seconds that may be cut off before a sound is looked up
_BLOCK = 4_096  # sounds looked up together


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralMatch:
    """Two sounds that are alike, and how nearly."""

    first: str  # recording ids
    second: str
    difference: float  # dB, root mean square of the aligned levels
    of_chance: float  # what the course differs by, of what chance would leave: 0 equal, 1 another recording


class _Limits(NamedTuple):
    """The most by which copies differ."""

    difference: float  # dB, root mean square over the aligned course
    of_chance: float  # of the difference that chance would leave
    spectrum: float  # dB, mean over the lines
    rise: float  # dB by which the spectra may fit better when one is shifted


# A part of a sound has another mean spectrum; an overdriven copy has another course.
_PART = _Limits(difference=4.5, of_chance=0.28, spectrum=8.5, rise=0.4)
_DISTORTED = _Limits(difference=7.7, of_chance=0.45, spectrum=3.2, rise=0.0)


class Fit(NamedTuple):
    """One alignment; the smallest is the best."""

    difference: float
    of_chance: float
    offset: int  # moments: where in the first the second begins


def compare(a: SpectralHash, b: SpectralHash) -> Fit | None:
    """The best alignment of two sounds; None if they are not alike."""
    lines, rise = _spectra(a.spectrum, b.spectrum)
    if all(lines > limits.spectrum or rise > limits.rise for limits in (_PART, _DISTORTED)):
        return None
    one, other = a.moments.astype(np.float64), b.moments.astype(np.float64)
    fits = [
        (fit, steady)
        for offset in _offsets(one, other)
        for x, y in ((one, other), (_between(one), other), (one, _between(other)))
        if (found := _fit(x, y, offset)) is not None
        for fit, steady in [found]
    ]
    if not fits:
        return None
    best, steady = min(fits)
    seen = _Limits(best.difference, 0.0 if steady else best.of_chance, lines, rise)
    if steady and lines > MAX_STEADY:
        return None
    is_copy = any(all(x <= y for x, y in zip(seen, limits, strict=True)) for limits in (_PART, _DISTORTED))
    return best if is_copy else None


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
    for n, m in _near(hashes, hashes):
        if n != m and (fit := compare(hashes[min(n, m)], hashes[max(n, m)])):
            found.append(_match(sounds[min(n, m)][0][0], sounds[max(n, m)][0][0], fit))
    return sorted(set(found), key=lambda like: (like.first, like.second))


def find_matches(
    queries: Mapping[str, SpectralHash], corpus: Iterable[tuple[str, SpectralHash]]
) -> list[SpectralMatch]:
    """Every query (`first`) alike a recording of the corpus (`second`), sorted."""
    asked, held = _collected(queries.items()), _collected(corpus)
    ours, theirs = [made for _, made in asked], [made for _, made in held]
    pairs = set(_near(ours, theirs)) | {(n, m) for m, n in _near(theirs, ours)} if asked and held else set()
    found = [
        _match(query, name, fit)
        for n, m in sorted(pairs)
        if (fit := compare(ours[n], theirs[m]))
        for query in asked[n][0]
        for name in held[m][0]
    ]
    return sorted(found, key=lambda like: (like.first, like.second))


def _spectra(a: Levels, b: Levels) -> tuple[float, float]:
    """Mean difference of two spectra, dB, and by how much they fit better when one is shifted."""
    reach = max(_SHIFTS)
    x = np.minimum(a, _LINES_COMPARED).astype(np.int16)
    y = np.minimum(b, _LINES_COMPARED).astype(np.int16)
    middle = x[reach:-reach]
    shifted = [_apart(middle, y[reach + shift : len(y) - reach + shift]) for shift in _SHIFTS]
    return _apart(x, y), _apart(middle, y[reach:-reach]) - min(shifted)


def _apart(x: npt.NDArray[np.int16], y: npt.NDArray[np.int16]) -> float:
    """Mean difference where either is loud enough, whatever the levels of the whole."""
    apart = (x - y)[(x < _LINES_COMPARED) | (y < _LINES_COMPARED)]
    return float(np.abs(apart - np.median(apart)).mean()) if len(apart) else np.inf


def _between(levels: Doubles) -> Doubles:
    """As if it were counted from half a moment later."""
    return (levels[1:] + levels[:-1]) / 2


def _offsets(a: Doubles, b: Doubles) -> list[int]:
    """Alignments worth a look: none shifted, and the nearest by six broad bands."""
    x, y = (np.minimum(c, _COMPARED).reshape(len(c), 6, -1).mean(axis=2) for c in (a, b))
    near: list[tuple[float, int]] = []
    for offset in range(-_REACH, _REACH + 1):
        one, other = _aligned(x, y, offset)
        if len(one) >= _fewest(a, b):
            apart = one - other
            near.append((float(((apart - apart.mean()) ** 2).mean()), offset))
    return list(dict.fromkeys([0, *(offset for _, offset in sorted(near)[:_NUM_TRIED])]))


def _aligned(a: Doubles, b: Doubles, offset: int) -> tuple[Doubles, Doubles]:
    start_a, start_b = max(offset, 0), max(-offset, 0)
    num = max(min(len(a) - start_a, len(b) - start_b), 0)
    return a[start_a : start_a + num], b[start_b : start_b + num]


def _fewest(a: Doubles, b: Doubles) -> float:
    """Moments that must be aligned."""
    shorter = min(len(a), len(b))
    return max(min(MIN_MOMENTS, shorter - 1), MIN_SHARE * shorter, 1)


def _fit(a: Doubles, b: Doubles, offset: int) -> tuple[Fit, bool] | None:
    """How nearly two sounds agree under one alignment, and whether there is no course to agree in."""
    one, other = _aligned(a, b, offset)
    if len(one) < _fewest(a, b):
        return None
    loud = (one < _COMPARED) | (other < _COMPARED)
    num = int(loud.sum())
    if not num:
        return None
    one, other = np.minimum(one, _COMPARED + 6), np.minimum(other, _COMPARED + 6)
    apart = one - other
    apart = np.where(loud, apart - apart[loud].mean(), 0.0)
    x, y = _centred(one, loud), _centred(other, loud)
    by_chance = float((x**2).sum() + (y**2).sum())
    of_chance = float(((x - y) ** 2).sum()) / max(by_chance, 1e-9)
    inner = slice(1, -2) if len(one) > MIN_MOMENTS else slice(None)  # a frame beyond the ends says less
    steady = max(_fluctuation(x[inner], loud[inner]), _fluctuation(y[inner], loud[inner])) < STEADY
    difference = float(np.sqrt((apart**2).sum() / num))
    return Fit(difference, of_chance, offset), steady


def _centred(levels: Doubles, loud: Flags) -> Doubles:
    """Without the mean of every band and the loudness of every moment; twice, since not all cells count."""
    per_band, per_moment = np.maximum(loud.sum(axis=0), 1), np.maximum(loud.sum(axis=1), 1)[:, None]
    left = np.where(loud, levels, 0.0)
    for _ in range(2):
        left = np.where(loud, left - left.sum(axis=0) / per_band, 0.0)
        left = np.where(loud, left - left.sum(axis=1, keepdims=True) / per_moment, 0.0)
    return left


def _fluctuation(left: Doubles, loud: Flags) -> float:
    return float(np.sqrt((left**2).sum() / max(int(loud.sum()), 1)))


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


def _near(asked: list[SpectralHash], held: list[SpectralHash]) -> Iterator[tuple[int, int]]:
    """Pairs whose bands are alike, from the beginning of the second or from a little later in the first."""
    from scipy.spatial import cKDTree

    if not asked or not held:
        return
    tree = cKDTree(np.stack([_bands(made, 0) for made in held]))
    for start in range(0, len(asked), _BLOCK):
        numbers, vectors = [], []
        for n, made in enumerate(asked[start : start + _BLOCK], start):
            for skipped in _skipped(made):
                numbers.append(n)
                vectors.append(_bands(made, skipped))
        found: set[tuple[int, int]] = set()
        for n, near in zip(numbers, tree.query_ball_point(np.stack(vectors), NEAR, p=np.inf), strict=True):
            found.update((n, m) for m in near)
        yield from sorted(found)


def _skipped(made: SpectralHash) -> Iterator[int]:
    for seconds in _SUFFIXES:
        skipped = round(seconds * MOMENTS_PER_SECOND)
        if skipped < len(made.moments):
            yield skipped


def _bands(made: SpectralHash, skipped: int) -> Vectors:
    """Level of twelve bands over the sound from a moment on, dB below the loudest of them."""
    power = (10.0 ** (made.moments[skipped:] / -10.0)).sum(axis=0).reshape(NUM_BANDS // 2, 2).sum(axis=1)
    level = 10 * np.log10(power)
    return np.asarray(np.minimum(level.max() - level, _BAND_FLOOR), np.float32)


def _match(first: str, second: str, fit: Fit) -> SpectralMatch:
    return SpectralMatch(first=first, second=second, difference=fit.difference, of_chance=fit.of_chance)
