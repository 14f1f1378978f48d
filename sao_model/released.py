"""Other people's checkpoints, translated: Stability's own layout (stable-audio-tools) and diffusers'.

This page alone knows their names. Each layout is a function from our parameter names to theirs; the other
direction is its inverse over the names a model has. Stability's weights come under the Stability AI
Community License, which forbids some uses: `load` says so in the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sao_data.errors import UsageError
from sao_model import published_config, weights
from sao_model.checkpoint import assign
from sao_model.dit import NUM_ROTARY, ROTARY_BASE
from sao_model.model import StableAudio, fetch_text

_FILES = {True: "model.safetensors", False: "diffusion_pytorch_model.safetensors"}  # of SAT, or not
TERMS = "LicenseRef-Stability-AI-Community"

log = logging.getLogger(__name__)


class ForeignNames(NamedTuple):
    """Where a parameter lies elsewhere: the file, and its names there (several: cut along dim 0)."""

    part: str
    names: tuple[str, ...]


Layout = Callable[[str, int], ForeignNames]  # (our parameter name, number of codec blocks) -> theirs
Foreign = dict[str, dict[str, Tensor]]  # file -> tensors

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
_BIAS = re.compile(r"(_norm\.beta|norm[123]\.bias)$")  # zero in the released model; our norms have none


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


def export(model: StableAudio, layout: Layout) -> Foreign:
    """A model's weights in another layout, with the constant tensors that are stored there."""
    foreign: Foreign = {}
    for name, parameter in _trained(model).named_parameters():
        part, names = layout(name, len(model.config.codec.strides))
        for theirs, piece in zip(names, parameter.detach().chunk(len(names)), strict=True):
            shaped = piece.reshape(_their_shape(layout, theirs, piece)).contiguous()
            foreign.setdefault(part, {})[theirs] = shaped
    for part, name, tensor in _constants(model, layout):
        foreign[part][name] = tensor
    return foreign


def import_weights(
    model: StableAudio, foreign: Mapping[str, Mapping[str, Tensor]], layout: Layout, *, where: str
) -> None:
    """Load weights that lie in another layout, as float32; UsageError lists what does not fit."""
    left = {f"{part}:{name}": tensor for part, tensors in foreign.items() for name, tensor in tensors.items()}
    ours: dict[str, Tensor] = {}
    for name, parameter in _trained(model).named_parameters():
        part, names = layout(name, len(model.config.codec.strides))
        pieces = [left.pop(f"{part}:{theirs}") for theirs in names if f"{part}:{theirs}" in left]
        if len(pieces) == len(names):
            whole = torch.cat(pieces).float()
            ours[name] = whole.reshape(parameter.shape) if _flat(whole) == _flat(parameter) else whole
    constants = {f"{part}:{name}": tensor for part, name, tensor in _constants(model, layout)}
    for name in [name for name in left if name.endswith("rotary_pos_emb.inv_freq") and name in constants]:
        if not torch.allclose(left[name].float(), constants[name].to(left[name].device), rtol=1e-2):
            raise UsageError(
                f"{where}: {name} is not that of Stable Audio Open 1.0, whose positions turn otherwise"
            )
    for name in [name for name in left if _BIAS.search(name) or name.endswith("rotary_pos_emb.inv_freq")]:
        if _BIAS.search(name) and left[name].any():
            raise UsageError(f"{where}: {name} is not zero; this model's norms have no bias (paper 2.2)")
        del left[name]
    assign(_trained(model), {**ours, **left}, where=where)


def is_published(folder: Path) -> bool:
    """Is it a folder of stable-audio-tools or diffusers, by what lies in it?"""
    return any((folder / name).is_file() for name in ("model_config.json", "model_index.json"))


def files(folder: Path) -> dict[str, Path]:
    """The weights of a published folder, by part as diffusers calls it; one file under '' in SAT's layout."""
    is_sat = published_config.is_sat(folder)
    names = ("",) if is_sat else published_config.PARTS
    return {part: folder / part / _FILES[is_sat] for part in names}


def load(folder: str | Path) -> StableAudio:
    """The model in a folder of stable-audio-tools (model_config.json) or diffusers (model_index.json).

    UsageError for a model that this one is not; IntegrityError for files that are not whole.
    """
    folder = Path(folder)
    layout: Layout = sat if published_config.is_sat(folder) else diffusers
    if not is_published(folder):
        raise UsageError(
            f"{folder}: neither model_config.json (SAT) nor model_index.json (diffusers) is there"
        )
    config = published_config.read(folder)
    found = files(folder)
    for path in found.values():
        if not weights.exists(path):
            raise UsageError(f"{path}: missing; download the weights too")
    log.warning("%s: if these are Stability AI's weights, the Stability AI Community License applies", folder)
    with torch.device("meta"):
        model = StableAudio(config)
    fetch_text(model)
    foreign = {part: weights.read(path, fix=published_config.AGAIN) for part, path in found.items()}
    import_weights(model, foreign, layout, where=str(folder))
    model.terms |= dict.fromkeys(("vae", "dit", "conditioners"), TERMS)
    return model


def _trained(model: StableAudio) -> nn.ModuleDict:
    """All but the text encoder, which both layouts keep apart."""
    return nn.ModuleDict({"codec": model.codec, "conditioners": model.conditioners, "dit": model.dit})


def _constants(model: StableAudio, layout: Layout) -> list[tuple[str, str, Tensor]]:
    """What the others store and we compute: zero biases of layer norms, rotary frequencies."""
    found = []
    for name, parameter in _trained(model).named_parameters():
        if re.search(r"norm[123]\.weight$", name):
            part, (theirs,) = layout(name, len(model.config.codec.strides))
            bias = theirs.replace("gamma", "beta") if layout is sat else theirs.replace("weight", "bias")
            found.append((part, bias, torch.zeros_like(parameter)))
    if layout is sat:
        exponent = torch.arange(0, NUM_ROTARY, 2, dtype=torch.float32) / NUM_ROTARY
        found.append(("", "model.model.transformer.rotary_pos_emb.inv_freq", 1.0 / ROTARY_BASE**exponent))
    return found


def _their_shape(layout: Layout, name: str, tensor: Tensor) -> tuple[int, ...]:
    if layout is sat and name.endswith("timestep_features.weight"):
        return (len(tensor), 1)
    if layout is diffusers and re.search(r"snake\d\.(alpha|beta)$", name):
        return (1, len(tensor), 1)
    return tuple(tensor.shape)


def _flat(tensor: Tensor) -> list[int]:
    """Its shape without ones: the layouts differ in those."""
    return [size for size in tensor.shape if size != 1]


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
