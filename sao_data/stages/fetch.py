"""Fetch: get the bytes of every allowed recording, check them against what the source stated, and hash them.

Sources here are local, so bytes are read in place and not copied; a source on the network spools to the blob.
A file of which the source states the same as an earlier part of the bucket saw is not read again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

from sao_data import config, tables
from sao_data.plugins import DamagedFile, Source
from sao_data.records import AudioFile, Decision, Recording
from sao_data.stage import Bucket, Sink, earlier
from sao_data.stages.listing import NAME as LIST
from sao_data.stages.listing import Listed

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Bytes, counted and hashed."""

    sources: tuple[Source, ...]
    max_bytes: int

    name: ClassVar[str] = "fetch"
    version: ClassVar[int] = 1
    row: ClassVar[type] = AudioFile
    inputs: ClassVar[tuple[str, ...]] = (LIST, "decide")
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return self.max_bytes

    def run(self, bucket: Bucket, sink: Sink) -> None:
        allowed = {d.recording_id for d in bucket.rows("decide", Decision) if d.verdict == "allow"}
        sink.expect(allowed)
        known = _known(self, bucket)
        for row in bucket.rows(LIST, Listed):
            if row.recording.id in allowed:
                stated = stated_digest(row.recording)
                file = known.get((row.recording.id, stated)) or known.get(
                    (row.recording.id, row.recording.sha256)
                )
                if file:
                    sink.keep(row.recording.id, file)
                else:
                    self._fetch(row, stated, sink)

    def _fetch(self, row: Listed, stated: str, sink: Sink) -> None:
        recording = row.recording
        try:
            with self.sources[row.source_index].open(recording) as file:
                num_bytes, sha256, md5 = _hash(file)
        except (FileNotFoundError, IsADirectoryError):
            sink.reject(recording.id, "missing_file", f"{recording.audio_url} is listed but not there")
            return
        except DamagedFile as error:
            sink.reject(recording.id, "damaged_file", str(error)[:300])
            return
        if num_bytes > self.max_bytes:
            sink.reject(recording.id, "too_large", f"{num_bytes} bytes > {self.max_bytes}")
        elif mismatch := _mismatch(recording, sha256, md5):
            sink.reject(recording.id, "checksum_mismatch", mismatch)
        else:
            audio = AudioFile(recording_id=recording.id, sha256=sha256, num_bytes=num_bytes, stated=stated)
            sink.keep(recording.id, audio)


def stated_digest(recording: Recording) -> str:
    """What the source states of the file, as one digest: equal = the same bytes; '' = no checksum stated."""
    sums = [recording.md5.lower(), recording.sha256]
    return config.digest(sums)[:32] if any(sums) else ""


def _known(stage: Fetch, bucket: Bucket) -> dict[tuple[str, str], AudioFile]:
    """Files of earlier parts by recording id and what tells them apart: what was stated, or their sha256."""
    files: dict[tuple[str, str], AudioFile] = {}
    for part in earlier(stage, bucket):
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
