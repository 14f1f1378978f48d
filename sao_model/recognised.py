"""Weights that do not fit: which names, in groups, and what they look like instead.

Names, types and shapes are read from the header of a file and held against a table of marks: what a model
that somebody may mistake for this one has, and this one has not. A guess, said as one.
"""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sao_data.errors import UsageError
from sao_model.weights import TensorShape

Shapes = Mapping[str, TensorShape]

_MOST_LINES = 6  # of one of the lists of names in a message
_NUMBER = re.compile(r"(?<![^._])\d+(?![^._])")

RECIPE = (
    "only safetensors are read, since a pickle may run code of whoever made it; where you trust the file:\n"
    "  python -c \"import torch; from safetensors.torch import save_file; t = torch.load('IN', "
    "map_location='cpu', weights_only=True); t = t.get('state_dict', t); save_file({k: v.clone() for k, v in "
    "t.items() if torch.is_tensor(v)}, 'model.safetensors')\""
)


class Kind(NamedTuple):
    """A kind of file: every mark (a regular expression) is found in its list of tensors."""

    what: str
    way_out: str
    marks: tuple[str, ...]


_WHOLE = "give the folder that it belongs to"
_SAT_LAYERS = r"^(model\.)*(diffusion_model\.)?transformer\.layers\.\d+\."
_SAT_CODEC = r"^(pretransform\.model\.|model\.)?(encoder|decoder)\.layers\.\d+\."
_NOT_HERE = "it is another model, and cannot be loaded here"

# A line of the list is "blocks.0.ff.proj.weight F32 512x64"; the first kind that fits counts.
KINDS: tuple[Kind, ...] = (
    Kind(
        "quantised weights (fp8, GPTQ, AWQ or bitsandbytes)",
        "take the file they were made from, of 16 bits or more a number",
        (r" F8_| F4|\.(qweight|qzeros|g_idx|SCB|absmax|quant_map)\b|quant_state|weight_scale\b|scaled_fp8",),
    ),
    Kind(
        "an adapter (LoRA or the like), which changes a model and is none",
        "merge it into its model where it was made, and give the model",
        (r"lora_[AB]|lora_(up|down|unet|te)|hada_w1|lokr_w1|\.alpha_adapter|dora_scale",),
    ),
    Kind(
        "the state of a training of sao (training.safetensors)",
        "give the checkpoint folder that it lies in",
        (r"^(weight|ema|optimiser)\|",),
    ),
    Kind(
        "the state of an optimiser",
        "give the weights of the model, which lie in another file",
        (r"exp_avg|optimizer_state|momentum_buffer",),
    ),
    Kind(
        "the state of a stable-audio-tools training, its averages beside the weights",
        "their script unwrap_model makes a model of it, as safetensors",
        (r"^(state_dict\.)?(diffusion|autoencoder)(_ema)?\.|^(ema|ema_model|model_ema)\.",),
    ),
    Kind(
        "stable-audio-open-small, or a sibling of it (rectified flow; other sizes)",
        "its objective is another; only Stable Audio Open 1.0 and models of its kind can be loaded here",
        (_SAT_LAYERS + r"self_attn\.[qk]_norm\.",),
    ),
    Kind(
        "a DiT of stable-audio-tools whose blocks are modulated (adaLN)",
        _NOT_HERE,
        (_SAT_LAYERS + r"to_scale_shift_gate",),
    ),
    Kind(
        "a diffusion model of stable-audio-tools",
        "of other sizes than the config, or of another model_type; give its own model_config.json (--config)",
        (_SAT_LAYERS, r"^pretransform\."),
    ),
    Kind(
        "a DiT of stable-audio-tools alone, without codec and timing embedders",
        "give the whole model.safetensors",
        (_SAT_LAYERS,),
    ),
    Kind(
        "the autoencoder of stable-audio-tools alone (a VAE)",
        "give the whole model.safetensors, with its DiT",
        (_SAT_CODEC + r"|^bottleneck\.",),
    ),
    Kind("the codec of a checkpoint of sao alone", _WHOLE, (r"\.parametrizations\.weight\.original0 ",)),
    Kind(
        "the transformer of a checkpoint of sao alone", _WHOLE, (r"^(dit\.)?blocks\.\d+\.self_attn\.qkv\.",)
    ),
    Kind("the timing embedders of a checkpoint of sao alone", _WHOLE, (r"^seconds_start\.frequencies ",)),
    Kind(
        "the transformer of Stable Audio alone, as diffusers has it",
        "give the folder with model_index.json",
        (r"^transformer_blocks\.\d+\.attn1\.", r"^timestep_proj\.", r"^global_proj\."),
    ),
    Kind(
        "the VAE of Stable Audio alone, as diffusers has it",
        "give the folder with model_index.json",
        (r"\.block\.\d+\.res_unit\d\.",),
    ),
    Kind(
        "the timing embedders of Stable Audio alone, as diffusers has them",
        "give the folder with model_index.json",
        (r"^(start|end)_number_conditioner\.",),
    ),
    Kind("a Flux model", _NOT_HERE, (r"double_blocks\.\d+\.|single_transformer_blocks\.\d+\.",)),
    Kind(
        "AudioLDM",
        _NOT_HERE,
        (r"diffusion_model\.input_blocks\.|^down_blocks\.", r"text_branch|clap|film_emb|^class_embedding\."),
    ),
    Kind(
        "a Stable Diffusion checkpoint (images)",
        _NOT_HERE,
        (r"diffusion_model\.(input_blocks|joint_blocks)\.|^first_stage_model\.",),
    ),
    Kind("a UNet of diffusers", _NOT_HERE, (r"^(unet\.)?down_blocks\.\d+\.", r"^(unet\.)?mid_block\.")),
    Kind(
        "a transformer of diffusers, of another model",
        _NOT_HERE,
        (r"^(transformer_)?blocks\.\d+\.attn\d?\.",),
    ),
    Kind(
        "MusicGen",
        _NOT_HERE,
        (r"enc_to_dec_proj\.|^condition_provider\.|^decoder\.model\.decoder\.(embed_tokens|layers)\.",),
    ),
    Kind("EnCodec or another codec of tokens", _NOT_HERE, (r"codebook",)),
    Kind(
        "a CLAP model",
        _NOT_HERE,
        (r"^(model\.)?(audio_branch|text_branch|audio_model|audio_projection)\.",),
    ),
    Kind("a CLIP model", _NOT_HERE, (r"^(text_model|vision_model|visual)\.",)),
    Kind(
        "a T5, of which the text encoder here is the first half",
        "give the model, and this folder with --text-encoder",
        (r"^(encoder\.)?block\.\d+\.layer\.0\.SelfAttention\.q\.",),
    ),
)  # fmt: skip

