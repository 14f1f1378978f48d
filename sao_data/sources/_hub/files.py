"""What the library `datasets` gives of a dataset, without decoding any of it, and where its files may lie.

A row's audio is its bytes, or a path. A path comes from whoever made the dataset, and may name any file of
this machine; it is opened only within the dataset's own folder, or where the library keeps what it fetched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import io
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow

from sao_data.errors import UsageError
from sao_data.sources._common import rows
from sao_data.sources._common.archive import Archive, DamagedFile
from sao_data.sources._common.fields import Refused
from sao_data.sources._hub import nearby
from sao_data.storage import inputs

_MEMBER = re.compile(r"zip://(.+)::(/.+)")  # how the library names a file within a zip
_SNAPSHOT = re.compile(r"/snapshots/[0-9a-f]+/(.+)")  # …/datasets--org--name/snapshots/COMMIT/data/x.wav
_BLOCK = 1 << 20
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Which rows; fields as in hub.Config."""

    dataset: str
    path: str
    config_name: str
    split: str
    revision: str
    audio_column: str
    cache: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where files of the dataset may lie."""

    base: str  # the folder that relative paths are relative to; '' = there is none
    roots: tuple[str, ...]  # real paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A split as rows that nobody decodes."""

    table: Any  # datasets.Dataset in the format "arrow"
    columns: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]  # names of the classes, of columns that hold their numbers
    places: Places

    def named(self, column: str, cell: object) -> object:
        """The cell, a class by its name."""
        names = self.labels.get(column, ())
        return names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else cell


def load(spec: Spec) -> Loaded:
    """Prepare and map the split. UsageError: not there, or not like this; other OSErrors are transient."""
    if spec.path and not inputs.is_folder(spec.path):
        raise UsageError(f"hub: {spec.path}: no such folder; set source.path (or --set source.N.path=…)")
    datasets = _library()
    datasets.disable_progress_bars()
    where = spec.path or spec.dataset
    if inputs.is_url(spec.path):
        cache = spec.cache or str(datasets.config.HF_DATASETS_CACHE)
        spec = dataclasses.replace(spec, path=nearby.copied(spec.path, cache))
    try:
        with _undecoded():
            table: Any = datasets.load_dataset(
                spec.path or f"hf://datasets/{spec.dataset}",
                spec.config_name or None,
                split=spec.split,
                revision=spec.revision or None,
                cache_dir=spec.cache or None,
            )
        if spec.audio_column in table.column_names:
            table = table.cast_column(spec.audio_column, datasets.Audio(decode=False))
    except (
        FileNotFoundError,
        datasets.exceptions.DatasetsError,
        ValueError,
        TypeError,
        RuntimeError,
        pyarrow.ArrowException,
    ) as error:
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
            raise cause from error
        raise UsageError(f"hub: {where}: cannot be read ({_short(error)}{_because(error)})") from error
    if spec.audio_column not in table.column_names:
        raise UsageError(
            f"hub: {where}: no column {spec.audio_column!r}; set source.audio_column to one of "
            f"{', '.join(table.column_names)}"
        )
    return _as_rows(table, spec)


def facts(audio: object, places: Places) -> rows.Row:
    """Path, size and sha256 of a row's audio; '' and None of a file that is not there. Refused for a path
    that leads out of the dataset."""
    data, path = _cell(audio)
    said: rows.Row = {
        "path": path if data is not None else _shown(path, places),
        "num_bytes": None,
        "sha256": "",
    }
    try:
        with opened(audio, places) as file:
            said["sha256"], said["num_bytes"] = _hashed(file)
    except (FileNotFoundError, DamagedFile):
        pass  # said when it is to be opened
    return said


