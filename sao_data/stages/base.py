"""A stage turns the rows of one bucket into rows of the next kind; every row that goes in comes out kept or
rejected.

A finished unit is `work/STAGE/BUCKET-DIGEST.parquet` (+ `.rejected.parquet`, + `.blob` for audio), published
last. Its digest covers the stage's name, version and settings (first half) and the digests of its inputs
(second half): existing = complete, and anything that would change the result changes the name. A part of the
same first half was made with the same settings of other inputs: what it says of a file that has not changed
still holds, so a stage may take it from there (`earlier`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol, TypeVar

from sao_data import config
from sao_data.ids import clip_id, id_hash
from sao_data.records import Rejection
from sao_data.storage import layout, tables
from sao_data.storage.backend import Storage

SPOOL = f"{layout.WORK}/spool"
_HALF = 16  # hex digits of a part's digest that stand for the settings, and as many for the inputs
T = TypeVar("T")


class Stage(Protocol):
    """One step of the pipeline, over one bucket."""

    name: ClassVar[str]
    version: ClassVar[int]  # raise it when the same settings give another result
    row: ClassVar[type]
    inputs: ClassVar[tuple[str, ...]]  # stages whose rows it reads
    has_blob: ClassVar[bool]

    def settings(self) -> object: ...
    def run(self, bucket: Bucket, sink: RowSink) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The finished unit of a stage for one bucket."""

    stage: str
    bucket: int
    digest: str

    @property
    def stem(self) -> str:
        return f"{layout.WORK}/{self.stage}/{self.bucket:06d}-{self.digest[: 2 * _HALF]}"

    @property
    def kept(self) -> str:
        return f"{self.stem}.parquet"

    @property
    def rejected(self) -> str:
        return f"{self.stem}.rejected.parquet"

    @property
    def blob(self) -> str:
        return f"{self.stem}.blob"


@dataclass(slots=True, kw_only=True)
class Bucket:
    """The finished parts of one bucket so far, read on demand."""

    storage: Storage
    index: int
    parts: dict[str, Part] = field(default_factory=dict)
    _rows: dict[str, list[Any]] = field(default_factory=dict)

    def rows(self, stage: str, cls: type[T]) -> list[T]:
        """Kept rows of a finished stage, in bucket order (by sha256 of the id)."""
        if stage not in self._rows:
            self._rows[stage] = tables.read(self.storage, self.parts[stage].kept, cls)
        return self._rows[stage]

    def rejections(self, stage: str) -> list[Rejection]:
        """Rejections of a finished stage."""
        return tables.read(self.storage, self.parts[stage].rejected, Rejection)


class RowSink:
    """Collects what a stage makes of its rows, and knows when one was forgotten."""

    def __init__(self, stage: str, blob: BinaryIO | None, needed: Collection[str] = ()) -> None:
        self.needed = frozenset(needed)  # recordings whose bytes must be in the blob
        self.rows: list[Any] = []
        self.rejections: list[Rejection] = []
        self._stage = stage
        self._blob = blob
        self._expected: set[str] = set()
        self._seen: set[str] = set()

    def expect(self, ids: Iterable[str]) -> None:
        """Declare the ids that must come out, each kept or rejected."""
        self._expected.update(ids)

    def keep(self, row_id: str, row: object) -> None:
        self._seen.add(row_id)
        self.rows.append(row)

    def reject(self, row_id: str, reason: str, detail: str = "") -> None:
        self._seen.add(row_id)
        self.rejections.append(Rejection(id=row_id, stage=self._stage, reason=reason, detail=detail))

    def store(self, data: bytes) -> int:
        """Append bytes to the blob; return their offset."""
        assert self._blob is not None, f"stage {self._stage} has no blob"
        offset = self._blob.tell()
        self._blob.write(data)
        return offset

    def arrange(self) -> None:
        """Put the rows of recordings, one each, back into the order of the bucket: by sha256 of the id."""
        self.rows.sort(key=lambda row: id_hash(row.recording_id))

    def check(self) -> None:
        assert self._seen == self._expected, (self._stage, self._seen ^ self._expected)


