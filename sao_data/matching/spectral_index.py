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

from sao_data.audio.measuring.spectral_hash import MOMENTS_PER_SECOND, NUM_BANDS, SpectralHash

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Lines = npt.NDArray[np.int16]
Vectors = npt.NDArray[np.float32]

# Measured on 190 excerpts cut to 1, 2, 3 and 5 s and on made near-misses: benchmarks/README.md.
STEADY = 0.8  # dB; what fluctuates less has no course to compare …
MAX_STEADY = 1.0  # … and must agree in its spectrum to this, dB
MIN_SHARE = 0.5  # of the shorter, aligned
MIN_MOMENTS = 8  # aligned, where there are so many

# The search: a copy has much the same mean spectrum, so it is among the nearest by that. Distances: 1 is 4 dB
# in every band and none in the lines, or 6 dB in these.
NUM_NEAREST = 8  # that each sound is compared with, …
NEAREST = 1.5  # … as far as they are so near
NUM_NEAREST_PARTS = 3  # likewise, for what is left when its beginning is cut off …
NEAREST_PART = 0.65  # … by the bands alone
_SUFFIXES = (0.25, 0.5, 0.75, 1.0)  # seconds that may be cut off
_BAND_FLOOR, _LINE_FLOOR = 25.0, 30.0  # dB below the loudest; less counts as that
_BAND_SCALE, _LINE_SCALE = 4.0, 6.0
_TIE = 3.0  # dB below the loudest pair of bands: this one counts as the loudest, too
_ROWS = 1_024  # sounds looked up together

_COMPARED = 40  # dB below the loudest that are compared
_LINES_COMPARED = 30
_REACH = round(1.2 * MOMENTS_PER_SECOND)  # moments by which one may begin later
_SHIFTS = (-4, -3, -2, -1, 1, 2, 3, 4)  # 24ths of an octave
_NUM_TRIED = 3  # alignments, the best by six broad bands …
_MAX_BROAD = 10.0  # … if they differ by no more there, dB


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
    one, other = a.moments.astype(np.float64), b.moments.astype(np.float64)
    offsets = _offsets(one, other)
    lines = _apart(*_heard_lines(a, b)) if offsets else np.inf
    if lines > max(_PART.spectrum, _DISTORTED.spectrum):
        return None
    rise = _rise(*_heard_lines(a, b))
    if all(lines > limits.spectrum or rise > limits.rise for limits in (_PART, _DISTORTED)):
        return None
    variants = ((one, other), (_between(one), other), (one, _between(other)))
    fits = [fit for offset in offsets for x, y in variants if (fit := _fit(x, y, offset))]
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


def _heard_lines(a: SpectralHash, b: SpectralHash) -> tuple[Lines, Lines]:
    x, y = (np.minimum(made.spectrum, _LINES_COMPARED).astype(np.int16) for made in (a, b))
    return x, y


def _rise(x: Lines, y: Lines) -> float:
    """By how much two spectra fit better when one is shifted, dB; negative if they do not."""
    reach = max(_SHIFTS)
    middle = x[reach:-reach]
    shifted = (_apart(middle, y[reach + shift : len(y) - reach + shift]) for shift in _SHIFTS)
    return _apart(middle, y[reach:-reach]) - min(shifted)


def _apart(x: Lines, y: Lines) -> float:
    """Mean difference where either is loud enough, whatever the levels of the whole."""
    apart = (x - y)[(x < _LINES_COMPARED) | (y < _LINES_COMPARED)]
    return float(np.abs(apart - np.median(apart)).mean()) if len(apart) else np.inf


def _between(levels: Doubles) -> Doubles:
    """As if it were counted from half a moment later."""
    return (levels[1:] + levels[:-1]) / 2


def _offsets(a: Doubles, b: Doubles) -> list[int]:
    """Alignments worth a look: not shifted, and the nearest by six broad bands; none if they are far."""
    x, y = (np.minimum(c, _COMPARED).reshape(len(c), 6, -1).mean(axis=2) for c in (a, b))
    offsets = np.arange(-_REACH, _REACH + 1)
    start_x, start_y = np.maximum(offsets, 0), np.maximum(-offsets, 0)
    num = np.minimum(len(x) - start_x, len(y) - start_y)
    kept = num >= _fewest(a, b)
    offsets, start_x, start_y, num = offsets[kept], start_x[kept], start_y[kept], num[kept]
    products = np.sum([np.correlate(x[:, n], y[:, n], "full") for n in range(6)], axis=0)
    squares = _sums(x**2, start_x, num) + _sums(y**2, start_y, num)
    means = (_sums(x, start_x, num) - _sums(y, start_y, num)) / (6 * num)
    apart = (squares - 2 * products[offsets + len(y) - 1]) / (6 * num) - means**2
    if not len(apart) or apart.min() > _MAX_BROAD**2:
        return []
    nearest = offsets[np.argsort(np.round(apart, 6), kind="stable")[:_NUM_TRIED]]
    return list(dict.fromkeys([0, *nearest.tolist()]))


def _sums(values: Doubles, start: Indices, num: Indices) -> Doubles:
    """Sums over stretches of moments, all bands."""
    total = np.concatenate([[0.0], np.cumsum(values.sum(axis=1))])
    return np.asarray(total[start + num] - total[start])


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
        skipped = round(seconds * MOMENTS_PER_SECOND)
        numbers = np.array([n for n, made in enumerate(asked) if len(made.moments) > skipped], np.int64)
        if len(numbers):
            parts = np.stack([_bands(asked[n], skipped) for n in numbers])
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