_FILES = {  # by the end of a name, where the content is not looked at
    ".ckpt": "a PyTorch pickle", ".pt": "a PyTorch pickle", ".pth": "a PyTorch pickle",
    ".bin": "a PyTorch pickle", ".pkl": "a pickle", ".gguf": "a GGUF file (quantised, for llama.cpp)",
    ".onnx": "an ONNX graph", ".h5": "a Keras file", ".msgpack": "weights for Flax", ".npz": "NumPy arrays",
}  # fmt: skip
_SIGNS = ((b"GGUF", ".gguf"), (b"PK\x03\x04", ".ckpt"), (b"\x80", ".pkl"), (b"\x08", ".onnx"))

# model_type, diffusion_objective and the like in other model_config.json
_OBJECTIVES = ("rectified_flow", "rf_denoiser")
_MODEL_TYPES = {
    "autoencoder": "an autoencoder of stable-audio-tools alone (a VAE)",
    "diffusion_uncond": "an unconditional diffusion model of stable-audio-tools",
    "diffusion_cond_inpaint": "an inpainting model of stable-audio-tools",
    "diffusion_autoencoder": "a diffusion autoencoder of stable-audio-tools",
    "lm": "a language model of stable-audio-tools",
}
_PIPELINES = (
    ("StableDiffusion", "a Stable Diffusion pipeline (images)"), ("Flux", "a Flux pipeline (images)"),
    ("AudioLDM", "an AudioLDM pipeline"), ("MusicLDM", "a MusicLDM pipeline"),
)  # fmt: skip


def check(wanted: Shapes, there: Shapes, *, where: str, but_ones: bool = False) -> None:
    """UsageError if names or shapes differ: what is missing, unexpected or of another shape, names that
    differ by a number as one line, and what it looks like instead. `but_ones`: 1 x C x 1 is as good as C."""
    both = wanted.keys() & there.keys()
    form = _flat if but_ones else list
    other = {name for name in both if form(wanted[name].shape) != form(there[name].shape)}
    lists = (
        {name: f"missing: {name}" for name in wanted.keys() - there.keys()},
        {name: f"unexpected: {name}" for name in there.keys() - wanted.keys()},
        {name: f"other shape: {name} is {_by(there[name])}, here {_by(wanted[name])}" for name in other},
    )
    lines = [line for differing in lists for line in _grouped(differing)]
    if lines:
        fits = f"{len(both) - len(other)} of {len(wanted)} tensors fit"
        said = "\n  ".join([fits, *lines, *_instead(wanted, there)])
        raise UsageError(f"{where}: weights of another model; use the config they were made with\n  {said}")


