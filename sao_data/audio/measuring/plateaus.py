"""Clipping: plateaus at the extremes of a signal itself, at whatever level they lie.

Looked at is how long the signal stays near its extreme once it gets there. A smooth peak stays within a
distance d of it half as long as within 4d (its top is a parabola: time goes with the square root of d); a
clipped one nearly as long, since its flanks are steep. So a share of 0.5 is round and 1 is cut; around a
level in the middle of the band, as it is looked for after a lossy codec, round is 0.62 (a sine; measured on
made sounds: at most 0.616). Codecs and filters put ripples on what was flat; flat tops of many levels without
them are pulse waves that fade, or saturation, and wanted.

A wave between two levels and nothing in between (a pulse) is meant so, and not clipped. Once a codec or a
filter has rounded its corners, nothing tells it from a clipped one, and it counts as that. Not told at all
are plateaus shorter than three samples (white noise, driven hard): limiters touch their ceiling like that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sao_data.audio.kernels.samples import crowd
from sao_data.audio.kernels.shapes import times

Wave = npt.NDArray[np.float32]  # one channel

_PER_UNIT = 2_048  # histogram bins from 0 to full scale, as `crowd` has them
_NUM_BINS = 2 * _PER_UNIT  # floats reach beyond full scale; what is beyond twice it is put into the last
_NEAR = 0.5  # share of the largest sample from which on samples are looked at
_LEAST = 2.0**-9  # full scale is 1: under -54 dBFS steps of 16 bits look like plateaus
_EXACT = 1.5 * 2.0**-15  # width of a plateau that no codec has touched: a step of 16 bits, and rounding
_BLURS = (0.03, 0.08, 0.15)  # half the width of one that a codec has, in shares of its level
_MAX_BEYOND = 0.25  # samples far above a plateau, for each on it: overshoot of codecs
_MIN_SHARE = 0.002  # of samples, before a plateau is looked for behind a codec
_MIN_CROWDED = 0.15  # samples on it, for each that comes near it: natural extremes are rare
_CUT, _MIN_RIPPLES = 0.66, 0.1  # a chord that beats reaches 0.66 and has no ripples
_STRETCH, _NUM_STRETCHES = 8_192, 32  # frames around the peaks of so many units: what is looked at closely
_MIN_WIDE = 6  # frames near a blurred plateau: lines between fewer samples make a plateau of a round peak
_FEWEST = (6, 6, 16)  # times that a blurred plateau is reached: a few waves of a drum fit a wide one
_MIN_RUN = 2  # frames from the first sample of an exact plateau to the last
_MAX_BETWEEN = 0.005  # share of a pulse's samples between its levels


class Extreme:
    """One polarity of one channel."""

    def __init__(self, sign: int) -> None:
        self.peak = 0.0
        self.stretches = np.empty((2 * _NUM_STRETCHES, _STRETCH + 1), np.float32)  # each ends in zeros
        self._peaks: list[float] = []  # of the stretches
        self._sign = np.float32(sign)
        self._bins = np.zeros(_NUM_BINS, np.int64)
        self._place = np.zeros(1, np.int64)  # of the largest sample of a unit
        self._top = 0.0  # the exact plateau, if there is one, and the samples on it
        self._num_top = 0

    def is_near(self, peak: float) -> bool:
        """Does a unit with this largest sample hold any that matter here?"""
        return peak >= max(_LEAST, _NEAR * self.peak)

    def feed(self, wave: Wave, peaks: Wave, peak: float) -> None:
        """Take the next samples of which some matter; `peaks` are the largest of each run, `peak` of all."""
        self.peak = max(self.peak, peak)
        if peak > self._top + _EXACT:
            self._top, self._num_top = peak, 0
        self._num_top += crowd(
            wave,
            self._sign,
            peaks,
            np.float32(_NEAR * self.peak),
            np.float32(self._top - _EXACT),
            self._bins,
            self._place,
        )
        self._keep(wave, int(self._place[0]), peak)

    def num_clipped(self, num_frames: int, step: float) -> tuple[int, bool]:
        """Samples on a plateau, and whether it is exact; `step` is that of the quantiser."""
        if self.peak < max(_LEAST, 8 * step):
            return 0, False
        near = [n for n, peak in enumerate(self._peaks) if peak >= _NEAR * self.peak]
        joined = (self.kept() if len(near) == len(self._peaks) else self.stretches[near]).reshape(-1)
        exact = self._on_exact_plateau(joined, step)
        if exact:
            return exact, True
        counts = np.concatenate([[0], np.cumsum(self._bins)])
        look = (joined, counts, num_frames)
        limits = zip(_BLURS, _FEWEST, strict=True)
        return max(self._on_blurred_plateau(*look, blur, fewest) for blur, fewest in limits), False

    def kept(self) -> Wave:
        """(stretches, frames)."""
        return self.stretches[: len(self._peaks)]

    def _keep(self, wave: Wave, at: int, peak: float) -> None:
        first = max(0, min(at - _STRETCH // 2, len(wave) - _STRETCH))
        part, place = wave[first : first + _STRETCH], self.stretches[len(self._peaks)]
        np.multiply(part, self._sign, out=place[: len(part)])
        place[len(part) :] = 0
        self._peaks.append(peak)
        if len(self._peaks) == len(self.stretches):
            order = sorted(range(len(self._peaks)), key=lambda n: -self._peaks[n])[:_NUM_STRETCHES]
            self.stretches[:_NUM_STRETCHES] = self.stretches[order]
            self._peaks = [self._peaks[n] for n in order]

    def _on_exact_plateau(self, joined: Wave, step: float) -> int:
        width = max(_EXACT, 0.75 * step)
        near = joined >= np.float32(self.peak - 8 * width)
        if np.count_nonzero(near) < _MIN_RUN + 1:
            return 0
        inner, outer, _, _ = times(joined, self._top - width, self._top - 4 * width)
        flat = inner >= _MIN_RUN
        if not flat.any() or inner[flat].sum() < _CUT * outer[flat].sum():
            return 0
        return round(self._num_top * float(inner[flat].sum() / inner.sum()))

    def _on_blurred_plateau(
        self, joined: Wave, counts: npt.NDArray[np.int64], num_frames: int, blur: float, fewest: int
    ) -> int:
        """Of all levels with little beyond them, the one with most samples around it is looked at."""
        end = min(_NUM_BINS, int(self.peak * _PER_UNIT) + 1)
        levels = np.arange(end // 2 + 1, end)
        if not len(levels):
            return 0
        lower = np.floor(levels * (1 - blur)).astype(np.int64)
        upper = np.minimum(_NUM_BINS, np.ceil(levels * (1 + blur)).astype(np.int64))
        far = np.minimum(_NUM_BINS, np.ceil(levels * (1 + 2 * blur)).astype(np.int64))
        around = counts[upper] - counts[lower]
        around[counts[-1] - counts[far] > _MAX_BEYOND * around] = 0
        best = len(around) - 1 - int(around[::-1].argmax())  # the highest of equals
        num_on = int(counts[-1] - counts[lower[best]])
        near = int(counts[-1] - counts[max(int(levels[best] * (1 - 4 * blur)), end // 2)])
        if not around[best] or num_on < max(_MIN_SHARE * num_frames, _MIN_CROWDED * near):
            return 0
        level = levels[best] / _PER_UNIT
        inner, outer, num_lows, num_highs = times(joined, level * (1 - blur), level * (1 - 4 * blur))
        ripples = num_lows / max(1, num_highs)
        seen = outer >= _MIN_WIDE
        share = float(inner[seen].sum()) / max(float(outer[seen].sum()), 1e-9)
        is_cut = share > _CUT and ripples > _MIN_RIPPLES and len(inner) >= fewest
        return num_on if is_cut else 0


class Extremes:
    """Both polarities of one channel; `feed` it unit by unit."""

    def __init__(self) -> None:
        self.up, self.down = Extreme(1), Extreme(-1)

    def feed(self, wave: Wave, peaks: Wave) -> None:
        """Take the next samples; `peaks`: of each run the largest, and the smallest with its sign turned."""
        for extreme, of_runs in ((self.up, peaks[0]), (self.down, peaks[1])):
            peak = float(of_runs.max())
            if extreme.is_near(peak):
                extreme.feed(wave, of_runs, peak)


def clipped_share(channels: list[Extremes], num_frames: int, step: float) -> float:
    """Share of all samples on plateaus; of one or two channels."""
    num_clipped = 0
    for both in channels:
        found = [extreme.num_clipped(num_frames, step) for extreme in (both.up, both.down)]
        if not (any(exact for _, exact in found) and _is_pulse(both.up, both.down)):
            num_clipped += sum(number for number, _ in found)
    return num_clipped / (num_frames * len(channels))


def _is_pulse(up: Extreme, down: Extreme) -> bool:
    """Does the channel jump between two levels, and zero, with nothing in between?"""
    num_between = num_all = 0
    for extreme, other in ((up, down), (down, up)):
        for wave in extreme.kept():
            for values, peak in ((wave, extreme.peak), (-wave, other.peak)):
                num_all += int(np.count_nonzero(values > 0.05 * peak))
                num_between += int(np.count_nonzero((values > 0.05 * peak) & (values < 0.9 * peak)))
    return num_between <= _MAX_BETWEEN * num_all
