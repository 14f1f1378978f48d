"""The names of this model's parameters elsewhere: in stable-audio-tools, and in diffusers.

Each layout is a function from our parameter names to theirs; the other direction is its inverse over the
names a model has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple


class ForeignNames(NamedTuple):
    """Where a parameter lies elsewhere: the file, and its names there (several: cut along dim 0)."""

    part: str
    names: tuple[str, ...]


Layout = Callable[[str, int], ForeignNames]  # (our parameter name, number of codec blocks) -> theirs

_UNIT_SAT = {"snake1": "layers.0", "conv1": "layers.1", "snake2": "layers.2", "conv2": "layers.3"}
_UNIT_DIFFUSERS = {key: key for key in _UNIT_SAT}
_BLOCK_SAT = {
    "encoder": {"snake": "layers.3", "conv": "layers.4"} | {f"units.{i}": f"layers.{i}" for i in range(3)},
    "decoder": {"snake": "layers.0", "conv": "layers.1"}
    | {f"units.{i}": f"layers.{i + 2}" for i in range(3)},
}
_UNITS = {f"units.{i}": f"res_unit{i + 1}" for i in range(3)}
_BLOCK_DIFFUSERS = {
    "encoder": {**_UNITS, "snake": "snake1", "conv": "conv1"},
    "decoder": {**_UNITS, "snake": "snake1", "conv": "conv_t1"},
}
_DIT_SAT = {
    "features": "timestep_features", "embed_time": "to_timestep_embed", "embed_global": "to_global_embed",
    "embed_cross": "to_cond_embed", "pre_conv": "preprocess_conv", "post_conv": "postprocess_conv",
    "project_in": "transformer.project_in", "project_out": "transformer.project_out",
}  # fmt: skip
_DIT_DIFFUSERS = {
    "features": "time_proj", "embed_time": "timestep_proj", "embed_global": "global_proj",
    "embed_cross": "cross_attention_proj", "pre_conv": "preprocess_conv", "post_conv": "postprocess_conv",
    "project_in": "proj_in", "project_out": "proj_out",
}  # fmt: skip
_LAYER_SAT = {
    "norm1.weight": "pre_norm.gamma", "norm2.weight": "cross_attend_norm.gamma",
    "norm3.weight": "ff_norm.gamma", "self_attn.qkv": "self_attn.to_qkv", "self_attn.out": "self_attn.to_out",
    "cross_attn.q": "cross_attn.to_q", "cross_attn.kv": "cross_attn.to_kv",
    "cross_attn.out": "cross_attn.to_out", "ff.proj": "ff.ff.0.proj", "ff.out": "ff.ff.2",
}  # fmt: skip
_LAYER_DIFFUSERS = {
    "self_attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"), "self_attn.out": ("attn1.to_out.0",),
    "cross_attn.q": ("attn2.to_q",), "cross_attn.kv": ("attn2.to_k", "attn2.to_v"),
    "cross_attn.out": ("attn2.to_out.0",), "ff.proj": ("ff.net.0.proj",), "ff.out": ("ff.net.2",),
}  # fmt: skip


def sat(name: str, num_blocks: int) -> ForeignNames:
    """The name in stable-audio-tools (model.safetensors)."""
    part, rest = _plain(name).split(".", 1)
    if part == "codec":
        side, index, rest = rest.split(".", 2)
        rest = _inside(rest, _BLOCK_SAT[side], _UNIT_SAT) if 0 < int(index) <= num_blocks else rest
        return ForeignNames("", (f"pretransform.model.{side}.layers.{index}.{rest}",))
    if part == "conditioners":
        number, layer = rest.split(".", 1)
        layer = layer.replace("frequencies", "0.weights").replace("linear", "1")
        return ForeignNames("", (f"conditioner.conditioners.{number}.embedder.embedding.{layer}",))
    if rest.startswith("blocks."):
        _, index, rest = rest.split(".", 2)
        return ForeignNames("", (f"model.model.transformer.layers.{index}.{_translated(rest, _LAYER_SAT)}",))
    return ForeignNames("", (f"model.model.{_translated(rest, _DIT_SAT)}",))


def diffusers(name: str, num_blocks: int) -> ForeignNames:
    """The file and names in diffusers' folders."""
    part, rest = _plain(name).split(".", 1)
    if part == "codec":
        side, index, rest = rest.split(".", 2)
        if 0 < int(index) <= num_blocks:
            rest = f"block.{int(index) - 1}.{_inside(rest, _BLOCK_DIFFUSERS[side], _UNIT_DIFFUSERS)}"
        else:
            outer = {0: "conv1", num_blocks + 1: "snake1", num_blocks + 2: "conv2"}[int(index)]
            rest = f"{outer}.{rest}"
        return ForeignNames("vae", (f"{side}.{rest}",))
    if part == "conditioners":
        number, layer = rest.split(".", 1)
        end = {"seconds_start": "start", "seconds_total": "end"}[number]
        layer = layer.replace("frequencies", "0.weights").replace("linear", "1")
        return ForeignNames(
            "projection_model", (f"{end}_number_conditioner.time_positional_embedding.{layer}",)
        )
    if rest.startswith("blocks."):
        _, index, rest = rest.split(".", 2)
        layer, _, leaf = rest.rpartition(".")
        names = _LAYER_DIFFUSERS.get(layer, (layer,))
        return ForeignNames(
            "transformer", tuple(f"transformer_blocks.{index}.{name}.{leaf}" for name in names)
        )
    return ForeignNames("transformer", (_translated(rest, _DIT_DIFFUSERS),))


def their_shape(layout: Layout, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a parameter under a name of theirs; `shape` is ours."""
    if layout is sat and name.endswith("timestep_features.weight"):
        return (*shape, 1)
    if layout is diffusers and re.search(r"snake\d\.(alpha|beta)$", name):
        return (1, *shape, 1)
    return shape


def _plain(name: str) -> str:
    """Our name with weight norms as everybody else calls them."""
    return re.sub(r"parametrizations\.weight\.original(\d)$", lambda m: "weight_" + "gv"[int(m[1])], name)


def _inside(rest: str, block: Mapping[str, str], unit: Mapping[str, str]) -> str:
    """A name inside a codec block."""
    if rest.startswith("units."):
        _, number, layer, leaf = rest.split(".", 3)
        return f"{block[f'units.{number}']}.{unit[layer]}.{leaf}"
    return _translated(rest, block)


def _translated(name: str, table: Mapping[str, str]) -> str:
    """The name with its beginning translated."""
    for ours, theirs in table.items():
        if name == ours or name.startswith(ours + "."):
            return theirs + name.removeprefix(ours)
    raise AssertionError(name)