def part_of(stage: Stage, bucket: Bucket) -> Part:
    """The part that this stage would publish for this bucket, given the parts it reads."""
    inputs = [bucket.parts[name].digest for name in stage.inputs]
    settings = config.digest(stage.name, stage.version, stage.settings())
    digest = settings[:_HALF] + config.digest(inputs)[:_HALF]
    return Part(stage=stage.name, bucket=bucket.index, digest=digest)


def earlier_parts(stage: Stage, bucket: Bucket) -> list[Part]:
    """Complete parts of this bucket that the stage made with these settings of these or other inputs, by
    name, the part of these inputs first."""
    now, storage = part_of(stage, bucket), bucket.storage
    prefix = f"{layout.WORK}/{stage.name}/{bucket.index:06d}-{now.digest[:_HALF]}"
    names = (name for name in storage.names(f"{layout.WORK}/{stage.name}") if name.startswith(prefix))
    digests = {name.rsplit("-", 1)[1].split(".", 1)[0] for name in names}
    parts = [Part(stage=stage.name, bucket=bucket.index, digest=digest) for digest in sorted(digests)]
    return [part for part in sorted(parts, key=lambda part: part != now) if is_complete(storage, part)]


def is_complete(storage: Storage, part: Part) -> bool:
    """Are both tables of the part there? The kept rows are published last."""
    return storage.exists(part.kept) and storage.exists(part.rejected)


def run_stage(stage: Stage, bucket: Bucket, *, needed: Collection[str] = ()) -> Part:
    """Make this stage's part for the bucket unless it is there; add it to the bucket.

    `needed`: recordings whose bytes must be in the blob; with any, the part is made again.
    """
    part = part_of(stage, bucket)
    if needed or not is_complete(bucket.storage, part):
        _make(stage, bucket, part, needed)
    bucket.parts[stage.name] = part
    return part


def content_part(
    stage: str, bucket: int, cls: type[T], rows: Iterable[T], rejections: Iterable[Rejection]
) -> tuple[Part, bytes, bytes]:
    """A part that no stage made (the listing), named by its content; with the bytes of its two tables."""
    kept, rejected = tables.to_bytes(cls, rows), tables.to_bytes(Rejection, rejections)
    digest = hashlib.sha256(hashlib.sha256(kept).digest() + hashlib.sha256(rejected).digest()).hexdigest()
    return Part(stage=stage, bucket=bucket, digest=digest), kept, rejected


def publish_rows(
    storage: Storage,
    stage: str,
    bucket: int,
    cls: type[T],
    rows: Iterable[T],
    rejections: Iterable[Rejection],
) -> Part:
    """Publish a part that no stage made."""
    part, kept, rejected = content_part(stage, bucket, cls, rows, rejections)
    if not is_complete(storage, part):
        storage.write(part.rejected, rejected)
        storage.write(part.kept, kept)
    return part


def recording_of(row_id: str) -> str:
    """The recording id in a row id ("freesound:12#1" is a clip of "freesound:12")."""
    return row_id.split("#", 1)[0]


def clip_key(clip: Any) -> str:
    """The row id of a Clip or Caption."""
    return clip_id(clip.recording_id, clip.number if hasattr(clip, "number") else clip.clip)


def _make(stage: Stage, bucket: Bucket, part: Part, needed: Collection[str]) -> None:
    storage = bucket.storage
    with contextlib.ExitStack() as stack:
        blob = stack.enter_context(_open_blob(storage, part)) if stage.has_blob else None
        sink = RowSink(stage.name, blob, needed)
        stage.run(bucket, sink)
        sink.check()
    tables.write(storage, part.rejected, Rejection, sorted(sink.rejections, key=lambda r: r.id))
    tables.write(storage, part.kept, stage.row, sink.rows)


@contextlib.contextmanager
def _open_blob(storage: Storage, part: Part) -> Iterator[BinaryIO]:
    with storage.staged(part.blob) as path, path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def spool(storage: Storage) -> Iterator[Path]:
    """A folder for temporary audio: beside a local dataset (same disk, removed under the lock), else the
    system's."""
    root = getattr(storage, "root", None)
    base = root / SPOOL if isinstance(root, Path) else None
    if base is not None:
        base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spool-", dir=base) as folder:
        yield Path(folder)
