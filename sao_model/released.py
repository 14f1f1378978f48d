"""Other people's checkpoints, translated: Stability's own layout (stable-audio-tools) and diffusers'.

This page alone knows their names. Each layout is a function from our parameter names to theirs; the other
direction is its inverse over the names a model has. Stability's weights come under the Stability AI
Community License, which forbids some uses: `load` says so in the log.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sao_data.errors import UsageError
from sao_model import codec, dit
from sao_model.checkpoint import assign
from sao_model.conditioners import seconds, t5
from sao_model.dit import NUM_ROTARY, ROTARY_BASE
from sao_model.model import StableAudio, fetch_text
from sao_model.preset import Conditioner, Config

TERMS = "LicenseRef-Stability-AI-Community"

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a parameter lies elsewhere: the file, and its names there (several: cut along dim 0)."""

    part: str
    names: tuple[str, ...]


Layout = Callable[[str, int], Place]  # (our parameter name, number of codec blocks) -> theirs
Foreign = dict[str, dict[str, Tensor]]  # file -> tensors

_DIFFUSERS_PARTS = ("vae", "transformer", "projection_model")
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


def sat(name: str, num_blocks: int) -> Place:
    """The name in stable-audio-tools (model.safetensors)."""
    room, rest = _plain(name).split(".", 1)
    if room == "codec":
        side, index, rest = rest.split(".", 2)
        rest = _inside(rest, _BLOCK_SAT[side], _UNIT_SAT) if 0 < int(index) <= num_blocks else rest
        return Place("", (f"pretransform.model.{side}.layers.{index}.{rest}",))
    if room == "conditioners":
        number, layer = rest.split(".", 1)
        layer = layer.replace("frequencies", "0.weights").replace("linear", "1")
        return Place("", (f"conditioner.conditioners.{number}.embedder.embedding.{layer}",))
    if rest.startswith("blocks."):
        _, index, rest = rest.split(".", 2)
        return Place("", (f"model.model.transformer.layers.{index}.{_translated(rest, _LAYER_SAT)}",))
    return Place("", (f"model.model.{_translated(rest, _DIT_SAT)}",))


def diffusers(name: str, num_blocks: int) -> Place:
    """The file and names in diffusers' folders."""
    room, rest = _plain(name).split(".", 1)
    if room == "codec":
        side, index, rest = rest.split(".", 2)
        if 0 < int(index) <= num_blocks:
            rest = f"block.{int(index) - 1}.{_inside(rest, _BLOCK_DIFFUSERS[side], _UNIT_DIFFUSERS)}"
        else:
            outer = {0: "conv1", num_blocks + 1: "snake1", num_blocks + 2: "conv2"}[int(index)]
            rest = f"{outer}.{rest}"
        return Place("vae", (f"{side}.{rest}",))
    if room == "conditioners":
        number, layer = rest.split(".", 1)
        end = {"seconds_start": "start", "seconds_total": "end"}[number]
        layer = layer.replace("frequencies", "0.weights").replace("linear", "1")
        return Place("projection_model", (f"{end}_number_conditioner.time_positional_embedding.{layer}",))
    if rest.startswith("blocks."):
        _, index, rest = rest.split(".", 2)
        layer, _, leaf = rest.rpartition(".")
        names = _LAYER_DIFFUSERS.get(layer, (layer,))
        return Place("transformer", tuple(f"transformer_blocks.{index}.{name}.{leaf}" for name in names))
    return Place("transformer", (_translated(rest, _DIT_DIFFUSERS),))


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


