"""A checkpoint is a folder that loads as a model: model.json, and one safetensors file per part.

    model.json            format, config, and for each part its file, sha256, sizes, dtype and licence terms
    vae.safetensors  dit.safetensors  conditioners.safetensors
    text_encoder.safetensors  (only if its weights are our own, not published ones)
    whatever else the writer adds: tensors (ema, optimiser) and files (training_data.json)
    SHA256SUMS            of all of these; its own sha256 is the checkpoint's digest

It is written beside its final name, synced and renamed: a folder with this name is whole. No pickle anywhere,
and no number that is not finite.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from sao_data.config import canonical
from sao_data.errors import IntegrityError, UsageError
from sao_data.forms import Count, Digest, Form, Sha256
from sao_data.storage import checksums, documents
from sao_model import codec, preset, weights
from sao_model.model import StableAudio, build, conditioner, fetch_text, parts
from sao_model.preset import Config, parse, to_table

FILE = "model.json"
FORMAT = 2  # 1 had no SHA256SUMS
PARTS = ("vae", "dit", "conditioners", "text_encoder")

_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_RESTORE = "restore it from a copy"
_MOST_LINES = 12  # of a list of keys in a message

Tensors = Mapping[str, Tensor]
_Name = Annotated[str, Form(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
_File = Annotated[str, Form(r"^([A-Za-z0-9][A-Za-z0-9_-]*[.]safetensors)?$")]  # beside model.json


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """One part of a model as it is stored, or as it would be."""

    file: _File  # '' = not stored: a published encoder, or a model that only has a config
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


def from_preset(name: str, *, seed: int = 0) -> StableAudio:
    """A model with random weights from a preset ("tiny") or a TOML file."""
    return build(preset.read(name), seed=seed)


def save(
    model: StableAudio,
    folder: str | Path,
    *,
    tensors: Mapping[str, Tensors] | None = None,
    files: Mapping[str, bytes] | None = None,
    only: tuple[str, ...] = PARTS,
) -> None:
    """Write a checkpoint, with further `tensors` (NAME.safetensors) and `files` beside the model's own.

    `only` names the parts to store: training the codec has no use for a transformer of random weights.
    UsageError if the folder exists: a checkpoint is never overwritten.
    """
    with written_whole(folder) as temporary:
        for name, data in (files or {}).items():
            (temporary / name).write_bytes(data)
        _write(model, temporary, tensors or {}, only)
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


def load(folder: str | Path, *, verify: bool = True) -> StableAudio:
    """The model of a checkpoint, on the CPU. `verify` reads every file once more to compare its sha256."""
    description = describe(folder)
    absent = [name for name, part in description.parts.items() if not part.file]
    if absent and (absent != ["text_encoder"] or not _is_published(description.config)):
        raise UsageError(f"{folder}: holds no {' and no '.join(absent)}; give a checkpoint of train_dit.py")
    with torch.device("meta"):
        model = StableAudio(description.config)
    if not _is_published(description.config):
        model.text = conditioner(description.config.prompt)  # really: some of its weights are tied
    fetch_text(model)
    for name, module in parts(model).items():
        part = description.parts[name]
        if part.file and part.parameters != sum(p.numel() for p in module.parameters()):
            raise IntegrityError(f"{folder}/{FILE}: {name} has another number of parameters; {_RESTORE}")
        if part.file:
            assign(module, _weights(folder, part, verify), where=f"{folder}/{part.file}")
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


def measure(model: StableAudio) -> dict[str, StoredPart]:
    """Sizes of a model's parts, exact on the meta device too."""
    return {name: _part(module, terms=model.terms.get(name, "")) for name, module in parts(model).items()}


def assign(module: nn.Module, tensors: Tensors, *, where: str) -> None:
    """Load weights by name; UsageError lists what is missing, unexpected or of another shape, grouped."""
    wanted = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    there = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [
        *_grouped("missing", wanted.keys() - there.keys()),
        *_grouped("unexpected", there.keys() - wanted.keys()),
        *_grouped("other shape", {key for key in wanted.keys() & there.keys() if wanted[key] != there[key]}),
    ]
    if problems:
        more = [f"… and {len(problems) - _MOST_LINES} more"] if len(problems) > _MOST_LINES else []
        lines = "\n  ".join([*problems[:_MOST_LINES], *more])
        raise UsageError(f"{where}: weights of another model; use the config they were made with\n  {lines}")
    on_meta = any(parameter.is_meta for parameter in module.parameters())
    module.load_state_dict(
        dict(tensors), strict=False, assign=on_meta
    )  # names were checked; tied ones lie once


def _write(model: StableAudio, folder: Path, tensors: Mapping[str, Tensors], only: tuple[str, ...]) -> None:
    described, extras = {}, {}
    for name, module in parts(model).items():
        stored = name in only and not (name == "text_encoder" and _is_published(model.config))
        file = f"{name}.safetensors" if stored else ""
        sha256 = store(folder / file, dict(module.named_parameters())) if stored else ""
        part = _part(module, file=file, sha256=sha256, terms=model.terms.get(name, ""))
        described[name] = canonical(part)
    for name, values in tensors.items():
        assert name not in described, name
        extras[name] = store(folder / f"{name}.safetensors", values)
    table = {"format": FORMAT, "config": to_table(model.config), "parts": described, "extras": extras}
    (folder / FILE).write_text(json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _is_published(config: Config) -> bool:
    return bool(getattr(config.prompt.config, "pretrained", ""))


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


def store(path: Path, tensors: Tensors, *, metadata: Mapping[str, str] | None = None) -> str:
    """Write a safetensors file and return its sha256. Tensor by tensor: no second copy of them in memory, and
    no file of the library's own that only its owner may read."""
    ordered = sorted(
        tensors.items(), key=lambda item: (-item[1].element_size(), item[0])
    )  # so all are aligned
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    start = 0
    for name, tensor in ordered:
        end = start + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": [*tensor.shape],
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    if bad := weights.not_finite(tensors):
        what = f"{bad} holds numbers that are not finite: not saved"
        raise IntegrityError(f"{path.name}: {what}; {weights.ADVICE}")
    digest = hashlib.sha256()
    with path.open("wb") as file:
        pieces = itertools.chain[bytes | memoryview](
            (len(text).to_bytes(8, "little"), text), (_raw(tensor) for _, tensor in ordered)
        )
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _raw(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _check(path: Path, sha256: str, verify: bool) -> None:
    if not path.is_file():
        raise IntegrityError(f"{path}: missing, though {FILE} names it; {_RESTORE}")
    if verify and checksums.sha256(path) != sha256:
        raise IntegrityError(f"{path}: not the bytes that {FILE} names; {_RESTORE}")


def _weights(folder: str | Path, part: StoredPart, verify: bool) -> dict[str, Tensor]:
    path = Path(folder) / part.file
    _check(path, part.sha256, verify)
    return weights.read(path, fix=_RESTORE)


def _grouped(what: str, keys: Iterable[str]) -> list[str]:
    """ "missing: blocks.*.ff.out.weight (24)": keys that differ by a number only count as one line."""
    groups = Counter(re.sub(r"(?<=\.)\d+(?=\.)", "*", key) for key in keys)
    return [f"{what}: {key}" + (f" ({count})" if count > 1 else "") for key, count in sorted(groups.items())]


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
