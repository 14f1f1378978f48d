"""The only reader of weights: safetensors files in, finite float tensors out; anything else is one line that
names the file and what to do. Nothing else is opened: a pickle runs code of whoever made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sao_data.errors import IntegrityError, SaoError
from sao_data.storage import documents

INDEX = (
    ".index.json"  # behind the name of a file that lies in several (the layout of transformers and diffusers)
)
# Against numbers that are not finite. A clipped gradient alone does not help: Adam divides by its size.
ADVICE = "train into another --out with a smaller step (--set optimiser.lr=1e-5 --set optimiser.clip=1.0)"
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_STARTS = (
    (b"version https://git-lfs", "a pointer of git-lfs, not the weights; fetch them with `git lfs pull`"),
    (b"<", "a web page, not weights; download it again, signed in where that is asked for"),
    (b"PK\x03\x04", "a PyTorch pickle, which may run code; convert it to safetensors where it was made"),
    (b"\x80", "a pickle, which may run code; convert it to safetensors where it was made"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    weight_map: dict[str, str]  # tensor name -> file beside the index


def read(path: Path, *, fix: str, error: type[SaoError] = IntegrityError) -> dict[str, Tensor]:
    """The tensors of a file, or of the files of its index, as float32 (half and double precision converted);
    `error` with `fix` if it is missing, cut, something else, or holds a number that is not finite."""
    tensors = _tensors(path, fix, error)
    for name, tensor in tensors.items():
        if tensor.dtype not in _FLOATS:
            what = f"{name} holds {_dtype(tensor)} numbers"
            raise error(f"{path}: {what}; weights are floating-point, of 16 bits or more; {fix}")
        tensors[name] = tensor.float()
    _check_finite(path, tensors, fix, error)
    return tensors


def read_raw(path: Path, *, fix: str, error: type[SaoError] = IntegrityError) -> dict[str, Tensor]:
    """The same in the types that the file has."""
    tensors = _tensors(path, fix, error)
    _check_finite(path, tensors, fix, error)
    return tensors


def not_finite(tensors: Mapping[str, Tensor]) -> str:
    """Name of the first tensor that holds NaN or an infinity; '' if none does."""
    for name, tensor in tensors.items():
        if tensor.dtype in _FLOATS and not bool(torch.isfinite(tensor).all()):
            return name
    return ""


def exists(path: Path) -> bool:
    """Is the file there, whole or in several?"""
    return path.is_file() or _index(path).is_file()


def _tensors(path: Path, fix: str, error: type[SaoError]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for file in _files(path, fix, error):
        tensors |= _load(file, fix, error)
    return tensors


def _check_finite(path: Path, tensors: Mapping[str, Tensor], fix: str, error: type[SaoError]) -> None:
    if bad := not_finite(tensors):
        raise error(f"{path}: {bad} holds numbers that are not finite; {fix}")


def _files(path: Path, fix: str, error: type[SaoError]) -> list[Path]:
    """The file itself, or those that its index names."""
    if path.is_file() or not _index(path).is_file():
        return [path]
    where = _index(path)
    index = documents.checked(_Index, where.read_bytes(), where=str(where), fix=fix, error=error)
    names = sorted(set(index["weight_map"].values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise error(f"{where}: names {name!r}, which is no safetensors file beside it; {fix}")
    return [path.parent / name for name in names]


def _load(path: Path, fix: str, error: type[SaoError]) -> dict[str, Tensor]:
    if not path.is_file():
        raise error(f"{path}: missing; {fix}")
    with path.open("rb") as file:
        start = file.read(32)
    for sign, what in _STARTS:
        if start.startswith(sign) and start[8:9] != b"{":  # a safetensors file: eight bytes, then JSON
            raise error(f"{path}: {what}")
    try:
        return load_file(path)
    except (SafetensorError, json.JSONDecodeError, KeyError, ValueError) as cause:
        raise error(f"{path}: not a whole safetensors file ({cause}); {fix}") from cause


def _index(path: Path) -> Path:
    return path.with_name(path.name + INDEX)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
