"""Floating-point operations of a model's parts, for one sample, computed from its config.

A multiplication and its addition count two. Convolutions, linear layers and attention are counted, as
PyTorch's own counter does; norms, activations, rotary positions, the loss's Fourier transforms and the timing
embedders are not: together below a percent. A backward pass takes twice the forward pass of what is trained,
once that of what gradients only pass through. What checkpointing computes again counts too: all but the last
layer of each piece, whose output nothing asks for.

    DiT      2.3 TFLOP forward for 1024 latents, 6.8 with the backward pass (7.0 if every parameter met every
             token: keys and values of the text meet 130)
    codec    0.16 TFLOP each for encoder and decoder on 65,536 samples; 0.97 forward and backward of both
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_model import codec, discriminator, dit
from sao_model.conditioners import t5

_TAPS = 7  # of the codec's convolutions
_UNITS = len(codec.DILATIONS)  # residual units in a block: a convolution of 7 taps, one of 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecFlops:
    """Each way through the codec, and what checkpointing of its residual units computes again."""

    encode: int
    decode: int
    again: int  # of either way


def of_codec(config: codec.Config, num_frames: int) -> CodecFlops:
    """Encoder and decoder on so many samples."""
    widths = [config.width * multiple for multiple in (1, *config.multiples)]
    ends = config.num_channels * widths[0] * _TAPS * num_frames  # first layer of one, last of the other
    encode = decode = ends
    units, again, length = 0, 0, num_frames
    for narrow, wide, stride in zip(widths[:-1], widths[1:], config.strides, strict=True):
        units += _UNITS * (_TAPS + 1) * narrow * narrow * length
        again += _UNITS * _TAPS * narrow * narrow * length
        length //= stride
        # Strided or transposed, of 2 stride taps: each of the fewer samples meets all of them.
        encode += narrow * wide * 2 * stride * length
        decode += narrow * wide * 2 * stride * length
    encode += units + widths[-1] * 2 * config.latent_dim * 3 * length
    decode += units + config.latent_dim * widths[-1] * _TAPS * length
    return CodecFlops(encode=2 * encode, decode=2 * decode, again=2 * again)


def of_dit(config: dit.Config, num_latents: int, num_told: int) -> int:
    """The transformer on a window, told `num_told` tokens."""
    width, cross, tokens = config.width, config.cross_dim, num_latents + 1
    latents = config.latent_dim * (config.latent_dim + width) * num_latents
    ends = latents + config.latent_dim * (width * tokens + config.latent_dim * num_latents)
    told = 2 * cross * cross * num_told + (config.global_dim + config.num_features + 2 * width) * width
    return 2 * (ends + told) + _of_blocks(config, num_latents, num_told)


def of_dit_again(config: dit.Config, num_latents: int, num_told: int) -> int:
    """What checkpointing of its blocks computes again."""
    last = config.multiple * config.width**2 * (num_latents + 1)
    return _of_blocks(config, num_latents, num_told) - 2 * config.num_layers * last


def _of_blocks(config: dit.Config, num_latents: int, num_told: int) -> int:
    width, tokens = config.width, num_latents + 1
    linear = (
        (6 * width + 3 * config.multiple * width) * width * tokens
    )  # qkv 3, out 1, q 1, out 1; feed-forward
    keys_values = 2 * config.cross_dim**2 * num_told
    attention = 2 * tokens * (tokens + num_told) * width
    return 2 * config.num_layers * (linear + keys_values + attention)


def of_text(config: t5.Config) -> int:
    """The text encoder on one prompt."""
    inner, tokens = config.num_heads * config.head_dim, config.max_tokens
    linear = (4 * config.width * inner + 2 * config.width * config.ff_dim) * tokens
    return 2 * config.num_layers * (linear + 2 * tokens * tokens * inner)


def of_judges(config: discriminator.Config, num_channels: int, num_frames: int) -> int:
    """All discriminators on so many samples."""
    rows, columns = discriminator.KERNEL
    total = 0
    for size in config.fft_sizes:
        first, *strided = _shapes(size, num_frames)
        area = rows * columns
        total += 2 * num_channels * config.filters * area * first
        total += sum(config.filters**2 * area * each for each in strided)
        total += (config.filters + 1) * config.filters * rows * rows * strided[-1]
    return 2 * total


def judges_numbers(config: discriminator.Config, num_frames: int) -> int:
    """Numbers in the feature maps of all discriminators."""
    every = (_shapes(size, num_frames) for size in config.fft_sizes)
    return config.filters * sum(sum(shapes) + shapes[-1] for shapes in every)


def _shapes(size: int, num_frames: int) -> list[int]:
    """Spectra times frequencies behind the first convolution and each of the dilated ones."""
    spectra, frequencies = (num_frames - size) // (size // 4) + 1, size // 2 + 1
    found = [spectra * frequencies]
    for _ in discriminator.DILATIONS:
        frequencies = (frequencies - 1) // discriminator.STRIDE + 1
        found.append(spectra * frequencies)
    return found
