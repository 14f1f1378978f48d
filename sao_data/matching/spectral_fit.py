"""Are two short or steady sounds alike, by their spectral hashes?

Three things must agree. The spectrum: another note, another hum. The course of the 24 bands, aligned: another
take. And in that course what is left when the mean of every band and the loudness of every moment are taken
off, against what would differ by chance: another hiss of the same colour. Where nothing is left (a steady
tone) the spectrum alone decides, and must agree to a decibel.

Found: other encodings, levels, bandwidths, silence before or after, cuts that leave half of the sound, also
where the loudest is gone with the beginning. Not found: other pitch or speed, mixes, a short excerpt of
something long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sao_data.audio.measuring.spectral_hash import COARSE, FLOOR, SpectralHash

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Lines = npt.NDArray[np.int16]

# Measured on 190 excerpts cut to 1, 2, 3 and 5 s and on made near-misses: benchmarks/README.md.
STEADY = 0.8  # dB; what fluctuates less has no course to compare …
MAX_STEADY = 1.0  # … and must agree in its spectrum to this, dB
MIN_SHARE = 0.5  # of the shorter, aligned
MIN_MOMENTS = 8  # aligned, where there are so many; of 46 ms, as all numbers of moments here

_COMPARED = 40  # dB below the loudest that are compared
_LINES_COMPARED = 30
_FAR_BELOW = 10  # dB
_LEAST_RANGE = 20  # dB that must be known of both
_REACH = 26  # moments by which one may begin later, 1.2 s
_SHIFTS = (-4, -3, -2, -1, 1, 2, 3, 4)  # 24ths of an octave
_NUM_TRIED = 4  # alignments, the best by six broad bands …
_MAX_BROAD = 14.0  # … if they differ by no more there, dB
_NUM_REFINED = 2  # of these, tried between two moments as well


class _Limits(NamedTuple):
    """The most by which copies differ."""

    difference: float  # dB, root mean square over the aligned course
    of_chance: float  # of the difference that chance would leave
    spectrum: float  # dB, mean over the lines
    rise: float  # dB by which the spectra may fit better when one is shifted


# A part of a sound has another mean spectrum; an overdriven copy has another course.
_PART = _Limits(difference=4.5, of_chance=0.28, spectrum=8.5, rise=0.4)
# Where the course agrees this well, a beginning that is gone may have had another spectrum.
_REST = _Limits(difference=3.0, of_chance=0.15, spectrum=10.0, rise=1.0)
_DISTORTED = _Limits(difference=7.7, of_chance=0.45, spectrum=3.2, rise=0.0)
_WHOLE = 6  # moments: what is shifted by more is a part


class Fit(NamedTuple):
    """One alignment; the smallest is the best."""

    difference: float
    of_chance: float
    offset: int  # moments: where in the first the second begins


def compare(a: SpectralHash, b: SpectralHash) -> Fit | None:
    """The best alignment of two sounds; None if they are not alike."""
    step = max(a.step, b.step)
    one, other = (made.moments[:: step // made.step].astype(np.float64) for made in (a, b))
    finer = COARSE // step
    lines = _apart(*_heard_lines(a, b))
    if lines > _REST.spectrum:
        return None
    rise = _rise(*_heard_lines(a, b))
    if rise > _REST.rise:
        return None
    offsets = _offsets(one, other, finer)
    fits = sorted(fit for offset in offsets if (fit := _fit(one, other, offset, finer)))
    for x, y in ((_between(one), other), (one, _between(other))):
        fits += [fit for near in fits[:_NUM_REFINED] if (fit := _fit(x, y, near[0].offset, finer))]
    if not fits:
        return None
    best, steady = min(fits)
    seen = _Limits(best.difference, 0.0 if steady else best.of_chance, lines, rise)
    if steady and lines > MAX_STEADY:
        return None
    allowed = _limits(a, b, best, finer)
    is_copy = any(all(x <= y for x, y in zip(seen, limits, strict=True)) for limits in allowed)
    return best if is_copy else None


def _limits(a: SpectralHash, b: SpectralHash, best: Fit, finer: int) -> tuple[_Limits, ...]:
    """Those that a fit may keep to, any of them."""
    if abs(best.offset) <= _WHOLE * finer:
        return (_PART, _DISTORTED)
    return (_PART,) if a.step == COARSE or b.step == COARSE else (_PART, _REST)


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


def _offsets(a: Doubles, b: Doubles, finer: int) -> list[int]:
    """Alignments worth a look: not shifted, and the nearest by six broad bands; none if they are far."""
    x, y = (c.reshape(len(c), 6, -1).mean(axis=2) for c in (a, b))
    offsets = np.arange(-_REACH * finer, _REACH * finer + 1)
    start_x, start_y = np.maximum(offsets, 0), np.maximum(-offsets, 0)
    num = np.minimum(len(x) - start_x, len(y) - start_y)
    kept = num >= _fewest(a, b, finer)
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


def _fewest(a: Doubles, b: Doubles, finer: int) -> float:
    """Moments that must be aligned."""
    shorter = min(len(a), len(b))
    return max(min(MIN_MOMENTS * finer, shorter - 1), MIN_SHARE * shorter, 1)


def _fit(a: Doubles, b: Doubles, offset: int, finer: int) -> tuple[Fit, bool] | None:
    """How nearly two sounds agree under one alignment, and whether there is no course to agree in."""
    one, other = _aligned(a, b, offset)
    if len(one) < _fewest(a, b, finer):
        return None
    if abs(offset) > _WHOLE * finer and len(one) > 2 * finer:  # frames that reach over a cut hear it
        one, other = one[finer:], other[finer:]
    one, other, most = _below_loudest(one, other)
    loud = (one < most - 6) | (other < most - 6)
    num = int(loud.sum())
    if most < _LEAST_RANGE or not num:
        return None
    one, other = np.minimum(one, most), np.minimum(other, most)
    apart = one - other
    apart = np.where(loud, apart - apart[loud].mean(), 0.0)
    difference = float(np.sqrt((apart**2).sum() / num))
    if difference > _DISTORTED.difference:
        return None  # whatever else it is
    x, y = _centred(one, loud), _centred(other, loud)
    by_chance = float((x**2).sum() + (y**2).sum())
    of_chance = float(((x - y) ** 2).sum()) / max(by_chance, 1e-9)
    # A frame beyond the ends says less.
    inner = slice(finer, -2 * finer) if len(one) > MIN_MOMENTS * finer else slice(None)
    steady = max(_fluctuation(x[inner], loud[inner]), _fluctuation(y[inner], loud[inner])) < STEADY
    return Fit(difference, of_chance, offset), steady


def _below_loudest(one: Doubles, other: Doubles) -> tuple[Doubles, Doubles, float]:
    """Levels below the loudest of what is aligned, if that is far below the loudest of all, and how far down
    both are known."""
    x, y = (max(each.min() - _FAR_BELOW, 0.0) for each in (one, other))
    return one - x, other - y, float(min(_COMPARED + 6, FLOOR - x, FLOOR - y))


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
