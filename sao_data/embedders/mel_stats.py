"""Level and colour of a sound: mean and standard deviation over time of its log-mel bands.

It needs no weights and runs everywhere. It knows how loud each band is and how much that moves, and nothing
of what is heard: good for noticing that something is wrong, not for saying that something is good. No
published number is made with it.
"""

# Shapes: C channels, T samples, S spectra, F frequencies, M bands.

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sao_data.errors import UsageError

Floats = npt.NDArray[np.float32]

_SIZE, _HOP = 2_048, 1_024  # samples of the transform and between two of them
_FLOOR = 1e-10  # power: -100 dB
_BLOCK = 512  # spectra at a time
_VERSION = 1  # of what is computed; another one, another digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How fine it listens."""

    num_bands: int = 64  # mel bands; there are twice as many dimensions


class MelStats:
    """The embedder: one vector a clip."""

    sample_rate: ClassVar[int] = 44_100  # Hz
    revision: ClassVar[str] = f"{_VERSION}"

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def model(self) -> str:
        return f"mel_stats-{self._config.num_bands}"

    @property
    def num_dimensions(self) -> int:
        return 2 * self._config.num_bands

    def check(self) -> None:
        """It can always work."""

    def digest(self) -> str:
        """sha256 (hex) of what takes the place of weights: version and bands."""
        return hashlib.sha256(f"mel_stats {_VERSION} {self._config.num_bands}".encode()).hexdigest()

    def embed(self, audio_CT: Floats) -> Floats:
        """(1, 2 M): means in dB of all bands, then their standard deviations."""
        mono_T = np.pad(audio_CT.mean(axis=0), (0, max(0, _SIZE - audio_CT.shape[1])))
        frames_ST = np.lib.stride_tricks.sliding_window_view(mono_T, _SIZE)[::_HOP]
        window = np.hanning(_SIZE + 1)[:-1].astype(np.float32)
        levels = []
        for at in range(0, len(frames_ST), _BLOCK):
            power_SF = np.square(np.abs(np.fft.rfft(frames_ST[at : at + _BLOCK] * window))) / _SIZE
            levels.append(10 * np.log10(np.maximum(power_SF @ self._bands_FM, _FLOOR)))
        level_SM = np.concatenate(levels)
        return np.concatenate([level_SM.mean(axis=0), level_SM.std(axis=0)])[None].astype(np.float32)

    @functools.cached_property
    def _bands_FM(self) -> npt.NDArray[np.float64]:
        from librosa.filters import mel  # compiled: slow to import

        bands = mel(sr=self.sample_rate, n_fft=_SIZE, n_mels=self._config.num_bands)
        return np.asarray(bands.T, np.float64)


def build(config: Config) -> MelStats:
    """Make the embedder."""
    if not 1 <= config.num_bands <= 256:
        raise UsageError(f"mel_stats: num_bands {config.num_bands}: want 1 to 256")
    return MelStats(config)
