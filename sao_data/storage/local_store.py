"""A dataset in a folder of a local or shared file system: a file is there whole or not at all.

Files are written beside their final name, synced, renamed, and the folder synced, so that neither a kill nor
a power cut shows half a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TextIO

from sao_data.errors import Locked, UsageError
from sao_data.storage import layout

TEMPORARY = ".tmp-"  # begins the names of what is no file of a dataset (yet)


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
        found = (e.name for e in os.scandir(path) if e.is_file() and not e.name.startswith(TEMPORARY))
        return sorted(prefix + name for name in found)

    def entries(self) -> list[str]:
        """Whatever lies directly under the root, folders included, temporaries of ours apart."""
        if not self.root.is_dir():
            return []
        return sorted(e.name for e in os.scandir(self.root) if not e.name.startswith(TEMPORARY))

    def write(self, name: str, data: bytes) -> None:
        with self.staged(name) as temporary:
            temporary.write_bytes(data)

    def create(self, name: str, data: bytes) -> bool:
        """Publish a new file; False, and nothing done, if there is one of that name."""
        if self.exists(name):  # the lock keeps others out
            return False
        self.write(name, data)
        return True

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """A path to write to; on leaving without an exception its content is published under `name`."""
        final = self._path(name)
        _make_folder(final.parent)
        temporary = final.parent / f"{TEMPORARY}{secrets.token_hex(8)}-{final.name}"
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
            file.write(holder())
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
        for path in self.root.rglob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.root / layout.SPOOL, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.root / checked(name)


def checked(name: str) -> str:
    """A name as given; it must stay under the root."""
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


def holder() -> str:
    """This process, as others are told who holds a directory."""
    return f"process {os.getpid()} on {socket.gethostname()} ({Path(sys.argv[0]).name})"
