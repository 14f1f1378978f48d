"""Finished parts of work/ changed after the fact: recordings taken out, authors credited otherwise, shards
that were written again.

What an ingest must not make again (files read, audio decoded) stays for the other recordings of the bucket.
It stays under names that no plan computes: reused row by row (base.earlier), never taken for complete.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from sao_data import config
from sao_data.records import AudioFile, Clip, Recording, Rejection, SampleRow, Shard
from sao_data.screening import Tagged
from sao_data.stages.base import Part, is_complete, publish_rows, recording_of
from sao_data.stages.caption import WriteCaptions
from sao_data.stages.curate import Curate
from sao_data.stages.decide import Decide
from sao_data.stages.fetch import Fetch
from sao_data.stages.flac_reuse import PACK, parts_on_disk
from sao_data.stages.heard.describe import DESCRIBE, HeardWords
from sao_data.stages.judge import JUDGE
from sao_data.stages.listing import LIST, Listed, id_only
from sao_data.stages.normalise import Normalise
from sao_data.stages.screen import SCREEN
from sao_data.storage import layout, tables
from sao_data.storage.backend import Storage

REMADE = (JUDGE, Decide.name, Curate.name, WriteCaptions.name)  # from tables, in no time
KEPT = {Fetch.name: AudioFile, Normalise.name: Clip, SCREEN: Tagged, DESCRIBE: HeardWords}
_HALF = 16  # hex digits of a part's digest that stand for its settings (base.py)


def forget(storage: Storage, buckets: Collection[int], ids: Collection[str]) -> None:
    """Leave nothing of these recordings in the parts of their buckets but that they were listed."""
    gone = frozenset(ids)
    for bucket in sorted(buckets):
        _relist(storage, bucket, lambda row: id_only(row) if row.recording.id in gone else row)
        for stage in REMADE:
            _drop_stage(storage, bucket, stage)
        for stage, cls in KEPT.items():
            for part in _parts(storage, bucket, stage):
                _take_out(storage, part, cls, gone)


def change_credits(
    storage: Storage, buckets: Collection[int], change: Callable[[Recording], Recording]
) -> None:
    """Have the work of these buckets name authors as `change` does: only listing and captions name any. Raw
    rows prove the licence and stay."""
    for bucket in sorted(buckets):
        _relist(storage, bucket, lambda row: dataclasses.replace(row, recording=change(row.recording)))
        _drop_stage(storage, bucket, WriteCaptions.name)


def repack(storage: Storage, bucket: int, rows: Sequence[SampleRow], packed: Sequence[Shard]) -> None:
    """Say of a packed bucket what its shards hold now; nothing if the work does not speak of it."""
    old = parts_on_disk(storage, bucket)
    if not old:
        return
    digest = config.digest("rewritten", rows, packed)
    part = Part(stage=PACK, bucket=bucket, digest=digest)
    index = f"{part.stem}.shards.parquet"
    if part.kept not in old or index not in old:
        tables.write(storage, index, Shard, packed)
        tables.write(storage, part.kept, SampleRow, rows)
    for name in old:
        if name not in (part.kept, index):
            storage.delete(name)


def packed_without(storage: Storage, bucket: int, ids: Collection[str]) -> None:
    """The same where nothing is published: the shards lie as they are, the rows of these recordings go."""
    names = parts_on_disk(storage, bucket)
    rows = [r for n in names if not n.endswith(".shards.parquet") for r in tables.read(storage, n, SampleRow)]
    if any(row.recording_id in ids for row in rows):
        packed = [s for n in names if n.endswith(".shards.parquet") for s in tables.read(storage, n, Shard)]
        repack(storage, bucket, [row for row in rows if row.recording_id not in ids], packed)


def listed(storage: Storage) -> Iterator[tuple[int, Listed]]:
    """Every recording that the work lists, with its bucket; one listed anew may come more than once."""
    for name in storage.names(f"{layout.WORK}/{LIST}"):
        if not name.endswith(".rejected.parquet"):
            for row in tables.iterate(storage, name, Listed):
                yield _bucket_of(name), row


def _relist(storage: Storage, bucket: int, change: Callable[[Listed], Listed]) -> None:
    """Publish a bucket's listing as the next ingest will; the old one goes."""
    for part in _parts(storage, bucket, LIST):
        if is_complete(storage, part):
            old = tables.read(storage, part.kept, Listed)
            rejections = tables.read(storage, part.rejected, Rejection)
            new = publish_rows(storage, LIST, bucket, Listed, map(change, old), rejections)
            if new.stem == part.stem:
                continue
        _drop(storage, part)


def _take_out(storage: Storage, part: Part, cls: type[Any], gone: frozenset[str]) -> None:
    """The part without these recordings, under another name; untouched if it has none of them."""
    if is_complete(storage, part):
        rows = tables.read(storage, part.kept, cls)
        rejections = tables.read(storage, part.rejected, Rejection)
        kept = [row for row in rows if row.recording_id not in gone]
        others = [item for item in rejections if recording_of(item.id) not in gone]
        if (len(kept), len(others)) == (len(rows), len(rejections)):
            return
        inputs = config.digest("rewritten", part.digest[_HALF:])[:_HALF]
        new = dataclasses.replace(part, digest=part.digest[:_HALF] + inputs)
        if storage.exists(part.blob):
            kept = _copy_audio(storage, part, new, kept)
        tables.write(storage, new.rejected, Rejection, others)
        tables.write(storage, new.kept, cls, kept)
    _drop(storage, part)


def _copy_audio(storage: Storage, part: Part, new: Part, clips: list[Clip]) -> list[Clip]:
    """The bytes of these clips in a blob of their own; the clips with their places in it."""
    moved = []
    with (
        storage.open(part.blob) as old,
        storage.staged(new.blob) as path,
        path.open("wb") as file,
    ):
        for clip in clips:
            if clip.blob_offset >= 0:
                old.seek(clip.blob_offset)
                offset = file.tell()
                file.write(old.read(clip.flac_bytes))
                clip = dataclasses.replace(clip, blob_offset=offset)
            moved.append(clip)
    return moved


def _parts(storage: Storage, bucket: int, stage: str) -> list[Part]:
    """Every part of a stage for a bucket, complete or not."""
    prefix = f"{layout.WORK}/{stage}/{bucket:06d}-"
    names = (name for name in storage.names(f"{layout.WORK}/{stage}") if name.startswith(prefix))
    digests = {name.removeprefix(prefix).split(".", 1)[0] for name in names}
    return [Part(stage=stage, bucket=bucket, digest=digest) for digest in sorted(digests)]


def _drop_stage(storage: Storage, bucket: int, stage: str) -> None:
    for part in _parts(storage, bucket, stage):
        _drop(storage, part)


def _drop(storage: Storage, part: Part) -> None:
    """Delete a part, the kept rows first: a half-deleted part is none."""
    for name in (part.kept, part.rejected, part.blob):
        storage.delete(name)


def _bucket_of(name: str) -> int:
    return int(name.rsplit("/", 1)[1].split("-", 1)[0])
