"""The codec: Oobleck, a variational autoencoder on raw stereo audio (paper 2.1; arXiv 2404.10301, 2.1).

Five strided convolution blocks turn 44.1 kHz stereo into 64 channels at 21.5 Hz, five mirrored ones turn
them back. The output has no tanh: it would distort (paper 2.1).

    B batch   C channels (audio, or hidden)   T samples   D latent channels   L latents
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

from sao_model import chunked
from sao_model.precision import in_float32

DILATIONS = (1, 3, 9)  # of the three residual units in a block
STRETCH = 512  # latents at a time through the innermost block
MIDDLE = 64  # … and through the next one, whose filters are large too


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Shape of the codec; the defaults are the released model's (model_config.json, "pretransform")."""

    num_channels: int = 2
    width: int = 128  # "channels"
    multiples: tuple[int, ...] = (1, 2, 4, 8, 16)  # "c_mults": hidden channels of each block over width
    strides: tuple[int, ...] = (2, 4, 4, 8, 8)  # even: odd ones do not restore the length
    latent_dim: int = 64

    @property
    def hop(self) -> int:
        """Samples per latent."""
        return math.prod(self.strides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What the encoder says of the latents: a normal distribution for each."""

    mean_BDL: Tensor
    std_BDL: Tensor

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """Draw latents; the noise comes from `generator` (None: PyTorch's own)."""
        return self.mean_BDL + self.std_BDL * noise_like(self.mean_BDL, generator)

    def kl(self) -> Tensor:
        """Divergence from N(0, 1): sum over channels, mean over batch and time, no factor one half."""
        return _divergence(self.mean_BDL, self.std_BDL)


class Snake(nn.Module):
    """x + sin²(ax)/b with a and b learned per channel, in log scale (Ziyin et al. 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))

    @in_float32
    def forward(self, x_BCT: Tensor) -> Tensor:
        alpha_C1, beta_C1 = self.alpha.exp()[:, None], self.beta.exp()[:, None]
        return x_BCT + (1 / (beta_C1 + 1e-9)) * torch.sin(alpha_C1 * x_BCT).pow(2)


class ResidualUnit(nn.Module):
    """Snake, dilated convolution, snake, 1x1 convolution, and the input added."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.snake1 = Snake(width)
        self.conv1 = weight_norm(nn.Conv1d(width, width, 7, dilation=dilation, padding=3 * dilation))
        self.snake2 = Snake(width)
        self.conv2 = weight_norm(nn.Conv1d(width, width, 1))
        self.checkpointing = False

    def forward(self, x_BCT: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return cast("Tensor", checkpoint(self._forward, x_BCT, use_reentrant=False))
        return self._forward(x_BCT)

    def _forward(self, x_BCT: Tensor) -> Tensor:
        return x_BCT + cast("Tensor", self.conv2(self.snake2(self.conv1(self.snake1(x_BCT)))))


class EncoderBlock(nn.Module):
    """Residual units at the input width, then a strided convolution to the output width."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.units = nn.Sequential(*(ResidualUnit(width_in, dilation) for dilation in DILATIONS))
        self.snake = Snake(width_in)
        padding = math.ceil(stride / 2)
        self.conv = weight_norm(nn.Conv1d(width_in, width_out, 2 * stride, stride, padding))

    def forward(self, x_BCT: Tensor) -> Tensor:
        return cast("Tensor", self.conv(self.snake(self.units(x_BCT))))


class DecoderBlock(nn.Module):
    """A transposed strided convolution to the output width, then residual units at that width."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.snake = Snake(width_in)
        padding = math.ceil(stride / 2)
        # Norms per *input* channel (dim 0 of a transposed weight), as the released weights have them.
        self.conv = weight_norm(nn.ConvTranspose1d(width_in, width_out, 2 * stride, stride, padding))
        self.units = nn.Sequential(*(ResidualUnit(width_out, dilation) for dilation in DILATIONS))

    def forward(self, x_BCT: Tensor) -> Tensor:
        return cast("Tensor", self.units(self.conv(self.snake(x_BCT))))


class Codec(nn.Module):
    """Audio to latents and back."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        assert all(stride % 2 == 0 for stride in config.strides), config.strides
        assert len(config.strides) == len(config.multiples), config
        widths = [config.width * multiple for multiple in (1, *config.multiples)]
        blocks = list(zip(widths[:-1], widths[1:], config.strides, strict=True))
        self.encoder = nn.Sequential(
            weight_norm(nn.Conv1d(config.num_channels, widths[0], 7, padding=3)),
            *(EncoderBlock(narrow, wide, stride) for narrow, wide, stride in blocks),
            Snake(widths[-1]),
            weight_norm(nn.Conv1d(widths[-1], 2 * config.latent_dim, 3, padding=1)),
        )
        self.decoder = nn.Sequential(
            weight_norm(nn.Conv1d(config.latent_dim, widths[-1], 7, padding=3)),
            *(DecoderBlock(wide, narrow, stride) for narrow, wide, stride in reversed(blocks)),
            Snake(widths[0]),
            weight_norm(nn.Conv1d(widths[0], config.num_channels, 7, padding=3, bias=False)),
        )

    @property
    def checkpointing(self) -> bool:
        """Whether residual units recompute activations in the backward pass instead of keeping them."""
        return all(unit.checkpointing for unit in self._units())

    @checkpointing.setter
    def checkpointing(self, on: bool) -> None:
        for unit in self._units():
            unit.checkpointing = on

    def forward(self, x_BCT: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Posterior]:
        """Reconstruct: encode, sample, decode. What training runs (and wraps for several processes)."""
        posterior = self.encode(x_BCT)
        return self.decode(posterior.sample(generator)), posterior

    def encode(self, x_BCT: Tensor) -> Posterior:
        """Posterior of the latents; T must be a multiple of the hop."""
        return _posterior(self._encoded(x_BCT))

    def decode(self, z_BDL: Tensor) -> Tensor:
        """Audio (B, C, L * hop), neither clamped nor normalised."""
        assert z_BDL.shape[1] == self.config.latent_dim, z_BDL.shape
        return cast("Tensor", self.decoder(z_BDL))

    def decode_in_chunks(
        self,
        z_BDL: Tensor,
        num_frames: int | None = None,
        *,
        chunk: int | None = None,
        progress: chunked.Progress | None = None,
    ) -> Tensor:
        """Decode in a fraction of the time and memory, without gradients: equal to `decode` up to float32, or
        to its first `num_frames`. The outer blocks take `chunk` latents at a time (None: what suits the
        device)."""
        assert z_BDL.shape[1] == self.config.latent_dim, z_BDL.shape
        parts, chunk = list(self.decoder), chunk or chunk_on(z_BDL.device)
        sections = [(parts[:2], STRETCH), (parts[2:3], max(chunk, MIDDLE)), (parts[3:], chunk)]
        return chunked.run(z_BDL, [_section(*section) for section in sections], progress, num_frames)

    def encode_in_chunks(
        self, x_BCT: Tensor, *, chunk: int | None = None, progress: chunked.Progress | None = None
    ) -> Posterior:
        """Encode likewise: equal to `encode` up to float32; T must be a multiple of the hop."""
        return self.encode_by(self.encoder_sections(chunk or chunk_on(x_BCT.device)), x_BCT, progress)

    def encoder_sections(self, chunk: int) -> list[chunked.Section]:
        """The encoder as it runs in pieces: weights copied as they are now, to be used many times."""
        parts = list(self.encoder)
        sections = [(parts[:-4], chunk), (parts[-4:-3], max(chunk, MIDDLE)), (parts[-3:], STRETCH)]
        return [_section(*section) for section in sections]

    def encode_by(
        self, sections: list[chunked.Section], x_BCT: Tensor, progress: chunked.Progress | None = None
    ) -> Posterior:
        """What `encoder_sections` make of audio."""
        self._check(x_BCT)
        return _posterior(chunked.run(x_BCT, sections, progress))

    @property
    def encoder_reach(self) -> int:
        """Latents on either side of a sample, beside its own, that may depend on it."""
        layers, hop = (
            [layer for section in self.encoder_sections(1) for layer in section.layers],
            self.config.hop,
        )
        middle = 1 << 12  # far from both ends
        needs = chunked.demands(layers, chunked.Span(middle, middle + 1), 2 * middle * hop)[0]
        return -(-max(middle * hop - needs.start, needs.end - (middle + 1) * hop) // hop)

    def _units(self) -> list[ResidualUnit]:
        return [module for module in self.modules() if isinstance(module, ResidualUnit)]

    def _check(self, x_BCT: Tensor) -> None:
        assert x_BCT.shape[1] == self.config.num_channels, x_BCT.shape
        assert x_BCT.shape[-1] % self.config.hop == 0, (x_BCT.shape, self.config.hop)

    def _encoded(self, x_BCT: Tensor) -> Tensor:
        self._check(x_BCT)
        return cast("Tensor", self.encoder(x_BCT))


def noise_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Normal noise in the shape of `x`, drawn on the generator's device, so that a CPU seed means the same
    everywhere."""
    device = generator.device if generator else x.device
    return torch.randn(x.shape, generator=generator, device=device, dtype=torch.float32).to(x.device, x.dtype)


def chunk_on(device: torch.device) -> int:
    """Latents at a time through the outer blocks: few enough for a processor's cache, or to fill a GPU."""
    return 8 if device.type == "cpu" else 256


@in_float32
def _divergence(mean_BDL: Tensor, std_BDL: Tensor) -> Tensor:
    variance_BDL = std_BDL**2
    kl_BDL = mean_BDL**2 + variance_BDL - variance_BDL.log() - 1
    return kl_BDL.sum(1).mean()


@in_float32
def _posterior(encoded_BEL: Tensor) -> Posterior:
    mean_BDL, scale_BDL = encoded_BEL.chunk(2, dim=1)
    return Posterior(mean_BDL=mean_BDL, std_BDL=softplus(scale_BDL) + 1e-4)


def _section(parts: list[nn.Module], latents: int) -> chunked.Section:
    return chunked.Section([layer for part in parts for layer in _layers(part)], latents)


def _layers(module: nn.Module) -> list[chunked.Layer]:
    """A module's layers as they run piece by piece; norms are taken here, once."""
    match module:
        case Snake():
            return [_snake(module)]
        case ResidualUnit():
            conv1, conv2 = chunked.ConvRows(module.conv1), cast("nn.Conv1d", module.conv2)
            return [chunked.UnitRows(_snake(module.snake1), conv1, _snake(module.snake2), conv2)]
        case EncoderBlock() | DecoderBlock() | nn.Sequential():
            return [layer for child in module.children() for layer in _layers(child)]
        case nn.ConvTranspose1d():
            return [chunked.UpRows(module)]
        case _:
            conv = cast("nn.Conv1d", module)
            return [chunked.ConvRows(conv) if conv.stride == (1,) else chunked.DownRows(conv)]


def _snake(snake: Snake) -> chunked.SnakeRows:
    return chunked.SnakeRows(snake.alpha.detach(), snake.beta.detach())
