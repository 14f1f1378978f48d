"""Pack: bucket b becomes shard b of each series, a byte copy of the kept FLACs with everything said about
them.

The FLACs come from the bucket's blob; where that is gone, from the shards as they lie (a changed caption
needs no decoding); failing both, the bucket is normalised again. After packing the blob is deleted unless
`work.keep`.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sao_data import shards, tables
from sao_data.attribution.credit import credit, work_from_decision
from sao_data.config import digest as config_digest
from sao_data.cut import seconds_start, seconds_total
from sao_data.errors import IntegrityError
from sao_data.ids import sample_key
from sao_data.records import (
    SAMPLE_RATE,
    Caption,
    Clip,
    Decision,
    Recording,
    Rejection,
    Sample,
    SampleRow,
    Shard,
)
from sao_data.split import Split, series_of
from sao_data.stage import Bucket, Part, Stage, run_stage
from sao_data.stages.listing import NAME as LIST
from sao_data.stages.listing import Listed
from sao_data.storage import Storage

NAME = "pack"
VERSION = 1
_INPUTS = (LIST, "decide", "curate", "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One bucket's shards."""

    dataset: str
    split: Split
    dropped: tuple[Rejection, ...]  # of this bucket, by global stages
    keep_blob: bool

    def part(self, bucket: Bucket) -> Part:
        """The part this packing publishes; its digest covers all that shows in the shards."""
        inputs = [bucket.parts[name].digest for name in _INPUTS]
        digest = config_digest(NAME, VERSION, self.dataset, self.split, self.dropped, inputs)
        return Part(stage=NAME, bucket=bucket.index, digest=digest)

    def is_complete(self, storage: Storage, part: Part) -> bool:
        """Is the part published, and are its shards still there?"""
        if not storage.exists(part.kept) or not storage.exists(f"{part.stem}.shards.parquet"):
            return False
        names = [(f"{shards.FOLDER}/{shard.name}", shard.num_bytes) for shard in read_shards(storage, part)]
        return all(storage.exists(name) and storage.size(name) == size for name, size in names)

    def run(self, bucket: Bucket, normalise: Stage) -> Part:
        """Write the shards, then the part. Only one pack part of a bucket ever exists: that of the shards
        there are."""
        storage, part = bucket.storage, self.part(bucket)
        with _FlacStore(bucket, normalise) as flacs:
            flacs.prepare(self._clips(bucket))
            for name in _parts_on_disk(storage, bucket.index):
                storage.delete(name)
            rows, packed = self._write(bucket, flacs)
        tables.write(storage, f"{part.stem}.shards.parquet", Shard, packed)
        tables.write(storage, part.kept, SampleRow, rows)
        if not self.keep_blob:
            storage.delete(bucket.parts[normalise.name].blob)
        return part

    def _write(self, bucket: Bucket, flacs: _FlacStore) -> tuple[list[SampleRow], list[Shard]]:
        recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
        decisions = {d.recording_id: d for d in bucket.rows("decide", Decision)}
        captions = {(c.recording_id, c.clip): c for c in bucket.rows("caption", Caption)}
        by_series: dict[str, list[Clip]] = defaultdict(list)
        for clip in self._clips(bucket):
            recording_id = clip.recording_id
            by_series[series_of(recordings[recording_id], decisions[recording_id], self.split)].append(clip)
        rows: list[SampleRow] = []
        packed: list[Shard] = []
        for series in sorted(by_series):
            name = shards.shard_name(series, bucket.index)
            with bucket.storage.staged(f"{shards.FOLDER}/{name}") as path, path.open("wb") as file:
                writer = shards.ShardWriter(file, name, series)
                for clip in by_series[series]:
                    recording = recordings[clip.recording_id]
                    caption = captions[(clip.recording_id, clip.number)]
                    sample = make_sample(
                        self.dataset, series, recording, decisions[recording.id], clip, caption
                    )
                    key = sample_key(clip.recording_id, clip.number)
                    writer.add(key, sample, flacs.get(clip), clip.seek_points)
                packed.append(writer.finish())
            rows += writer.rows
        return rows, packed

    def _clips(self, bucket: Bucket) -> list[Clip]:
        dropped = {rejection.id for rejection in self.dropped}
        return [clip for clip in bucket.rows("curate", Clip) if clip.recording_id not in dropped]


def read_shards(storage: Storage, part: Part) -> list[Shard]:
    """The shards of a packed bucket."""
    return tables.read(storage, f"{part.stem}.shards.parquet", Shard)


