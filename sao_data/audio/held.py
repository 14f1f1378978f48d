"""Samples held until there are enough of them, so that no sum depends on how the audio came in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]


class Held:
    """Hands out (frames, 2) blocks in units of one size, each behind the `num_before` frames before it.

    What it hands out is overwritten when it goes on. Before the start are zeros.
    """

    def __init__(self, num_before: int, unit: int) -> None:
        self._before, self._unit = num_before, unit
        self._buffer = np.empty((num_before + unit, 2), np.int16)
        self._buffer[:num_before] = 0
        self.num_held = 0

    def push(self, pcm: Pcm) -> Iterator[Pcm]:
        """Take the next frames."""
        while len(pcm):
            part = pcm[: self._unit - self.num_held]
            pcm = pcm[len(part) :]
            start = self._before + self.num_held
            self._buffer[start : start + len(part)] = part
            self.num_held += len(part)
            if self.num_held == self._unit:
                yield self._buffer
                self._buffer[: self._before] = self._buffer[self._unit :].copy()
                self.num_held = 0

    def rest(self, num_frames: int = 0) -> Pcm:
        """What is left, filled up with zeros to so many frames."""
        end = self._before + self.num_held
        last = max(end, self._before + num_frames)
        self._buffer[end:last] = 0
        return self._buffer[:last]
