"""From decoded floats to what is stored: 44.1 kHz, stereo, 16 bits, one rounding at the very end.

Mono is duplicated, more than two channels are mixed down (downmix.py). What needs neither, nor another rate,
passes bit for bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from sao_data.audio.downmix import Mix
from sao_data.audio.kernels.samples import to_pcm
from sao_data.audio.rejected import AudioRejected
from sao_data.records import NUM_CHANNELS, SAMPLE_RATE

Floats = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]  # (frames, 2), 44.1 kHz

# 16-bit PCM is x / 32768: 16-bit sources at 44.1 kHz pass through bit for bit.
_NOT_FINITE = int(np.float32(2.0**113).view(np.int32))  # bits of what times 32,768 is infinite; NaN has more


class Stereo:
    """Float blocks of any rate, channel count and size in, 16-bit stereo at 44.1 kHz out."""

    def __init__(self, sample_rate: int, mix: Mix, gain: float = 1.0) -> None:
        self.num_frames = 0  # put out so far
        self.num_clipped = 0  # samples beyond full scale
        self.peak = 0.0  # of what came before rounding and clipping; full scale is 1
        self._mix = mix
        self._gain = np.float32(gain)
        self._num_kept = mix.num_channels
        self._resampler: soxr.ResampleStream | None = None
        if sample_rate != SAMPLE_RATE:
            # HQ: -136 dB aliasing at the band edge; the lower qualities are no faster.
            self._resampler = soxr.ResampleStream(
                sample_rate, SAMPLE_RATE, self._num_kept, dtype="float32", quality="HQ"
            )

    def push(self, block: Floats) -> Pcm:
        """Convert the next (frames, channels) block; AudioRejected("non_finite") for NaN or infinity."""
        kept = self._mix.apply(block)
        return self._round(self._resampler.resample_chunk(kept) if self._resampler else kept)

    def finish(self) -> Pcm:
        """Flush what the resampler still holds."""
        if self._resampler is None:
            return np.empty((0, NUM_CHANNELS), np.int16)
        return self._round(
            self._resampler.resample_chunk(np.empty((0, self._num_kept), np.float32), last=True)
        )

    def _round(self, block: Floats) -> Pcm:
        pcm = np.empty((len(block), NUM_CHANNELS), np.int16)
        if self._gain != 1:
            block = block * self._gain
        flat, beyond = block.reshape(-1), np.zeros(1, np.int64)
        largest = np.int32(to_pcm(flat, flat.view(np.int32), pcm.reshape(-1), beyond))
        if largest >= _NOT_FINITE:  # NaN and infinity come through the resampler
            raise AudioRejected("non_finite", f"NaN or infinity near {self.num_frames / SAMPLE_RATE:.1f} s")
        self.peak = max(self.peak, float(largest.view(np.float32)))
        # +32768 itself is one step off: that is rounding, not clipping.
        self.num_clipped += int(beyond[0])
        self.num_frames += len(pcm)
        return pcm