def take_in(
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
    for name in [name for name in left if _BIAS.search(name) or name.endswith("rotary_pos_emb.inv_freq")]:
        if _BIAS.search(name) and left[name].any():
            raise UsageError(f"{where}: {name} is not zero; this model's norms have no bias (paper 2.2)")
        del left[name]
    assign(_trained(model), {**ours, **left}, where=where)


def load(folder: str | Path) -> StableAudio:
    """The model in a folder of stable-audio-tools (model_config.json) or diffusers (model_index.json)."""
    folder = Path(folder)
    layout: Layout = sat if (folder / "model_config.json").exists() else diffusers
    if layout is diffusers and not (folder / "model_index.json").exists():
        raise UsageError(
            f"{folder}: neither model_config.json (SAT) nor model_index.json (diffusers) is there"
        )
    try:
        config = sat_config(folder) if layout is sat else diffusers_config(folder)
    except (KeyError, FileNotFoundError) as error:
        raise UsageError(f"{folder}: not the config of a Stable Audio Open model: no {error}") from error
    if layout is sat:
        files = {"": folder / "model.safetensors"}
    else:
        files = {part: folder / part / "diffusion_pytorch_model.safetensors" for part in _DIFFUSERS_PARTS}
    for path in files.values():
        if not path.exists():
            raise UsageError(f"{path}: missing; download the weights too")
    log.warning("%s: if these are Stability AI's weights, the Stability AI Community License applies", folder)
    with torch.device("meta"):
        model = StableAudio(config)
    fetch_text(model)
    take_in(model, {part: load_file(path) for part, path in files.items()}, layout, where=str(folder))
    model.terms |= dict.fromkeys(("vae", "dit", "conditioners"), TERMS)
    return model


def sat_config(folder: Path) -> Config:
    """Our config from stable-audio-tools' model_config.json; UsageError for what our model cannot be."""
    table = json.loads((folder / "model_config.json").read_text())
    model = table["model"]
    encoder, decoder = (model["pretransform"]["config"][side]["config"] for side in ("encoder", "decoder"))
    conditioning = {c["id"]: c["config"] for c in model["conditioning"]["configs"]}
    net, width = model["diffusion"]["config"], model["conditioning"]["cond_dim"]
    for other, what in (
        (decoder.get("final_tanh", True), "a tanh at the output"),
        (encoder["strides"] != decoder["strides"], "another shape for the decoder than for the encoder"),
        (not encoder.get("use_snake"), "another activation than snake"),
        (net.get("global_cond_type", "prepend") != "prepend", "adaptive layer norms"),
        (net.get("project_cond_tokens", True), "projected conditioning tokens"),
        (net.get("qk_norm", "none") not in ("none", False), "normalised queries and keys"),
        (set(conditioning) != {"prompt", "seconds_start", "seconds_total"}, "other conditioners"),
        (model["diffusion"].get("diffusion_objective", "v") != "v", "another objective than v"),
    ):
        if other:
            raise UsageError(f"{folder}: has {what}, unlike Stable Audio Open 1.0; it cannot be loaded")
    shape = codec.Config(
        num_channels=encoder["in_channels"], width=encoder["channels"], multiples=tuple(encoder["c_mults"]),
        strides=tuple(encoder["strides"]), latent_dim=decoder["latent_dim"],
    )  # fmt: skip
    text = conditioning["prompt"]
    local = folder / text["t5_model_name"]
    prompt = t5.Config(pretrained=text["t5_model_name"], max_tokens=text.get("max_length", 128))
    if local.is_dir():
        prompt = _t5_config(local, local, prompt.max_tokens)
    timing = _timing(width, conditioning["seconds_total"]["max_val"])
    return Config(
        name=folder.name, sample_rate=table["sample_rate"], num_latents=table["sample_size"] // shape.hop,
        codec=shape, prompt=Conditioner(plugin="t5", config=prompt),
        seconds_start=timing, seconds_total=timing,
        dit=dit.Config(
            latent_dim=net["io_channels"], width=net["embed_dim"], num_layers=net["depth"],
            num_heads=net["num_heads"], cross_dim=net["cond_token_dim"], global_dim=net["global_cond_dim"],
        ),
    )  # fmt: skip


def diffusers_config(folder: Path) -> Config:
    """Our config from the config.json of every diffusers part."""
    vae, net, numbers = (json.loads((folder / part / "config.json").read_text()) for part in _DIFFUSERS_PARTS)
    shape = codec.Config(
        num_channels=vae["audio_channels"], width=vae["decoder_channels"],
        multiples=tuple(vae["channel_multiples"]), strides=tuple(vae["downsampling_ratios"]),
        latent_dim=vae["decoder_input_channels"],
    )  # fmt: skip
    tokenizer = json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text())
    text = _t5_config(folder / "text_encoder", folder / "tokenizer", tokenizer["model_max_length"])
    timing = _timing(numbers["conditioning_dim"], numbers["max_value"])
    return Config(
        name=folder.name, sample_rate=vae["sampling_rate"],
        num_latents=int(net["sample_size"]),  # a float in the published file
        codec=shape, prompt=Conditioner(plugin="t5", config=text), seconds_start=timing, seconds_total=timing,
        dit=dit.Config(
            latent_dim=net["in_channels"], width=net["attention_head_dim"] * net["num_attention_heads"],
            num_layers=net["num_layers"], num_heads=net["num_attention_heads"],
            cross_dim=net["cross_attention_input_dim"], global_dim=net["global_states_input_dim"],
            num_features=net["time_proj_dim"],
        ),
    )  # fmt: skip


def _timing(width: int, max_seconds: int) -> Conditioner:
    return Conditioner(plugin="seconds", config=seconds.Config(width=width, max_seconds=max_seconds))


def _t5_config(encoder: Path, tokenizer: Path, max_tokens: int) -> t5.Config:
    shape: dict[str, Any] = json.loads((encoder / "config.json").read_text())
    return t5.Config(
        pretrained=str(encoder), tokenizer="" if tokenizer == encoder else str(tokenizer),
        max_tokens=max_tokens,
        width=shape["d_model"], num_layers=shape["num_layers"], num_heads=shape["num_heads"],
        head_dim=shape["d_kv"], ff_dim=shape["d_ff"], vocab_size=shape["vocab_size"],
    )  # fmt: skip


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
