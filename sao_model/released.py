"""Other people's checkpoints, translated: Stability's own layout (stable-audio-tools) and diffusers'.

Their names are on the page layouts.py. Stability's weights come under the Stability AI Community License,
which forbids some uses: `load` says so in the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from sao_data.errors import UsageError
from sao_data.storage import documents
from sao_model import codec, published_config, recognised, weights
from sao_model.dit import NUM_ROTARY, ROTARY_BASE
from sao_model.layouts import Layout, diffusers, sat, their_shape
from sao_model.model import StableAudioModel, fetch_text
from sao_model.preset import Config
from sao_model.weights import TensorShape

_FILES = {True: "model.safetensors", False: "diffusion_pytorch_model.safetensors"}  # of SAT, or not
TERMS_FILE = "terms.json"  # of our exports: part -> licence of its weights, '' where it is not stated
TERMS = "LicenseRef-Stability-AI-Community"

log = logging.getLogger(__name__)

Foreign = dict[str, dict[str, Tensor]]  # file -> tensors

# Stored there and computed here: biases of norms, zero in the released model, and the rotary frequencies.
_CONSTANT = re.compile(
    r"^(model\.model\.transformer\.(layers\.\d+\.(pre|cross_attend|ff)_norm\.beta|rotary_pos_emb\.inv_freq)"
    r"|transformer/transformer_blocks\.\d+\.norm[123]\.bias)$"
)
_COMFY_TEXT = "text_encoders."


def export(model: StableAudioModel, layout: Layout) -> Foreign:
    """A model's weights in another layout, with the constant tensors that are stored there."""
    foreign: Foreign = {}
    for name, parameter in _trained(model).named_parameters():
        part, names = layout(name, len(model.config.codec.strides))
        for theirs, piece in zip(names, parameter.detach().chunk(len(names)), strict=True):
            shape = their_shape(layout, theirs, tuple(piece.shape))
            foreign.setdefault(part, {})[theirs] = piece.reshape(shape).contiguous()
    for part, name, tensor in _constants(model, layout):
        foreign[part][name] = tensor
    return foreign


