"""Reconstruction loss of the codec: multi-resolution STFT, weighted as the ear hears, of sum, difference,
left and right (paper 4.1; weights from SAT's stable_audio_2_0_vae.json; STFT terms as in auraloss 0.4).

Spectral convergence is taken of each item and then averaged, where auraloss divides the norms of a whole
batch: so the loss of a batch is the mean of its items' losses, on however many processes they are.

    B batch   C channels (2)   T samples   F frequencies   S spectra
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import conv1d, l1_loss

from sao_model.precision import in_float32

NUM_TAPS = 101  # of the A-weighting filter
STEREO_WEIGHTS = {"code": 1.0, "paper": 0.5}  # of left and right, against sum and difference
_EPSILON = 1e-8  # least power of a bin, before the logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes of the spectra, and the weight of every term of the codec's training (SAT's config)."""

    fft_sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64, 32)  # windows are as long, hops a quarter
    stereo_weights: Literal["code", "paper"] = (
        "code"  # of sum, difference, left, right: all 0.5 in SAT's code; the last two 0.25 by paper 4.1
    )
    normalise_by: Literal["reconstruction", "original"] = (
        "reconstruction"  # spectral convergence; SAT's order
    )
    spectral: float = 1.0
    adversarial: float = 0.1
    feature_matching: float = 5.0
    time: float = 0.0  # L1 of the samples
    kl: float = 1e-4


class StftLoss(nn.Module):
    """Spectral convergence plus log-magnitude L1, mean over resolutions (Yamamoto et al. 2020)."""

    def __init__(self, config: Config, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("taps", a_weighting(sample_rate), persistent=False)
        for size in config.fft_sizes:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    @in_float32
    def forward(self, output_BCT: Tensor, original_BCT: Tensor) -> Tensor:
        """Distance of a stereo reconstruction from its original, in float32."""
        assert output_BCT.shape == original_BCT.shape, (output_BCT.shape, original_BCT.shape)
        assert output_BCT.shape[1] == 2, output_BCT.shape
        output, original = self._weighted(output_BCT.float()), self._weighted(original_BCT.float())
        distances = [self._at(size, output, original) for size in self.config.fft_sizes]
        mid, side, left, right = torch.stack(distances).mean(0)
        against = STEREO_WEIGHTS[self.config.stereo_weights]
        return cast("Tensor", (mid + side) / 2 + against * (left + right) / 2)

    def _at(self, size: int, output_BCT: Tensor, original_BCT: Tensor) -> Tensor:
        """Distances (4,) of sum, difference, left and right at one resolution."""
        window = cast("Tensor", getattr(self, f"window_{size}"))
        pairs = zip(magnitudes(output_BCT, window), magnitudes(original_BCT, window), strict=True)
        return torch.stack([self._distance(output, original) for output, original in pairs])

    def _distance(self, output_BFS: Tensor, original_BFS: Tensor) -> Tensor:
        norm_BFS = output_BFS if self.config.normalise_by == "reconstruction" else original_BFS
        convergence_B = _norms(original_BFS - output_BFS) / _norms(norm_BFS)
        return convergence_B.mean() + l1_loss(output_BFS.log(), original_BFS.log())

    def _weighted(self, x_BCT: Tensor) -> Tensor:
        taps = cast("Tensor", self.taps)
        weighted = conv1d(x_BCT.reshape(-1, 1, x_BCT.shape[-1]), taps[None, None], padding=NUM_TAPS // 2)
        return weighted.view_as(x_BCT)


def time_loss(output_BCT: Tensor, original_BCT: Tensor) -> Tensor:
    """L1 of the samples, in float32."""
    return l1_loss(output_BCT.float(), original_BCT.float())


def magnitudes(x_BCT: Tensor, window: Tensor) -> tuple[Tensor, ...]:
    """Magnitudes (B, F, S) of sum, difference, left and right; FFT as long as the window, hop a quarter."""
    size = len(window)
    spectra = torch.stft(x_BCT.flatten(0, 1), size, size // 4, size, window, return_complex=True)
    left, right = spectra.view(*x_BCT.shape[:2], *spectra.shape[1:]).unbind(1)
    power = (s.real**2 + s.imag**2 for s in (left + right, left - right, left, right))  # spectra are linear
    return tuple(p.clamp(min=_EPSILON).sqrt() for p in power)


def a_weighting(sample_rate: int) -> Tensor:
    """The A curve (IEC 61672-1, annex E) as a symmetric filter of 101 taps, least squares in magnitude."""
    from scipy import signal

    f1, f2, f3, f4 = 20.598997, 107.65265, 737.86223, 12194.217  # Hz, poles
    a1000 = 1.9997  # dB, so that 1 kHz passes at 0 dB
    two_pi = 2 * math.pi
    numerator = [(two_pi * f4) ** 2 * 10 ** (a1000 / 20), 0, 0, 0, 0]
    denominator = np.poly([-two_pi * f for f in (f4, f4, f1, f1, f3, f2)])
    frequencies, response = signal.freqz(
        *signal.bilinear(numerator, denominator, fs=sample_rate), fs=sample_rate
    )
    taps = signal.firls(NUM_TAPS, frequencies, np.abs(response), fs=sample_rate)
    return torch.from_numpy(np.asarray(taps, dtype=np.float32))


def _norms(x_BFS: Tensor) -> Tensor:
    """Frobenius norm of each item."""
    return cast("Tensor", vector_norm(x_BFS, dim=(1, 2)))
