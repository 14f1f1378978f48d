"""What is measured against: diffusers' modules in the shape of a preset, and where it was measured."""

from __future__ import annotations

import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from sao_model import codec, dit


def transformer(shape: dit.Config, num_latents: int) -> nn.Module:
    """diffusers' transformer, random weights."""
    import diffusers

    model: nn.Module = diffusers.StableAudioDiTModel(
        sample_size=num_latents,
        in_channels=shape.latent_dim,
        out_channels=shape.latent_dim,
        num_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_attention_heads=shape.cross_dim // shape.head_dim,
        cross_attention_dim=shape.cross_dim,
        cross_attention_input_dim=shape.cross_dim,
        global_states_input_dim=shape.global_dim,
    )
    return model


def vae(shape: codec.Config) -> nn.Module:
    """diffusers' codec, random weights."""
    import diffusers

    model: nn.Module = diffusers.AutoencoderOobleck(
        encoder_hidden_size=2 * shape.latent_dim,
        downsampling_ratios=list(shape.strides),
        channel_multiples=list(shape.multiples),
        decoder_channels=shape.width,
        decoder_input_channels=shape.latent_dim,
    )
    return model


def rotary(num_latents: int) -> Any:
    """The table that diffusers' pipeline hands its transformer."""
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    return get_1d_rotary_pos_embed(32, num_latents + 1, use_real=True, repeat_interleave_real=False)


def where(*packages: str) -> str:
    """Date, processor and versions, for the last line of a table."""
    tools = ", ".join(f"{name} {version(name)}" for name in packages)
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = names[0].partition(":")[2].strip() if names else "CPU unknown"
    return f"{datetime.date.today()}; {cpu}; {tools}"