def wanted(module: nn.Module, layout: Layout, num_blocks: int) -> dict[str, TensorShape]:
    """Every parameter of a module (`trained`) as it lies in another layout: place -> shape."""
    found = {}
    for name, parameter in module.named_parameters():
        part, names = layout(name, num_blocks)
        size, *rest = parameter.shape
        for theirs in names:
            shape = their_shape(layout, theirs, (size // len(names), *rest))
            found[_place(part, theirs)] = TensorShape(shape)
    return found


def import_weights(
    model: StableAudioModel, foreign: Mapping[str, Mapping[str, Tensor]], layout: Layout, *, where: str
) -> None:
    """Load weights that lie in another layout, as float32; UsageError lists what does not fit."""
    shapes = {part: _shapes_of(tensors) for part, tensors in foreign.items()}
    _check(_trained(model), shapes, layout, model.config, where)
    _check_constants(model, foreign, layout, where)
    _put(_trained(model), foreign, layout, model.config)


def _check(
    module: nn.Module, shapes: Mapping[str, recognised.Shapes], layout: Layout, config: Config, where: str
) -> None:
    """UsageError unless the names and shapes are those of the module and of what the others store beside."""
    there = {_place(part, name): shape for part, names in shapes.items() for name, shape in names.items()}
    for place in [place for place in there if _CONSTANT.search(place)]:
        del there[place]
    recognised.check(wanted(module, layout, len(config.codec.strides)), there, where=where, but_ones=True)


def _check_constants(
    model: StableAudioModel, foreign: Mapping[str, Mapping[str, Tensor]], layout: Layout, where: str
) -> None:
    """UsageError if a tensor that is no parameter here is not what is computed in its place."""
    for part, name, expected in _constants(model, layout):
        tensor = foreign[part].get(name)
        if tensor is None or torch.allclose(tensor.float(), expected.to(tensor.device), rtol=1e-2, atol=0):
            continue
        if name.endswith("inv_freq"):
            what = "is not that of Stable Audio Open 1.0, whose positions turn otherwise"
        else:
            what = "is not zero; this model's norms have no bias (paper 2.2)"
        raise UsageError(f"{where}: {name} {what}")


def _put(
    module: nn.Module, foreign: Mapping[str, Mapping[str, Tensor]], layout: Layout, config: Config
) -> None:
    """Hand the tensors over; only those that lie in pieces are copied."""
    ours: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        part, names = layout(name, len(config.codec.strides))
        pieces = [foreign[part][theirs] for theirs in names]
        whole = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
        ours[name] = whole.float().reshape(parameter.shape)
    weights.put(module, ours)


def is_published(folder: Path) -> bool:
    """Is it a folder of stable-audio-tools or diffusers, by what lies in it?"""
    return any((folder / name).is_file() for name in ("model_config.json", "model_index.json"))


def files(folder: Path) -> dict[str, Path]:
    """The weights of a published folder, by part as diffusers calls it; one file under '' in SAT's layout."""
    is_sat = published_config.is_sat(folder)
    names = ("",) if is_sat else published_config.PARTS
    return {part: folder / part / _FILES[is_sat] for part in names}


def load(folder: str | Path, *, text_encoder: str = "") -> StableAudioModel:
    """The model in a folder of stable-audio-tools (model_config.json) or diffusers (model_index.json), with
    the T5 in the folder `text_encoder` instead of the one that it names, if that is given.

    UsageError for a model that this one is not; IntegrityError for files that are not whole.
    """
    folder = Path(folder)
    config, layout = _config(folder, text_encoder)
    model = _load(config, files(folder), layout, where=str(folder))
    said = terms(folder)
    model.terms = {part: said.get(part, stated) for part, stated in (said | model.terms).items()}
    return model


def terms(folder: Path) -> dict[str, str]:
    """The licence terms of a folder's parts: as an export of ours says, else the released weights'."""
    path = folder / TERMS_FILE
    if not path.is_file():
        return dict.fromkeys(("vae", "dit", "conditioners"), TERMS)
    table = documents.plain(path.read_bytes(), where=str(path), fix=published_config.AGAIN)
    return {part: text for part, text in table.items() if isinstance(text, str)}


def load_file(path: Path, config: Config, *, where: str = "") -> StableAudioModel:
    """The model in one file of stable-audio-tools' layout, whatever the file's name. A text encoder in it
    (ComfyUI writes one there) is passed over: `config` says which is used. `where`: what messages call it."""
    return _load(config, {"": path}, sat, where=where or str(path))


def load_codec(folder: Path) -> codec.Codec:
    """Only the codec of a published folder."""
    config, layout = _config(folder)
    with torch.device("meta"):
        module = nn.ModuleDict({"codec": codec.Codec(config.codec)})
    part = layout("codec.encoder.0.bias", 0).part
    path = files(folder)[part]
    _check_there(path)
    shapes = weights.shapes(path, fix=published_config.AGAIN)
    names = wanted(module, layout, len(config.codec.strides))
    of_codec = {name: shape for name, shape in shapes.items() if part or _place(part, name) in names}
    _check(module, {part: of_codec}, layout, config, str(folder))
    tensors = weights.read(path, fix=published_config.AGAIN, only=of_codec)
    _put(module, {part: tensors}, layout, config)
    return cast("codec.Codec", module["codec"])


def _config(folder: Path, text_encoder: str = "") -> tuple[Config, Layout]:
    layout: Layout = sat if published_config.is_sat(folder) else diffusers
    if not is_published(folder):
        raise UsageError(
            f"{folder}: neither model_config.json (SAT) nor model_index.json (diffusers) is there"
        )
    return published_config.read(folder, text_encoder=text_encoder), layout


def _load(config: Config, found: Mapping[str, Path], layout: Layout, *, where: str) -> StableAudioModel:
    for path in found.values():
        _check_there(path)
    with torch.device("meta"):
        model = StableAudioModel(config)
    again = published_config.AGAIN
    shapes = {part: _own(weights.shapes(path, fix=again)) for part, path in found.items()}
    _check(_trained(model), shapes, layout, config, where)
    log.warning("%s: if these are Stability AI's weights, the Stability AI Community License applies", where)
    fetch_text(model)
    foreign = {part: weights.read(path, fix=again, only=shapes[part]) for part, path in found.items()}
    _check_constants(model, foreign, layout, where)
    _put(_trained(model), foreign, layout, config)
    model.terms |= dict.fromkeys(("vae", "dit", "conditioners"), TERMS)
    return model


def _check_there(path: Path) -> None:
    if not weights.exists(path):
        raise UsageError(f"{path}: missing; download the weights too")


def _own(shapes: recognised.Shapes) -> recognised.Shapes:
    """Without the text encoder that ComfyUI stores in the same file."""
    left = {name: shape for name, shape in shapes.items() if not name.startswith(_COMFY_TEXT)}
    if len(left) < len(shapes):
        num = len(shapes) - len(left)
        log.warning("a text encoder in the same file (%d tensors) is passed over", num)
    return left


def _place(part: str, name: str) -> str:
    return f"{part}/{name}" if part else name


def _shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, TensorShape]:
    return {name: TensorShape(tuple(tensor.shape)) for name, tensor in tensors.items()}


def _trained(model: StableAudioModel) -> nn.ModuleDict:
    """All but the text encoder, which both layouts keep apart."""
    return nn.ModuleDict({"codec": model.codec, "conditioners": model.conditioners, "dit": model.dit})


def _constants(model: StableAudioModel, layout: Layout) -> list[tuple[str, str, Tensor]]:
    """What the others store and we compute: zero biases of layer norms, rotary frequencies."""
    found = []
    for name, parameter in _trained(model).named_parameters():
        if re.search(r"norm[123]\.weight$", name):
            part, (theirs,) = layout(name, len(model.config.codec.strides))
            bias = theirs.replace("gamma", "beta") if layout is sat else theirs.replace("weight", "bias")
            found.append((part, bias, torch.zeros(parameter.shape)))
    if layout is sat:
        exponent = torch.arange(0, NUM_ROTARY, 2, dtype=torch.float32) / NUM_ROTARY
        found.append(("", "model.model.transformer.rotary_pos_emb.inv_freq", 1.0 / ROTARY_BASE**exponent))
    return found
