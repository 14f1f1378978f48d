"""Original files: read in place where a source has them at hand, kept under work/originals/ where they come
over a network.

A file that was downloaded stays until its bucket is packed (always with `work.keep_originals`), with a note
of what it is beside it, so that nothing is downloaded twice. What a broken transfer left is continued.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from sao_data.fetch.remote import RemoteSource
from sao_data.ids import sample_key
from sao_data.plugins import Source
from sao_data.records import Recording, Rendition
from sao_data.storage import documents, layout
from sao_data.storage.backend import LocalStorage, Storage

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A file that was transferred, hashed once."""

    stated: str  # digest of what the source stated of it when it was transferred
    sha256: str
    md5: str
    num_bytes: int
    rendition: Rendition


@dataclass(frozen=True, slots=True, kw_only=True)
class Originals:
    """The transferred files of one bucket."""

    storage: Storage
    bucket: int

    def known(self, recording_id: str, stated: str) -> Original | None:
        """What is kept of a recording, if it is the file that the source states now."""
        name = self._name(recording_id)
        if not self.storage.exists(f"{name}.json") or not self.storage.exists(name):
            return None
        where, note = f"{self.storage.url}/{name}.json", self.storage.read(f"{name}.json")
        original = documents.read(Original, note, where=where, fix="delete it and run the same command again")
        whole = self.storage.size(name) == original.num_bytes
        return original if whole and original.stated == stated else None

    def fetch(self, source: RemoteSource, recording: Recording, stated: str) -> Original:
        """The kept file, or a new transfer of it."""
        known = self.known(recording.id, stated)
        if known:
            return known
        name = self._name(recording.id)
        with self._partial(name, stated) as partial:
            fetched = source.fetch(recording, partial)
            sha256, md5, num_bytes = hashed(partial)
            self._keep(name, partial)
        original = Original(
            stated=stated, sha256=sha256, md5=md5, num_bytes=num_bytes, rendition=fetched.rendition
        )
        note = json.dumps(dataclasses.asdict(original), sort_keys=True)
        self.storage.write(f"{name}.json", note.encode())
        return original

    def open(self, recording_id: str) -> BinaryIO:
        """A kept file."""
        return self.storage.open(self._name(recording_id))

    def discard(self) -> None:
        """Delete the bucket's files: their clips are packed."""
        for name in self.storage.names(self._folder):
            self.storage.delete(name)

    @property
    def _folder(self) -> str:
        return f"{layout.ORIGINALS}/{self.bucket:06d}"

    def _name(self, recording_id: str) -> str:
        return f"{self._folder}/{sample_key(recording_id, 0)}"

    @contextlib.contextmanager
    def _partial(self, name: str, stated: str) -> Iterator[Path]:
        """Where a transfer goes: beside its place on a local disk, so that the next run can go on with it."""
        if isinstance(self.storage, LocalStorage):
            path = self.storage.root / f"{name}.{stated[:12] or 'unstated'}.part"
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
            path.unlink(missing_ok=True)
        else:
            with tempfile.TemporaryDirectory(prefix="sao-fetch-") as folder:
                yield Path(folder) / "original"

    def _keep(self, name: str, partial: Path) -> None:
        with self.storage.staged(name) as path:
            partial.replace(path) if path.parent == partial.parent else _copy(partial, path)


def forget(storage: Storage, bucket: int, ids: Collection[str]) -> None:
    """Delete what was transferred of these recordings, whole or not, and the notes beside it."""
    keys = {sample_key(key, 0) for key in ids}
    for name in storage.names(f"{layout.ORIGINALS}/{bucket:06d}"):
        if name.rsplit("/", 1)[1].split(".", 1)[0] in keys:
            storage.delete(name)


@contextlib.contextmanager
def opened(source: Source, recording: Recording, originals: Originals, stated: str) -> Iterator[BinaryIO]:
    """The bytes of a recording, wherever its source has them."""
    if isinstance(source, RemoteSource):
        originals.fetch(source, recording, stated)
        with originals.open(recording.id) as file:
            yield file
    else:
        with source.open(recording) as file:
            yield file


def hashed(path: Path) -> tuple[str, str, int]:
    """sha256, md5 and size of a file."""
    sha256, md5, num_bytes = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            md5.update(block)
            num_bytes += len(block)
    return sha256.hexdigest(), md5.hexdigest(), num_bytes


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file, target.open("wb") as copy:
        while block := file.read(_BLOCK):
            cast("BinaryIO", copy).write(block)
