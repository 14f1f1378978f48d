"""The only reader and writer of weights: safetensors files in, finite float tensors out; anything else is one
line that names the file and what to do. Nothing else is opened: a pickle runs code of whoever made it.

Tensors are views of the mapped file: weights that are float32 there take no memory but its pages, which
the system may drop and read again. Whoever changes such a tensor changes a private copy of its page.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sao_data.errors import IntegrityError, SaoError
from sao_data.storage import documents

INDEX = (
    ".index.json"  # behind the name of a file that lies in several (the layout of transformers and diffusers)
)
# Against numbers that are not finite. A clipped gradient alone does not help: Adam divides by its size.
ADVICE = "train into another --out with a smaller step (--set optimiser.lr=1e-5 --set optimiser.clip=1.0)"
_PIECE = 1 << 22  # numbers looked at in one go: a check must not need the memory of a whole tensor
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_STARTS = (
    (b"version https://git-lfs", "a pointer of git-lfs, not the weights; fetch them with `git lfs pull`"),
    (b"<", "a web page, not weights; download it again, signed in where that is asked for"),
    (b"PK\x03\x04", "a PyTorch pickle, which may run code; convert it to safetensors where it was made"),
    (b"\x80", "a pickle, which may run code; convert it to safetensors where it was made"),
)  # fmt: skip
Tensors = Mapping[str, Tensor]
_BROKEN = (SafetensorError, json.JSONDecodeError, KeyError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    weight_map: dict[str, str]  # tensor name -> file beside the index


class TensorShape(NamedTuple):
    """What the header of a file says of a tensor."""

    shape: tuple[int, ...]
    dtype: str = "F32"  # as safetensors writes it


def read(
    path: Path, *, fix: str, error: type[SaoError] = IntegrityError, only: Container[str] | None = None
) -> dict[str, Tensor]:
    """The tensors of a file, or of the files of its index, as float32 (half and double precision converted);
    `error` with `fix` if it is missing, cut, something else, or holds a number that is not finite. `only`:
    the names that are wanted, of those that are there."""
    tensors = _tensors(path, fix, error)
    tensors = {name: tensor for name, tensor in tensors.items() if only is None or name in only}
    for name, tensor in tensors.items():
        if tensor.dtype not in _FLOATS:
            what = f"{name} holds {_dtype(tensor)} numbers"
            raise error(f"{path}: {what}; take the file that it was made from, of 16 bits or more a number")
        tensors[name] = tensor.float()
    _check_finite(path, tensors, fix, error)
    return tensors


def read_raw(path: Path, *, fix: str, error: type[SaoError] = IntegrityError) -> dict[str, Tensor]:
    """The same in the types that the file has."""
    tensors = _tensors(path, fix, error)
    _check_finite(path, tensors, fix, error)
    return tensors


def shapes(path: Path, *, fix: str, error: type[SaoError] = IntegrityError) -> dict[str, TensorShape]:
    """Name, shape and type of every tensor of a file, or of the files of its index; no tensor is read."""
    found: dict[str, TensorShape] = {}
    for file in _files(path, fix, error):
        _check_start(file, fix, error)
        try:
            with safe_open(file, framework="pt") as opened:
                slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
                found |= {n: TensorShape(tuple(s.get_shape()), s.get_dtype()) for n, s in slices.items()}
        except _BROKEN as cause:
            raise error(f"{file}: not a whole safetensors file ({cause}); {fix}") from cause
    return found


def not_finite(tensors: Tensors) -> str:
    """Name of the first tensor that holds NaN or an infinity; '' if none does."""
    for name, tensor in tensors.items():
        pieces = torch.split(tensor.detach().reshape(-1), _PIECE) if tensor.dtype in _FLOATS else ()
        if not all(bool(torch.isfinite(piece).all()) for piece in pieces):
            return name
    return ""


def exists(path: Path) -> bool:
    """Is the file there, whole or in several?"""
    return path.is_file() or _index(path).is_file()


def store(
    path: Path,
    tensors: Tensors,
    *,
    metadata: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Write a safetensors file and return its sha256. Tensor by tensor: no second copy of them in memory, and
    no file of the library's own that only its owner may read. `progress` hears of bytes that are written."""
    if bad := not_finite(tensors):
        what = f"{bad} holds numbers that are not finite: not saved"
        raise IntegrityError(f"{path.name}: {what}; {ADVICE}")
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in _serialised(tensors, metadata):
            digest.update(piece)
            file.write(piece)
            if progress and isinstance(piece, memoryview):
                progress(len(piece))
    return digest.hexdigest()


def sha256(tensors: Tensors) -> str:
    """Digest of the file that `store` would write."""
    digest = hashlib.sha256()
    for piece in _serialised(tensors):
        digest.update(piece)
    return digest.hexdigest()


@torch.no_grad()
def put(module: nn.Module, tensors: Tensors) -> None:
    """Give every parameter the tensor of its name: on the meta device the tensor itself takes its place, else
    it is copied. What is tied stays tied, and lies in `tensors` under one of its names at least."""
    tied: dict[int, list[str]] = {}
    every = dict(module.named_parameters(remove_duplicate=False))
    for name, parameter in every.items():
        tied.setdefault(id(parameter), []).append(name)
    for names in tied.values():
        old = every[names[0]]
        value = next(tensors[name] for name in names if name in tensors)
        if not old.is_meta:
            old.copy_(value)
            continue
        new = nn.Parameter(value.to(old.dtype), requires_grad=old.requires_grad)
        for owner, _, leaf in (name.rpartition(".") for name in names):
            setattr(module.get_submodule(owner), leaf, new)


def _serialised(tensors: Tensors, metadata: Mapping[str, str] | None = None) -> Iterator[bytes | memoryview]:
    """A safetensors file, piece by piece."""
    # the widest types first, so that all are aligned
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    start = 0
    for name, tensor in ordered:
        end = start + tensor.numel() * tensor.element_size()
        dtype, shape = _DTYPES[tensor.dtype], [*tensor.shape]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return itertools.chain[bytes | memoryview](
        (len(text).to_bytes(8, "little"), text), (_raw(tensor) for _, tensor in ordered)
    )


def _raw(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _tensors(path: Path, fix: str, error: type[SaoError]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for file in _files(path, fix, error):
        tensors |= _load(file, fix, error)
    return tensors


def _check_finite(path: Path, tensors: Tensors, fix: str, error: type[SaoError]) -> None:
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
    _check_start(path, fix, error)
    try:
        return load_file(path)
    except _BROKEN as cause:
        raise error(f"{path}: not a whole safetensors file ({cause}); {fix}") from cause


def _check_start(path: Path, fix: str, error: type[SaoError]) -> None:
    """`error` for a file that is not there, or that its first bytes tell to be something else."""
    if not path.is_file():
        raise error(f"{path}: missing; {fix}")
    with path.open("rb") as file:
        start = file.read(32)
    for sign, what in _STARTS:
        if start.startswith(sign) and start[8:9] != b"{":  # a safetensors file: eight bytes, then JSON
            raise error(f"{path}: {what}")


def _index(path: Path) -> Path:
    return path.with_name(path.name + INDEX)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
