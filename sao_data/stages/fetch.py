"""Fetch: get the bytes of every allowed recording, check them against what the source stated, and hash them.

Files of local sources are read in place, those of remote ones are transferred once and kept until their
clips are packed (originals). Before a transfer the claim is read again if the listing is old: what is said
otherwise now is decided anew, what is said the same is noted with its evidence.
A file of which the source states the same as an earlier part of the bucket saw is not read again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

from sao_data import config
from sao_data.errors import SourceChanged
from sao_data.fetch.remote import RemoteSource
from sao_data.plugins import DamagedFile, Source
from sao_data.records import AudioFile, Decision, Recording, Rendition
from sao_data.stages.base import Bucket, RowSink, earlier_parts
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.originals import Originals
from sao_data.stages.refresh import look_up_again
from sao_data.storage import tables

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Bytes, counted and hashed."""

    sources: tuple[Source, ...]
    max_bytes: int

    name: ClassVar[str] = "fetch"
    version: ClassVar[int] = 2
    row: ClassVar[type] = AudioFile
    inputs: ClassVar[tuple[str, ...]] = (LIST, "decide")
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return self.max_bytes

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        allowed = {d.recording_id for d in bucket.rows("decide", Decision) if d.verdict == "allow"}
        sink.expect(allowed)
        known = _known(self, bucket)
        todo = []
        for row in bucket.rows(LIST, Listed):
            if row.recording.id in allowed:
                key, stated = row.recording.id, self._stated(row)
                file = known.get((key, stated)) or known.get((key, row.recording.sha256))
                if file:
                    sink.keep(key, file)
                else:
                    todo.append(row)
        originals = Originals(storage=bucket.storage, bucket=bucket.index)
        found = look_up_again(todo, self.sources, bucket.storage, bucket.index, sink)
        for row in todo:
            if row.recording.id in found.confirmed:
                self._fetch(row, originals, found.confirmed[row.recording.id], sink)
        sink.arrange()
        if found.num_changed:
            raise SourceChanged(f"{found.num_changed} works are said otherwise now; they are decided anew")

    def _stated(self, row: Listed) -> str:
        return stated_digest(row.recording, self.sources[row.source_index])

    def _fetch(self, row: Listed, originals: Originals, confirmed: str, sink: RowSink) -> None:
        recording, source, stated = row.recording, self.sources[row.source_index], self._stated(row)
        rendition: Rendition = "original"
        try:
            if isinstance(source, RemoteSource):
                original = originals.fetch(source, recording, stated)
                num_bytes, sha256, md5 = original.num_bytes, original.sha256, original.md5
                rendition = original.rendition
            else:
                with source.open(recording) as file:
                    num_bytes, sha256, md5 = _hash(file)
        except (FileNotFoundError, IsADirectoryError):
            sink.reject(recording.id, "missing_file", f"{recording.audio_url} is listed but not there")
            return
        except DamagedFile as error:
            sink.reject(recording.id, "damaged_file", str(error)[:300])
            return
        if num_bytes > self.max_bytes:
            sink.reject(recording.id, "too_large", f"{num_bytes} bytes > {self.max_bytes}")
        elif rendition == "original" and (mismatch := _mismatch(recording, sha256, md5)):
            sink.reject(recording.id, "checksum_mismatch", mismatch)
        else:
            audio = AudioFile(
                recording_id=recording.id,
                sha256=sha256,
                num_bytes=num_bytes,
                stated=stated,
                confirmed=confirmed,
                rendition=rendition,
            )
            sink.keep(recording.id, audio)


def stated_digest(recording: Recording, source: Source) -> str:
    """What the source states of the file, as one digest: equal = the same bytes; '' = it states nothing that
    could tell. The address counts where a source is remote: it tells the original from a preview."""
    said = [recording.md5.lower(), recording.sha256]
    if isinstance(source, RemoteSource):
        said.append(recording.audio_url)
    return config.digest(said)[:32] if any(said) else ""


def _known(stage: Fetch, bucket: Bucket) -> dict[tuple[str, str], AudioFile]:
    """Files of earlier parts by recording id and what tells them apart: what was stated, or their sha256."""
    files: dict[tuple[str, str], AudioFile] = {}
    for part in earlier_parts(stage, bucket):
        for file in tables.read(bucket.storage, part.kept, AudioFile):
            for mark in (file.stated, file.sha256):
                if mark:
                    files.setdefault((file.recording_id, mark), file)
    return files


def _hash(file: BinaryIO) -> tuple[int, str, str]:
    sha256, md5, num_bytes = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    while block := file.read(_BLOCK):
        sha256.update(block)
        md5.update(block)
        num_bytes += len(block)
    return num_bytes, sha256.hexdigest(), md5.hexdigest()


def _mismatch(recording: Recording, sha256: str, md5: str) -> str:
    """What the source stated and the bytes contradict; '' if they agree."""
    if recording.sha256 and recording.sha256 != sha256:
        return f"sha256 {sha256} is not the stated {recording.sha256}"
    if recording.md5 and recording.md5.lower() != md5:
        return f"md5 {md5} is not the stated {recording.md5}"
    return ""
