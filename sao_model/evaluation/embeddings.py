"""Embeddings as files: our .npz, which holds all of a set, and the layout of fadtk, a folder with a .npy for
each sound. Both say what made them, so that OpenL3 or PaSST run elsewhere can be used; nothing is pickled.

    .npz      identity (JSON text), keys (N,), groups (N,), lengths (N,), windows (all windows, D); and where
              there are any: logits (all windows, C), texts (N, D; NaN = no prompt)
    folder    identity.json, and NAME.npy (W, D) or (D,) for each sound; NAME.wav.npy is taken for NAME

identity: {"name": …, "model": …, "revision": …, "digest": sha256 of the weights, "num_dimensions": D}
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sao_data.errors import UsageError
from sao_data.storage import documents
from sao_model.evaluation.sounds import SUFFIXES
from sao_model.metrics.embedded import EmbeddedSet, Floats, Identity

IDENTITY = "identity.json"
_FORM = (
    'want {"name": "openl3", "model": "openl3/mel256-env-512-stereo", "revision": "0.4.2", "digest": "sha256 '
    'of the weights", "num_dimensions": 1024}'
)


def write(path: Path, clips: EmbeddedSet) -> None:
    """Publish a set as .npz, whole or not at all."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "identity": np.array(json.dumps(asdict(clips.identity), sort_keys=True)),
        "keys": np.array(clips.keys, dtype=np.str_),
        "groups": np.array(clips.groups, dtype=np.str_),
        "lengths": np.array([len(each) for each in clips.windows], dtype=np.int64),
        "windows": _stacked(clips.windows, clips.identity.num_dimensions),
    }
    if clips.logits:
        arrays["logits"] = np.concatenate(clips.logits)
    if clips.texts:
        none = np.full(clips.identity.num_dimensions, np.nan, np.float32)
        arrays["texts"] = np.stack([each if len(each) else none for each in clips.texts])
    publish(path, arrays)


def publish(path: Path, arrays: dict[str, npt.NDArray[Any]], *, is_cache: bool = False) -> None:
    """Arrays as .npz, by temporary file, fsync and rename; a cache, made again if lost, without fsync."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    with temporary.open("wb") as file:
        file.write(buffer.getvalue())
        file.flush()
        if not is_cache:
            os.fsync(file.fileno())
    os.replace(temporary, path)


def read(location: str) -> EmbeddedSet:
    """A set from .npz, or from a folder of .npy; UsageError for what is neither."""
    path = Path(location)
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file; embeddings are an .npz, or a folder of .npy")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: no .npz without pickle ({error}); write it with numpy.savez") from error
    missing = [name for name in ("identity", "keys", "windows") if name not in arrays]
    if missing:
        raise UsageError(f"{path}: no array {missing[0]!r} in it; see docs/evaluation.md for the layout")
    identity = _identity(str(arrays["identity"]).encode(), str(path))
    keys = tuple(str(key) for key in arrays["keys"])
    lengths = arrays.get("lengths", np.ones(len(keys), np.int64))
    _check(str(path), identity, keys, arrays["windows"], int(lengths.sum()))
    ends = np.cumsum(lengths)[:-1]
    return EmbeddedSet(
        identity=identity,
        keys=keys,
        groups=tuple(str(group) for group in arrays.get("groups", [""] * len(keys))),
        windows=tuple(np.split(arrays["windows"].astype(np.float32), ends)),
        logits=tuple(np.split(arrays["logits"].astype(np.float32), ends)) if "logits" in arrays else (),
        texts=tuple(each[~np.isnan(each)] for each in arrays["texts"]) if "texts" in arrays else (),
    )


def _read_folder(folder: Path) -> EmbeddedSet:
    """As fadtk writes them, with an identity.json put beside them."""
    about = folder / IDENTITY
    if not about.is_file():
        raise UsageError(f"{folder}: no {IDENTITY} in it, so nobody knows what made these; {_FORM}")
    identity = _identity(about.read_bytes(), str(about))
    paths = sorted(folder.rglob("*.npy"))
    if not paths:
        raise UsageError(f"{folder}: no .npy in it; want one a sound")
    windows = []
    for path in paths:
        try:
            windows.append(np.atleast_2d(np.load(path, allow_pickle=False)).astype(np.float32))
        except (ValueError, OSError) as error:
            raise UsageError(f"{path}: no .npy without pickle ({error})") from error
        _check(str(path), identity, ("",), windows[-1], len(windows[-1]))
    keys = tuple(_key(path.relative_to(folder).as_posix()) for path in paths)
    return EmbeddedSet(identity=identity, keys=keys, groups=("",) * len(keys), windows=tuple(windows))


def _identity(data: bytes, where: str) -> Identity:
    return documents.read(Identity, data, where=f"{where}: identity", fix=_FORM, error=UsageError)


def _check(where: str, identity: Identity, keys: tuple[str, ...], windows: Floats, num: int) -> None:
    """UsageError for embeddings that are not what is said of them."""
    if windows.ndim != 2 or windows.shape[1] != identity.num_dimensions:
        raise UsageError(
            f"{where}: embeddings of shape {windows.shape}; {identity} has {identity.num_dimensions} "
            "dimensions"
        )
    if len(windows) != num or not num:
        raise UsageError(f"{where}: {len(windows)} windows, {num} promised by its lengths")
    if len(set(keys)) < len(keys):
        raise UsageError(f"{where}: a key is there twice; each sound needs its own")
    if not np.isfinite(windows).all():
        raise UsageError(f"{where}: numbers that are not finite; embed these sounds again")


def _stacked(windows: tuple[Floats, ...], dimensions: int) -> Floats:
    return np.concatenate([np.empty((0, dimensions), np.float32), *windows])


def _key(name: str) -> str:
    stem = name.removesuffix(".npy")
    suffix = Path(stem).suffix
    return stem.removesuffix(suffix) if suffix.lower() in SUFFIXES else stem
