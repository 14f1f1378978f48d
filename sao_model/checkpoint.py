"""A checkpoint is a folder that loads as a model: model.json, and one safetensors file per part.

    model.json            format, config, and for each part its file, sha256, sizes, dtype and licence terms
    vae.safetensors  dit.safetensors  conditioners.safetensors
    text_encoder.safetensors  and its tokenizer.json, unless it is fetched by name when the model is loaded
    whatever else the writer adds: tensors (ema, optimiser) and files (training_data.json)
    SHA256SUMS            of all of these; its own sha256 is the checkpoint's digest

It is written beside its final name, synced and renamed: a folder with this name is whole. No pickle anywhere,
and no number that is not finite.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from sao_data.config import canonical
from sao_data.errors import IntegrityError, SaoError, UsageError
from sao_data.forms import Count, Digest, Form, Sha256
from sao_data.storage import checksums, documents
from sao_model import codec, preset, recognised, weights
from sao_model.conditioners import t5
from sao_model.model import StableAudioModel, build, fetch_text, parts
from sao_model.preset import Config, parse, to_table
from sao_model.weights import Tensors, TensorShape

FILE = "model.json"
FORMAT = 2  # 1 had no SHA256SUMS
PARTS = ("vae", "dit", "conditioners", "text_encoder")

_RESTORE = "restore it from a copy"

_Name = Annotated[str, Form(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
_File = Annotated[str, Form(r"^([A-Za-z0-9][A-Za-z0-9_-]*[.]safetensors)?$")]  # beside model.json


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """One part of a model as it is stored, or as it would be."""

    file: _File  # '' = not stored: an encoder fetched by name, or a model that only has a config
    sha256: Sha256  # of the file; '' if there is none
    parameters: Count
    bytes: Count  # of the tensors
    dtype: str  # "float32"; several are joined by "+"
    terms: str  # licence of the weights; '' = not stated


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """model.json before the config is read."""

    format: int
    config: dict[str, Any]
    parts: dict[str, StoredPart]
    extras: dict[_Name, Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What model.json says."""

    config: Config
    parts: dict[str, StoredPart]
    extras: dict[str, str]  # further tensor files: name -> sha256


def from_preset(name: str, *, seed: int = 0) -> StableAudioModel:
    """A model with random weights from a preset ("tiny") or a TOML file."""
    return build(preset.read(name), seed=seed)