def opened(audio: object, places: Places) -> BinaryIO:
    """A row's audio. FileNotFoundError: there is none; DamagedFile: it must not be opened."""
    data, path = _cell(audio)
    if data is not None:
        return io.BytesIO(data)
    if not path:
        raise FileNotFoundError("the row has no audio")
    file, member = _split(path)
    try:
        real = _within(file, places)
    except Refused as error:
        raise DamagedFile(str(error)) from error
    if member:
        return Archive(path=real, key="path", plugin="hub").open(member)
    if not os.path.isfile(real):
        raise FileNotFoundError(f"{path}: no such file in the dataset")
    return open(real, "rb")


def _library() -> Any:
    """The package `datasets`, which has no types; imported late, since it takes a second."""
    return importlib.import_module("datasets")


def _as_rows(table: Any, spec: Spec) -> Loaded:
    class_label = _library().ClassLabel
    labels = {
        name: tuple(feature.names)
        for name, feature in table.features.items()
        if isinstance(feature, class_label)
    }
    return Loaded(
        table=table.with_format("arrow"),
        columns=tuple(table.column_names),
        labels=labels,
        places=_places(spec),
    )


def _places(spec: Spec) -> Places:
    if spec.path:
        return Places(base=spec.path, roots=(os.path.realpath(spec.path),))
    import huggingface_hub.constants

    own = f"datasets--{spec.dataset.replace('/', '--')}"
    fetched = os.path.join(huggingface_hub.constants.HF_HUB_CACHE, own)
    unpacked = (
        os.path.join(spec.cache, "downloads") if spec.cache else _library().config.DOWNLOADED_DATASETS_PATH
    )
    return Places(base="", roots=(os.path.realpath(fetched), os.path.realpath(unpacked)))


def _hashed(file: BinaryIO) -> tuple[str, int]:
    sha256, num_bytes = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        sha256.update(block)
        num_bytes += len(block)
    return sha256.hexdigest(), num_bytes


def _cell(audio: object) -> tuple[bytes | None, str]:
    """(bytes, path) of a row's audio; None and '' where there is none."""
    if not isinstance(audio, dict):
        return None, ""
    data, path = audio.get("bytes"), audio.get("path")
    return data if isinstance(data, bytes) else None, path if isinstance(path, str) else ""


def _split(path: str) -> tuple[str, str]:
    """(file, member of it)."""
    match = _MEMBER.fullmatch(path)
    return (match[2], match[1]) if match else (path, "")


def _within(file: str, places: Places) -> str:
    """The real path of a file of the dataset."""
    if not os.path.isabs(file) and not places.base:
        raise Refused("bad_path", f"{file[:200]!r} is no file of the dataset")
    real = "" if "\0" in file else os.path.realpath(os.path.join(places.base, file))
    if not any(real.startswith(os.path.join(root, "")) for root in places.roots):
        raise Refused("bad_path", f"{file[:200]!r} lies outside of the dataset")
    return real


def _shown(path: str, places: Places) -> str:
    """How evidence names a file: the same on every machine."""
    file, member = _split(path)
    if not file:
        return ""
    real = _within(file, places)
    if member:
        return member
    if match := _SNAPSHOT.search(file):
        return match[1]
    root = places.roots[0]
    return os.path.relpath(real, root) if real.startswith(os.path.join(root, "")) else os.path.basename(real)


@contextlib.contextmanager
def _undecoded() -> Iterator[None]:
    """Let the library note paths and bytes of audio without torchcodec, which datasets 5.2 imports even for
    that (features/audio.py, encode_example), and which we do without."""
    feature = _library().Audio
    with _LOCK:
        own = feature.encode_example
        feature.encode_example = _noted
        try:
            yield
        finally:
            feature.encode_example = own


def _noted(feature: object, said: object) -> dict[str, object]:
    """What the feature stores of an example: a path, or bytes and the name they had."""
    if isinstance(said, dict):
        return {"bytes": said.get("bytes"), "path": said.get("path")}
    return {"bytes": said, "path": None} if isinstance(said, bytes) else {"bytes": None, "path": str(said)}


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _because(error: Exception) -> str:
    return f": {' '.join(str(error.__cause__).split())[:200]}" if error.__cause__ else ""