def make_sample(
    dataset: str, series: str, recording: Recording, decision: Decision, clip: Clip, caption: Caption
) -> Sample:
    """Everything a shard says about one clip."""
    fields = {field.name: field.values for field in caption.fields}
    lufs = clip.measures.lufs
    return Sample(
        ai_preference=decision.ai_preference,
        album=recording.album,
        artist=_first(fields.get("artist", ())),
        author=recording.author,
        author_id=recording.author_id,
        author_url=recording.author_url,
        changes=list(clip.changes),
        clip=clip.number,
        copyright_notice=recording.copyright_notice,
        credit=credit(work_from_decision(recording, decision, clip.changes)),
        dataset=dataset,
        description=_first(fields.get("description", ())),
        genres=list(fields.get("genres", ())),
        id=recording.id,
        license=decision.license,
        license_claim=recording.license_url or recording.license_claim,
        license_family=decision.family,
        license_url=decision.license_url,
        license_version=decision.version,
        lufs="" if lufs is None or math.isinf(lufs) else f"{lufs:.2f}",
        num_frames=clip.num_frames,
        original_sha256=clip.audio.sha256,
        original_type="/".join(part for part in (clip.audio.container, clip.audio.codec) if part),
        page_url=recording.page_url,
        prompt=caption.prompt,
        recording_frames=clip.recording_frames,
        rendition=clip.audio.rendition,
        retrieved_at=recording.retrieved_at,
        sample_rate=SAMPLE_RATE,
        seconds_start=seconds_start(clip.start_frame),
        seconds_total=seconds_total(clip.recording_frames),
        series=series,
        sha256=clip.flac_sha256,
        source=recording.source,
        start_frame=clip.start_frame,
        tags=list(fields.get("tags", ())),
        title=recording.title,
        year=recording.year,
    )


class _FlacStore:
    """Finds the bytes of a clip: in the blob, else in the shards as they were, else by normalising again."""

    def __init__(self, bucket: Bucket, normalise: Stage) -> None:
        self._bucket = bucket
        self._normalise = normalise
        self._stack = contextlib.ExitStack()
        self._blob: BinaryIO | None = None
        self._old: dict[str, tuple[BinaryIO, SampleRow]] = {}

    def __enter__(self) -> _FlacStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prepare(self, clips: list[Clip]) -> None:
        """Open what will be read, before anything is overwritten."""
        storage, part = self._bucket.storage, self._bucket.parts[self._normalise.name]
        if not storage.exists(part.blob):
            self._open_old_shards()
            if all(clip.flac_sha256 in self._old for clip in clips):
                return
            run_stage(self._normalise, self._bucket, need_blob=True)
        self._blob = self._stack.enter_context(storage.open(part.blob))

    def get(self, clip: Clip) -> bytes:
        if self._blob is not None:
            data = shards.read_member(self._blob, clip.blob_offset, clip.flac_bytes)
        else:
            file, row = self._old[clip.flac_sha256]
            data = shards.read_member(file, row.flac_offset, row.flac_size)
        if hashlib.sha256(data).hexdigest() != clip.flac_sha256:
            where = f"{self._bucket.storage.url}: audio of {clip.recording_id} is damaged"
            raise IntegrityError(f"{where}; delete work/ there and run again")
        return data

    def _open_old_shards(self) -> None:
        storage = self._bucket.storage
        if not storage.replaces_safely:
            return
        files: dict[str, BinaryIO] = {}
        for row in _old_rows(storage, self._bucket.index):
            name = f"{shards.FOLDER}/{row.shard}"
            if row.shard not in files and storage.exists(name):
                files[row.shard] = self._stack.enter_context(storage.open(name))
            if row.shard in files and _is_intact(files[row.shard], row):
                self._old[row.sha256] = (files[row.shard], row)


def _is_intact(file: BinaryIO, row: SampleRow) -> bool:
    file.seek(row.flac_offset)
    return hashlib.sha256(file.read(row.flac_size)).hexdigest() == row.sha256


def _old_rows(storage: Storage, bucket: int) -> Iterator[SampleRow]:
    for name in _parts_on_disk(storage, bucket):
        if not name.endswith(".shards.parquet"):
            yield from tables.read(storage, name, SampleRow)


def _parts_on_disk(storage: Storage, bucket: int) -> list[str]:
    """Rows before shards, so that a half-deleted part is no part."""
    names = [name for name in storage.names(f"work/{NAME}") if name.startswith(f"work/{NAME}/{bucket:06d}-")]
    return sorted(names, key=lambda name: name.endswith(".shards.parquet"))


def _first(values: tuple[str, ...]) -> str:
    return values[0] if values else ""
