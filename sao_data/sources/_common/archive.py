"""A zip file or a folder behind one small interface: find names, open bytes. Nothing is ever extracted.

Both may lie in an object store (s3://…); there a name that ends with .zip is a zip file.

An Archive holds no open file, so it pickles; a zip's directory is read once per process. A member is streamed
(stored, deflated or bzip2), and while it is read its size and crc32 are held against the zip's directory.
What is there but damaged, or must not be opened, raises DamagedFile: a fact about the recording. What is not
there raises FileNotFoundError. An archive that vanished as a whole raises OSError: a transient failure.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sao_data.errors import UsageError
from sao_data.plugins import DamagedFile
from sao_data.sources._common.member import ZipEntry, open_member
from sao_data.storage import inputs

__all__ = ["Archive", "DamagedFile", "FileFacts", "is_safe"]


class FileFacts(NamedTuple):
    """What is known of a file without reading it; crc32 is '' in a folder."""

    num_bytes: int
    crc32: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A zip file, or a folder that holds the same."""

    path: str
    key: str  # the key of the manifest's [[source]] that names it
    plugin: str  # whose errors these are

    def check(self) -> None:
        """Raise UsageError unless it is a folder or a whole zip file that this machine can see."""
        if not inputs.is_folder(self.path) and not inputs.is_file(self.path):
            raise UsageError(
                f"{self.plugin}: {self.path}: no such zip file or folder; "
                f"set source.{self.key} (or --set source.N.{self.key}=…)"
            )
        if not self._is_folder:
            self._index()

    def files(self, pattern: str) -> list[str]:
        """Files whose path matches a glob part by part ("metadata/*.csv"), sorted."""
        if self._is_folder and not inputs.is_url(self.path):
            root = Path(self.path)
            return sorted(p.relative_to(root).as_posix() for p in root.glob(pattern) if p.is_file())
        return sorted(name for name in self._names() if _matches(name, pattern))

    def folders(self, *patterns: str) -> list[str]:
        """Folders whose path matches one of the globs, sorted."""
        if self._is_folder and not inputs.is_url(self.path):
            root = Path(self.path)
            found = (p for pattern in patterns for p in root.glob(pattern) if p.is_dir())
            return sorted(p.relative_to(root).as_posix() for p in found)
        folders = _folders(self._names()) if self._is_folder else self._index().folders
        return sorted(name for name in folders if any(_matches(name, pattern) for pattern in patterns))

    def refused(self) -> list[str]:
        """Names in a zip that lead out of it; they are never opened."""
        if self._is_folder:
            return []
        return sorted(name for name in self._index().members if not is_safe(name))

    def facts(self, name: str) -> FileFacts | None:
        """Size and crc32 of a file as its directory has them; None: there is no such file."""
        if self._is_folder:
            path = os.path.join(self.path, name)
            return FileFacts(inputs.num_bytes(path), "") if is_safe(name) and inputs.is_file(path) else None
        member = self._index().members.get(name)
        return None if member is None else FileFacts(member.num_bytes, f"{member.crc32:08x}")

    def open(self, name: str) -> BinaryIO:
        """The bytes of a file, from its beginning; not seekable."""
        if not is_safe(name):
            raise DamagedFile(f"{name[:200]!r} leads out of the archive")
        return self._open_file(name) if self._is_folder else self._open_member(name)

    @property
    def _is_folder(self) -> bool:
        return not self.path.endswith(".zip") if inputs.is_url(self.path) else os.path.isdir(self.path)

    def _names(self) -> Collection[str]:
        return inputs.files_below(self.path) if self._is_folder else self._index().members

    def _open_file(self, name: str) -> BinaryIO:
        if inputs.is_url(self.path):
            return inputs.open_file(os.path.join(self.path, name))
        root = os.path.realpath(self.path)
        real = os.path.realpath(os.path.join(root, name))
        if not real.startswith(os.path.join(root, "")):
            raise DamagedFile(f"{name[:200]!r} is a link that leaves the folder")
        if not os.path.isfile(real):
            raise FileNotFoundError(f"{name}: no such file in the folder")
        return open(real, "rb")

    def _open_member(self, name: str) -> BinaryIO:
        index = self._index()
        member = index.members.get(name)
        if member is None:
            raise FileNotFoundError(f"{name}: no such member of {os.path.basename(self.path)}")
        if name in index.repeated:
            raise DamagedFile(f"{name}: stands in the archive twice")
        return open_member(self.path, name, member)

    def _index(self) -> _Index:
        try:
            size, changed_ns = inputs.state(self.path)
        except FileNotFoundError as error:
            raise OSError(f"{self.path} has vanished") from error
        return _read_index(self.path, size, changed_ns, self.plugin)


def is_safe(name: str) -> bool:
    """Does it name something within an archive, on every system?"""
    if not name.isprintable() or "\\" in name or re.match(r"/|[A-Za-z]:", name):
        return False
    return not any(part in ("", ".", "..") for part in name.split("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    members: dict[str, ZipEntry]
    folders: frozenset[str]
    repeated: frozenset[str]


@functools.lru_cache(maxsize=4)
def _read_index(path: str, num_bytes: int, changed_ns: int, plugin: str) -> _Index:
    """The directory of a zip file; size and time are there so that a replaced file is read anew."""
    try:
        with inputs.open_file(path) as file, zipfile.ZipFile(file) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise UsageError(
            f"{plugin}: {path}: no whole zip file ({error}); {num_bytes:,} bytes are here: "
            "if that is less than published, it was cut; download it again"
        ) from error
    counts = Counter(info.filename for info in infos)
    members = {info.filename: _entry(info) for info in infos}
    return _Index(
        members=members,
        folders=_folders(members),
        repeated=frozenset(name for name, count in counts.items() if count > 1),
    )


def _folders(names: Iterable[str]) -> frozenset[str]:
    """Every folder on the way to a file."""
    parents = {name.rpartition("/")[0] for name in names} - {""}
    return frozenset(
        "/".join(parts[:n]) for p in parents for parts in (p.split("/"),) for n in range(1, len(parts) + 1)
    )


def _entry(info: zipfile.ZipInfo) -> ZipEntry:
    return ZipEntry(
        offset=info.header_offset,
        packed_bytes=info.compress_size,
        num_bytes=info.file_size,
        crc32=info.CRC,
        method=info.compress_type,
        flags=info.flag_bits,
        is_link=stat.S_ISLNK(info.external_attr >> 16),
    )


def _matches(name: str, pattern: str) -> bool:
    """Does a path match a glob, part by part ('*' stays within a part)?"""
    parts, globs = name.split("/"), pattern.split("/")
    return len(parts) == len(globs) and all(
        fnmatch.fnmatchcase(part, glob) for part, glob in zip(parts, globs, strict=True)
    )