def save(
    model: StableAudioModel,
    folder: str | Path,
    *,
    tensors: Mapping[str, Tensors] | None = None,
    files: Mapping[str, bytes] | None = None,
    only: tuple[str, ...] = PARTS,
    like: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write a checkpoint, with further `tensors` (NAME.safetensors) and `files` beside the model's own.

    `only` names the parts to store: training the codec has no use for a transformer of random weights. `like`
    is an earlier checkpoint: frozen parts that it holds, too, become links to its files where the file system
    can. `progress` hears how many bytes were written. UsageError if the folder exists: a checkpoint is never
    overwritten.
    """
    with written_whole(folder) as temporary:
        described, extras = {}, {}
        config, more = _with_text(model) if "text_encoder" in only else (model.config, {})
        for name, data in {**(files or {}), **more}.items():
            (temporary / name).write_bytes(data)
        before = _parts_of(like) if like else {}
        for name, module in parts(model).items():
            stored = name in only and not (name == "text_encoder" and _is_fetched(config))
            path, sha256 = temporary / f"{name}.safetensors", ""
            if stored:
                held = dict(module.named_parameters())
                sha256 = _link(held, like, before.get(name), path) if like else ""
                sha256 = sha256 or weights.store(path, held, progress=progress)
            part = _part(module, file=path.name * stored, sha256=sha256, terms=model.terms.get(name, ""))
            described[name] = canonical(part)
        for name, values in (tensors or {}).items():
            assert name not in described, name
            extras[name] = weights.store(temporary / f"{name}.safetensors", values)
        table = {"format": FORMAT, "config": to_table(config), "parts": described, "extras": extras}
        (temporary / FILE).write_text(json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        checksums.write(temporary)


@contextlib.contextmanager
def written_whole(folder: str | Path) -> Iterator[Path]:
    """A folder beside its place, to be filled: it appears there synced and whole, or not at all. UsageError
    if something is there already."""
    final = Path(folder).absolute()
    if final.exists():
        raise UsageError(f"{final}: exists and is not overwritten; give another folder, or delete it")
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / f".tmp-{secrets.token_hex(8)}-{final.name}"
    temporary.mkdir()
    try:
        yield temporary
        for path in (*temporary.rglob("*"), temporary):
            _sync(path)
        os.replace(temporary, final)
        _sync(final.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load(folder: str | Path, *, verify: bool = True) -> StableAudioModel:
    """The model of a checkpoint, on the CPU. `verify` reads every file once more to compare its sha256."""
    description = describe(folder)
    absent = [name for name, part in description.parts.items() if not part.file]
    if absent and (absent != ["text_encoder"] or not _is_fetched(description.config)):
        raise UsageError(f"{folder}: holds no {' and no '.join(absent)}; give a checkpoint of train_dit.py")
    with torch.device("meta"):
        model = StableAudioModel(description.config)
    for name, module in parts(model).items():
        part = description.parts[name]
        if part.file and part.parameters != sum(p.numel() for p in module.parameters()):
            raise IntegrityError(f"{folder}/{FILE}: {name} has another number of parameters; {_RESTORE}")
        if part.file:
            assign(module, _weights(folder, part, verify), where=f"{folder}/{part.file}")
    if absent:
        fetch_text(model)
    elif isinstance(model.text, t5.TextConditioner) and model.text.config.stored:
        model.text.open_tokenizer(_tokenizer(folder), where=str(folder))
    model.terms = {name: part.terms for name, part in description.parts.items() if part.terms}
    return model


def load_codec(folder: str | Path, *, verify: bool = True) -> codec.Codec:
    """Only the codec of a checkpoint."""
    description = describe(folder)
    part = description.parts["vae"]
    if not part.file:
        raise UsageError(f"{folder}: holds no vae; give a checkpoint of train_vae.py or of a whole model")
    with torch.device("meta"):
        module = codec.Codec(description.config.codec)
    assign(module, _weights(folder, part, verify), where=f"{folder}/{part.file}")
    return module


def load_tensors(folder: str | Path, name: str, *, verify: bool = True) -> dict[str, Tensor]:
    """Further tensors that were saved under `name` (ema, optimiser)."""
    extras = describe(folder).extras
    if name not in extras:
        raise UsageError(f"{folder}: has no {name!r} (there are: {', '.join(extras) or 'none'})")
    path = Path(folder) / f"{name}.safetensors"
    _check(path, extras[name], verify)
    return weights.read_raw(path, fix=_RESTORE)


def describe(folder: str | Path) -> Description:
    """Read model.json; nothing else is opened."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise UsageError(f"{folder}: no checkpoint of ours ({FILE} is missing); give a checkpoint folder")
    table = documents.plain(checksums.read_file(folder, FILE), where=str(path), fix=_RESTORE)
    if table.get("format") != FORMAT:
        raise UsageError(
            f"{path}: format {table.get('format')!r}; this version reads format {FORMAT}: use the version of "
            "sao that made it, or train again"
        )
    said = documents.read(_Stored, json.dumps(table).encode(), where=str(path), fix=_RESTORE)
    if set(said.parts) != set(PARTS):
        raise IntegrityError(f"{path}: wants the parts {', '.join(PARTS)}; {_RESTORE}")
    return Description(
        config=parse(said.config, where=str(path)),
        parts={key: said.parts[key] for key in PARTS},
        extras=said.extras,
    )


def measure(model: StableAudioModel) -> dict[str, StoredPart]:
    """Sizes of a model's parts, exact on the meta device too."""
    return {name: _part(module, terms=model.terms.get(name, "")) for name, module in parts(model).items()}


def assign(module: nn.Module, tensors: Tensors, *, where: str) -> None:
    """Load weights by name, tied ones under the first of their names; UsageError lists what does not fit. A
    module on the meta device takes the tensors themselves: a mapped file is then all the memory it needs."""
    wanted = {name: TensorShape(tuple(p.shape)) for name, p in module.named_parameters()}
    there = {name: TensorShape(tuple(tensor.shape)) for name, tensor in tensors.items()}
    recognised.check(wanted, there, where=where)
    weights.put(module, tensors)


def _with_text(model: StableAudioModel) -> tuple[Config, dict[str, bytes]]:
    """The config as it is stored, and the tokenizer's files where a published text encoder goes along."""
    text, config = model.text, model.config
    if not isinstance(text, t5.TextConditioner) or not text.files or not text.goes_along:
        return config, {}
    return replace(config, prompt=replace(config.prompt, config=t5.as_stored(text.config))), text.files


def _is_fetched(config: Config) -> bool:
    """Does the text encoder stay out of the checkpoint?"""
    prompt = config.prompt.config
    return isinstance(prompt, t5.Config) and bool(prompt.pretrained) and not prompt.stored


def _parts_of(like: Path) -> dict[str, StoredPart]:
    """An earlier checkpoint's parts; none of one that was damaged since."""
    try:
        return describe(like).parts
    except SaoError:
        return {}


def _link(tensors: Tensors, like: Path, before: StoredPart | None, path: Path) -> str:
    """Put an earlier checkpoint's file in this place if these tensors are frozen and it holds them. Its
    sha256, or '' if nothing was put there."""
    if before is None or not before.file or any(tensor.requires_grad for tensor in tensors.values()):
        return ""
    if weights.sha256(tensors) != before.sha256:
        return ""
    try:
        os.link(like / before.file, path)
    except OSError:  # another file system, one without links, or the file is gone
        return ""
    if checksums.sha256(path) == before.sha256:
        return before.sha256
    path.unlink()  # it was damaged since
    return ""


def _part(module: nn.Module, *, file: str = "", sha256: str = "", terms: str = "") -> StoredPart:
    parameters = list(module.parameters())
    return StoredPart(
        file=file,
        sha256=sha256,
        parameters=sum(p.numel() for p in parameters),
        bytes=sum(p.numel() * p.element_size() for p in parameters),
        dtype="+".join(sorted({str(p.dtype).removeprefix("torch.") for p in parameters})),
        terms=terms,
    )


def _check(path: Path, sha256: str, verify: bool) -> None:
    if not path.is_file():
        raise IntegrityError(f"{path}: missing, though {FILE} names it; {_RESTORE}")
    if verify and checksums.sha256(path) != sha256:
        raise IntegrityError(f"{path}: not the bytes that {FILE} names; {_RESTORE}")


def _tokenizer(folder: str | Path) -> dict[str, bytes]:
    named = checksums.read(folder)
    if t5.TOKENIZER[0] not in named:
        raise IntegrityError(f"{folder}/{t5.TOKENIZER[0]}: missing, though {FILE} says stored; {_RESTORE}")
    return {name: checksums.read_file(folder, name) for name in t5.TOKENIZER if name in named}


def _weights(folder: str | Path, part: StoredPart, verify: bool) -> dict[str, Tensor]:
    path = Path(folder) / part.file
    _check(path, part.sha256, verify)
    return weights.read(path, fix=_RESTORE)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
