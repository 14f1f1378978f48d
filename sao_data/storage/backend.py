"""Where a dataset lies: a local folder, or any object store that fsspec knows. A file is there whole or not
at all.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import BinaryIO, Protocol

from sao_data.storage.local_store import LocalStorage
from sao_data.storage.object_store import ObjectStorage

__all__ = ["LocalStorage", "Storage", "open_storage", "write_if_changed"]


class Storage(Protocol):
    """A tree of files under one root; names are relative POSIX paths ("shards/train-000000.tar")."""

    url: str
    replaces_safely: bool  # an open file goes on showing its old content after its name is published anew

    def exists(self, name: str) -> bool: ...
    def size(self, name: str) -> int: ...
    def read(self, name: str) -> bytes: ...
    def open(self, name: str) -> BinaryIO: ...
    def read_range(self, name: str, offset: int, size: int) -> bytes: ...
    def names(self, folder: str = "") -> list[str]: ...
    def entries(self) -> list[str]: ...
    def write(self, name: str, data: bytes) -> None: ...
    def create(self, name: str, data: bytes) -> bool: ...
    def staged(self, name: str) -> contextlib.AbstractContextManager[Path]: ...
    def delete(self, name: str) -> None: ...
    def delete_folder(self, name: str) -> None: ...
    def lock(self) -> contextlib.AbstractContextManager[None]: ...
    def remove_leftovers(self) -> None: ...


def open_storage(url: str) -> Storage:
    """The storage at a path or URL. Nothing is created or contacted yet."""
    if "://" not in url:
        return LocalStorage(Path(url))
    if url.startswith("file://"):
        return LocalStorage(Path(url.removeprefix("file://")))
    return ObjectStorage(url)


def write_if_changed(storage: Storage, name: str, data: bytes) -> bool:
    """Publish `data` under `name` unless exactly these bytes are there already; say whether anything was
    written."""
    if storage.exists(name) and storage.size(name) == len(data) and storage.read(name) == data:
        return False
    storage.write(name, data)
    return True
