"""What learning an adapter takes in memory, in bytes, by what takes it.

base            frozen linear layers of the blocks: 2 bytes a number with adapter.base_dtype = bf16, else 4
other frozen    4 bytes a number: codec, text encoder, what else the transformer has
adapter         4 bytes; gradients 4, averages 4, AdamW's two moments 8; with bf16 2 more, for casts
activations     the DiT's, as for whole models (memory.py: what frozen layers need not keep, the adapter
                keeps); twice that for DoRA, which puts each weight together anew; less with bf16. Or the
                codec's, which encodes before that, in float32, if that is more; not with latents
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sao_model import memory, preset, train_dit
from sao_model.adapters import layers
from sao_model.adapters.layers import AdapterForm
from sao_model.dit import DiT

# Of what a whole model's step keeps: (is it DoRA, is it in bf16). Measured on the CPU: 0.95 to 0.98, 0.56;
# 2.0, 1.2 to 1.55, since DoRA's norms stay in float32.
_SHARES = {(False, False): 1.0, (False, True): 0.6, (True, False): 2.0, (True, True): 1.6}


def form(config: train_dit.Config, shape: preset.Config) -> AdapterForm:
    """The adapter that a training learns, counted without memory."""
    with torch.device("meta"):
        net = DiT(shape.dit)
    wanted = config.adapter
    return AdapterForm(
        kind=wanted.kind or "lora",
        rank=wanted.rank,
        alpha=wanted.alpha,
        layers=layers.matched(net, wanted.targets),
    )


def fixed(config: train_dit.Config, shape: preset.Config, counted: Mapping[str, int]) -> dict[str, int]:
    """Bytes that are there at every step; `counted`: numbers in each part of the model."""
    with torch.device("meta"):
        net = DiT(shape.dit)
    rounded = sum(p.numel() for layer in layers.linears(net.blocks).values() for p in layer.parameters())
    learned, is_half = form(config, shape).parameters, config.adapter.base_dtype == "bf16"
    return {
        "base": (2 if is_half else 4) * rounded,
        "other frozen": 4 * (sum(counted.values()) - rounded),
        "adapter": 4 * learned + 2 * learned * (config.precision == "bf16"),
        "gradients": 4 * learned,
        "moments": 8 * learned,
        "averages": 4 * learned,
    }


def per_sample(config: train_dit.Config, shape: preset.Config, *, encodes: bool) -> int:
    """Bytes of activations for a sample, where audio is encoded at every step or not."""
    share = _SHARES[config.adapter.kind == "dora", config.precision == "bf16"]
    net = int(share * memory.dit_training(shape.dit, shape.num_latents, config.checkpointing))
    return max(net, memory.codec_one_way(shape.codec, shape.num_latents)) if encodes else net
