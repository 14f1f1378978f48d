"""The discriminators of the codec's training: five, each on a complex spectrogram of its own resolution.

Paper 4.1, "as in Encodec" (arXiv 2210.13438, 3.4), with the sizes of SAT's stable_audio_2_0_vae.json. On a
spectrogram as an image: one convolution, three that see ever longer (dilations 1, 2, 4 in time) while they
halve the frequencies, one more, and a last one that yields a map of verdicts instead of a single one.

    B batch   C channels (audio)   T samples   S spectra   F frequencies   K filters
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import weight_norm

from sao_model.precision import in_float32

KERNEL = (3, 9)  # spectra, frequencies
DILATIONS = (1, 2, 4)  # in time
STRIDE = 2  # along frequency, of the dilated ones (SAT's since May 2025: 1; its release: EnCodec's)
SLOPE = 0.2  # of the leaky ReLU


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes; the defaults are SAT's (stable_audio_2_0_vae.json, "discriminator")."""

    filters: int = 64  # of every convolution: EnCodec's growth of 1
    fft_sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128)  # windows are as long, hops a quarter


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one discriminator makes of audio."""

    logits: Tensor  # (B, 1, S, F / 8): above zero where it sounds real
    features: tuple[Tensor, ...]  # five (B, K, S, F…), after the activation of each layer but the last


class Discriminator(nn.Module):
    """All discriminators: a verdict at every resolution."""

    def __init__(self, config: Config, num_channels: int = 2) -> None:
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(
            SpectrogramDiscriminator(config.filters, size, num_channels) for size in config.fft_sizes
        )

    def forward(self, x_BCT: Tensor) -> tuple[Verdict, ...]:
        """Verdicts on audio of at least as many samples as the largest spectrum has."""
        return tuple(cast("Verdict", scale(x_BCT)) for scale in self.scales)


class SpectrogramDiscriminator(nn.Module):
    """The discriminator of one resolution; the weight of every convolution is normalised, as in SAT.

    (EnCodec's public code leaves the first one plain, unlike its paper.)
    """

    def __init__(self, filters: int, fft_size: int, num_channels: int) -> None:
        super().__init__()
        window = torch.hann_window(fft_size)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)  # energy 1
        self.layers = nn.ModuleList(
            [
                _conv(2 * num_channels, filters, KERNEL),  # real and imaginary parts of every channel
                *(_conv(filters, filters, KERNEL, STRIDE, dilation) for dilation in DILATIONS),
                _conv(filters, filters, (KERNEL[0], KERNEL[0])),
            ]
        )
        self.last = _conv(filters, 1, (KERNEL[0], KERNEL[0]))

    def forward(self, x_BCT: Tensor) -> Verdict:
        features, x_BKSF = [], spectrogram(x_BCT, cast("Tensor", self.window))
        for layer in self.layers:
            x_BKSF = leaky_relu(layer(x_BKSF), SLOPE)
            features.append(x_BKSF)
        return Verdict(logits=self.last(x_BKSF), features=tuple(features))


@in_float32
def spectrogram(x_BCT: Tensor, window: Tensor) -> Tensor:
    """Real parts of all channels, then imaginary ones (B, 2C, S, F): of whole windows only, without padding.

    The FFT is as long as the window, the hop a quarter of it.
    """
    size = len(window)
    assert x_BCT.shape[-1] >= size, (x_BCT.shape, size)
    spectra = torch.stft(
        x_BCT.flatten(0, 1), size, size // 4, size, window, center=False, return_complex=True
    )
    spectra_BCSF = spectra.view(*x_BCT.shape[:2], *spectra.shape[1:]).transpose(2, 3)
    return torch.cat([spectra_BCSF.real, spectra_BCSF.imag], dim=1)


def _conv(
    width_in: int, width_out: int, kernel: tuple[int, int], stride: int = 1, dilation: int = 1
) -> nn.Module:
    """A convolution that keeps the number of spectra, and of frequencies if it takes no strides."""
    padding = (dilation * (kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
    conv = nn.Conv2d(width_in, width_out, kernel, (1, stride), padding, (dilation, 1))
    return cast("nn.Module", weight_norm(conv))
