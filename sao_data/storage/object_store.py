"""A dataset in an object store (s3://, gs://, memory:// …) through fsspec.

An object is published when its upload is complete, so nothing half is ever seen. What a folder's kernel does
for a writer, a lease does here (object_lock.py): it is taken by putting an object where there is none, and
ends by itself when nobody renews it.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from sao_data.errors import Stopped, UsageError
from sao_data.storage.local_store import TEMPORARY, checked
from sao_data.storage.object_lock import Lease


class ObjectStorage:
    """A tree of objects under one prefix. Needs that protocol's driver installed."""

    replaces_safely = False

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs = file_system(url)
        self._root = self._fs._strip_protocol(self.url)
        self._lease: Lease | None = None

    def exists(self, name: str) -> bool:
        with told(self.url):
            return bool(self._fs.exists(self._path(name)))

    def size(self, name: str) -> int:
        with told(self.url):
            return int(self._fs.size(self._path(name)))

    def read(self, name: str) -> bytes:
        with told(self.url):
            return cast("bytes", self._fs.cat_file(self._path(name)))

    def open(self, name: str) -> BinaryIO:
        with told(self.url):
            return cast("BinaryIO", self._fs.open(self._path(name), "rb"))

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """Some bytes of an object in one request, fewer where it ends before."""
        with told(self.url):
            return cast("bytes", self._fs.cat_file(self._path(name), start=offset, end=offset + size))

    def changed(self, name: str) -> datetime:
        """When an object was last written, by the store's own clock."""
        with told(self.url):
            return cast("datetime", self._fs.modified(self._path(name)))

    def names(self, folder: str = "") -> list[str]:
        """Names of the objects directly in a folder, sorted."""
        found = self._listed(self._path(folder) if folder else self._root)
        prefix = f"{folder}/" if folder else ""
        return sorted(prefix + _last(e) for e in found if e["type"] == "file" and not _is_temporary(e))

    def entries(self) -> list[str]:
        """Whatever lies directly under the root, folders included, objects of a moment apart."""
        return sorted(_last(entry) for entry in self._listed(self._root) if not _is_temporary(entry))

    def write(self, name: str, data: bytes) -> None:
        self._check_lease()
        with told(self.url):
            self._fs.pipe_file(self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Put a new object, in one step for all who try; False, and nothing done, if there is one."""
        self._check_lease()
        with told(self.url):
            try:
                self._fs.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
        return True

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """A path to write to; on leaving without an exception its content is uploaded as `name`."""
        with tempfile.TemporaryDirectory(prefix="sao-upload-") as folder:
            temporary = Path(folder) / PurePosixPath(name).name
            yield temporary
            self._check_lease()
            with told(self.url):
                self._fs.put_file(str(temporary), self._path(name))

    def delete(self, name: str) -> None:
        self._check_lease()
        if self.exists(name):
            with told(self.url):
                self._fs.rm_file(self._path(name))

    def delete_folder(self, name: str) -> None:
        self._check_lease()
        with told(self.url):
            self._fs.invalidate_cache()
            if self._fs.isdir(path := self._path(name)):
                self._fs.rm(path, recursive=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory; Locked names the holder. A lease that is not renewed ends: see object_lock."""
        with Lease(ObjectStorage(self.url)).held() as self._lease:
            try:
                yield
            finally:
                self._lease = None

    def remove_leftovers(self) -> None:
        """Nothing to do: an unfinished upload is not an object."""

    def _check_lease(self) -> None:
        if self._lease:
            self._lease.check()

    def _listed(self, path: str) -> list[dict[str, Any]]:
        with told(self.url):
            self._fs.invalidate_cache()
            return list(self._fs.ls(path, detail=True)) if self._fs.isdir(path) else []

    def _path(self, name: str) -> str:
        return f"{self._root}/{checked(name)}"


def file_system(url: str) -> Any:
    """fsspec's file system for a URL; UsageError if its driver is not installed."""
    import fsspec

    protocol = url.split("://", 1)[0]
    try:
        return fsspec.filesystem(protocol, use_listings_cache=False)  # others write there too
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"{url}: no driver for {protocol}:// ({error}); for S3: pip install 'sao[s3]'"
        ) from error


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Errors of the store in our words: what is missing is usage, what may pass stops the run."""
    try:
        yield
    except PermissionError as error:
        raise UsageError(
            f"{url}: the store refuses ({error}); may these credentials read and write?"
        ) from error
    except _DRIVER_ERRORS as error:
        if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
            raise UsageError(
                f"{url}: no credentials; for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        raise Stopped(f"{url}: {error}; nothing is lost: run the same command again") from error


def _driver_errors() -> tuple[type[Exception], ...]:
    """What drivers raise that is no OSError."""
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return ()
    return (BotoCoreError,)


_DRIVER_ERRORS = _driver_errors()


def _last(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _is_temporary(entry: dict[str, Any]) -> bool:
    return _last(entry).startswith(TEMPORARY)