def looks_like(there: Shapes) -> str:
    """What these tensors are, and what to do ("a Flux model; …"); '' if they are like nothing known."""
    kind = _kind(there)
    return f"{kind.what}{_sizes(there)}; {kind.way_out}" if kind else ""


def _kind(there: Shapes) -> Kind | None:
    listed = "\n".join(f"{name} {tensor.dtype} {_by(tensor)}" for name, tensor in there.items())
    for kind in KINDS:
        if all(re.search(mark, listed, re.MULTILINE) for mark in kind.marks):
            return kind
    return None


def _instead(wanted: Shapes, there: Shapes) -> list[str]:
    """What the tensors look like, where that is not what is wanted, in a line or none."""
    if (kind := _kind(there)) is None or kind != _kind(wanted):
        return [f"it looks like {guess}"] if (guess := looks_like(there)) else []
    theirs, ours = _sizes(there), _sizes(wanted)
    differ = "" not in (theirs, ours) and theirs != ours
    return [f"it is of the same kind, but of another size:{theirs}, here{ours}"] if differ else []


def config_of(table: Mapping[str, Any]) -> str:
    """What another model_config.json or model_index.json describes, as the end of a message; or ''."""
    name = str(table.get("_class_name", ""))
    for start, what in _PIPELINES:
        if name.startswith(start):
            return f"; it looks like {what}"
    model = table.get("model")
    net = model.get("diffusion") if isinstance(model, dict) else None
    if isinstance(net, dict) and _objective(net) in _OBJECTIVES:
        return "; it looks like stable-audio-open-small, or a sibling of it (rectified flow)"
    kind = table.get("model_type")
    return f"; it looks like {_MODEL_TYPES[kind]}" if kind in _MODEL_TYPES else ""


def other_file(path: Path) -> str:
    """What a file that is no safetensors file is, and what to do; '' for one that may be."""
    with path.open("rb") as file:
        start = file.read(9)
    is_header = start[8:9] == b"{"  # eight bytes, then JSON
    signs = [end for sign, end in _SIGNS if start.startswith(sign) and not is_header]
    end = path.suffix if path.suffix in _FILES else next(iter(signs), "")
    if not end:
        return ""
    pickled = "pickle" in _FILES[end]
    return f"{_FILES[end]}; {RECIPE if pickled else 'give the weights that it was made from, as safetensors'}"


def _objective(net: Mapping[str, Any]) -> object:
    inner = net.get("config")
    return net.get("diffusion_objective") or (
        inner.get("diffusion_objective") if isinstance(inner, dict) else ""
    )


def _sizes(there: Shapes) -> str:
    """ " (16 layers, 1024 wide)" of a transformer, in any of its layouts; '' of anything else."""
    layers = {
        int(match[1])
        for name in there
        if (match := re.search(r"(?:^|\.)(?:transformer\.layers|transformer_blocks|blocks)\.(\d+)\.", name))
    }
    widths = [t.shape[0] for name, t in there.items() if re.search(r"(project_in|proj_in)\.weight$", name)]
    if not layers or not widths:
        return ""
    return f" ({len(layers)} layers, {widths[0]} wide)"


def _grouped(lines: Mapping[str, str]) -> list[str]:
    """ "missing: blocks.*.ff.out.weight (24)": lines whose names differ by numbers only count as one."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, line in sorted(lines.items()):
        groups[line.replace(name, _NUMBER.sub("*", name), 1)].append(name)
    shown = []
    for names in groups.values():
        first, columns = names[0], zip(*(_NUMBER.findall(name) for name in names), strict=True)
        stars = [column[0] if len(set(column)) == 1 else "*" for column in columns]
        called = "".join(map(operator.add, _NUMBER.split(first), [*stars, ""]))
        shown.append(lines[first].replace(first, called, 1) + f" ({len(names)})" * (len(names) > 1))
    left = sum(map(len, [*groups.values()][_MOST_LINES:]))
    return shown[:_MOST_LINES] + [f"… and {left} more"] * (left > 0)


def _by(tensor: TensorShape) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _flat(shape: tuple[int, ...]) -> list[int]:
    """Without ones: the layouts differ in those."""
    return [size for size in shape if size != 1]
