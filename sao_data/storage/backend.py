"""Where a dataset lies: a local folder, or any object store that fsspec knows. A file is there whole or not
at all.

Local files are written beside their final name, synced, renamed, and the folder synced, so that neither a
kill nor a power cut shows half a file. Object stores publish an object when its upload is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, TextIO, cast

from sao_data.errors import Locked, UsageError
from sao_data.storage import layout

_TEMPORARY = ".tmp-"


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


class LocalStorage:
    """A folder on a local or shared file system."""

    replaces_safely = True

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)

    def exists(self, name: str) -> bool:
        return self._path(name).is_file()

    def size(self, name: str) -> int:
        return self._path(name).stat().st_size

    def read(self, name: str) -> bytes:
        return self._path(name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """Some bytes of a file, fewer where it ends before."""
        with self.open(name) as file:
            file.seek(offset)
            return file.read(size)

    def names(self, folder: str = "") -> list[str]:
        """Names of the files directly in a folder, sorted; temporaries are not files yet."""
        path = self._path(folder) if folder else self.root
        if not path.is_dir():
            return []
        prefix = f"{folder}/" if folder else ""
        found = (e.name for e in os.scandir(path) if e.is_file() and not e.name.startswith(_TEMPORARY))
        return sorted(prefix + name for name in found)

    def entries(self) -> list[str]:
        """Whatever lies directly under the root, folders included, temporaries of ours apart."""
        if not self.root.is_dir():
            return []
        return sorted(e.name for e in os.scandir(self.root) if not e.name.startswith(_TEMPORARY))

    def write(self, name: str, data: bytes) -> None:
        with self.staged(name) as temporary:
            temporary.write_bytes(data)

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """A path to write to; on leaving without an exception its content is published under `name`."""
        final = self._path(name)
        _make_folder(final.parent)
        temporary = final.parent / f"{_TEMPORARY}{secrets.token_hex(8)}-{final.name}"
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, final)
            _sync(final.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def delete_folder(self, name: str) -> None:
        """All that lies below a folder; nothing to do if it is not there."""
        if (path := self._path(name)).is_dir():
            shutil.rmtree(path)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory; Locked names the holder. The kernel releases it when the process ends, however
        it ends."""
        _make_folder(self.root)
        path = self.root / layout.LOCK
        with self._locked_file(path) as file:
            file.truncate(0)
            file.write(_holder())
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def _locked_file(self, path: Path) -> TextIO:
        """The lock file, opened and held. One that its holder has just removed locks nothing: try again."""
        while True:
            file = path.open("a+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                with file:
                    file.seek(0)
                    holder = file.read().strip() or "another run"
                message = f"{self.url}: in use by {holder}; wait for it, or stop it and run again"
                raise Locked(message) from error
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
            file.close()

    def remove_leftovers(self) -> None:
        """Remove what killed runs left behind: temporaries and spooled audio. Only under the lock."""
        for path in self.root.rglob(f"{_TEMPORARY}*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.root / layout.SPOOL, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.root / _checked(name)


class ObjectStorage:
    """An object store (s3://, gs://, memory:// …) through fsspec. Needs that protocol's driver installed."""

    replaces_safely = False

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        protocol = url.split("://", 1)[0]
        try:
            self._fs: Any = fsspec.filesystem(protocol)
        except (ValueError, ImportError) as error:
            raise UsageError(
                f"{url}: no driver for {protocol}:// ({error}); for S3: pip install 'sao[s3]'"
            ) from error
        self._root = self._fs._strip_protocol(self.url)

    def exists(self, name: str) -> bool:
        return bool(self._fs.exists(self._path(name)))

    def size(self, name: str) -> int:
        return int(self._fs.size(self._path(name)))

    def read(self, name: str) -> bytes:
        return cast("bytes", self._fs.cat_file(self._path(name)))

    def open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", self._fs.open(self._path(name), "rb"))

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """Some bytes of an object in one request, fewer where it ends before."""
        return cast("bytes", self._fs.cat_file(self._path(name), start=offset, end=offset + size))

    def names(self, folder: str = "") -> list[str]:
        path = self._path(folder) if folder else self._root
        self._fs.invalidate_cache()
        if not self._fs.isdir(path):
            return []
        prefix = f"{folder}/" if folder else ""
        entries = self._fs.ls(path, detail=True)
        return sorted(
            prefix + e["name"].rstrip("/").rsplit("/", 1)[-1] for e in entries if e["type"] == "file"
        )

    def entries(self) -> list[str]:
        self._fs.invalidate_cache()
        if not self._fs.isdir(self._root):
            return []
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in self._fs.ls(self._root, detail=False))

    def write(self, name: str, data: bytes) -> None:
        self._fs.pipe_file(self._path(name), data)

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="sao-upload-") as folder:
            temporary = Path(folder) / PurePosixPath(name).name
            yield temporary
            self._fs.put_file(str(temporary), self._path(name))

    def delete(self, name: str) -> None:
        if self.exists(name):
            self._fs.rm_file(self._path(name))

    def delete_folder(self, name: str) -> None:
        self._fs.invalidate_cache()
        if self._fs.isdir(path := self._path(name)):
            self._fs.rm(path, recursive=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory by an object that names the holder; a killed run leaves it, and the message says
        so."""
        if self.exists(layout.LOCK):
            holder = self.read(layout.LOCK).decode(errors="replace")
            raise Locked(f"{self.url}: in use by {holder}; if that run is dead, delete {self.url}/lock")
        self.write(layout.LOCK, _holder().encode())
        try:
            yield
        finally:
            self.delete(layout.LOCK)

    def remove_leftovers(self) -> None:
        """Nothing to do: an unfinished upload is not an object."""

    def _path(self, name: str) -> str:
        return f"{self._root}/{_checked(name)}"


def _checked(name: str) -> str:
    path = PurePosixPath(name)
    assert not path.is_absolute(), name
    assert ".." not in path.parts, name
    return name


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{path}: a file is where a folder should be") from error
    except (PermissionError, NotADirectoryError) as error:
        raise UsageError(
            f"{path}: cannot create the folder ({error.strerror}); choose another --out"
        ) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _holder() -> str:
    return f"process {os.getpid()} on {socket.gethostname()} ({Path(sys.argv[0]).name})"
