"""Scrub: take recordings out of the unfinished work (work/), so that nothing of them is left there.

What an ingest must not make again (files read, audio decoded) stays for the other recordings of the bucket.
It stays under names that no plan computes: reused row by row (stage.earlier), never taken for complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from sao_data import config, plugins
from sao_data.ids import sample_key
from sao_data.ingest import remote_sources as remote
from sao_data.records import AudioFile, Clip, Recording, Rejection, SampleRow, Shard
from sao_data.screening import Sent, Tagged
from sao_data.stages import originals
from sao_data.stages import refresh as reread
from sao_data.stages.base import WORK, Part, is_complete, publish_rows, recording_of
from sao_data.stages.caption import WriteCaptions
from sao_data.stages.curate import Curate
from sao_data.stages.decide import Decide
from sao_data.stages.fetch import Fetch
from sao_data.stages.flac_reuse import PACK, parts_on_disk
from sao_data.stages.judge import NAME as JUDGE
from sao_data.stages.listing import NAME as LIST
from sao_data.stages.listing import Listed
from sao_data.stages.normalise import Normalise
from sao_data.stages.screen import NAME as SCREEN
from sao_data.storage import tables
from sao_data.storage.backend import Storage

_REMADE = (JUDGE, Decide.name, Curate.name, WriteCaptions.name)  # from tables, in no time
_HALF = 16  # hex digits of a part's digest that stand for its settings (stage.py)
Recredit = Callable[[Recording], Recording]


def forget(storage: Storage, buckets: Collection[int], ids: Collection[str]) -> None:
    """Leave nothing of these recordings in the work of their buckets but that they were listed."""
    gone = frozenset(ids)
    for bucket in sorted(buckets):
        _relist(storage, bucket, lambda row: _bare(row) if row.recording.id in gone else row)
        for stage in _REMADE:
            _drop_stage(storage, bucket, stage)
        for stage, cls in ((Fetch.name, AudioFile), (Normalise.name, Clip), (SCREEN, Tagged)):
            for part in _parts(storage, bucket, stage):
                _take_out(storage, part, cls, gone)
        _drop_originals(storage, bucket, gone)
        _drop_readings(storage, bucket, gone)


def forget_listings(storage: Storage, plugin_names: Sequence[str], ids: Collection[str]) -> None:
    """Have remote sources take these recordings out of what they remember of their own listings: those of
    ours whose module has `forget(storage, folder, ids)`."""
    for place, name in enumerate(plugin_names):
        module = plugins.load("sources", name) if "." not in name else None
        forget_there = getattr(module, "forget", None)
        if forget_there:
            forget_there(storage, f"{remote.FOLDER}/{place}-{name}", frozenset(ids))


def forget_answers(storage: Storage, sent: Iterable[Sent]) -> None:
    """Delete what a screening service answered about these (screening/identify.py)."""
    for row in sent:
        name = f"{WORK}/identify/{row.provider}/{hashlib.sha256(row.what.encode()).hexdigest()}.json"
        storage.delete(name)


def recredit(storage: Storage, buckets: Collection[int], change: Recredit) -> None:
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
    for name in storage.names(f"{WORK}/{LIST}"):
        if not name.endswith(".rejected.parquet"):
            for row in tables.iterate(storage, name, Listed):
                yield _bucket_of(name), row


def _bare(row: Listed) -> Listed:
    """As history.bury leaves it."""
    bare = Recording(id=row.recording.id, source=row.recording.source)
    return dataclasses.replace(row, recording=bare, raw="", others=(), earlier_raw="")


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


def _drop_originals(storage: Storage, bucket: int, gone: frozenset[str]) -> None:
    """Files that were transferred, whole or not, and the notes beside them."""
    keys = {sample_key(key, 0) for key in gone}
    for name in storage.names(f"{originals.FOLDER}/{bucket:06d}"):
        if name.rsplit("/", 1)[1].split(".", 1)[0] in keys:
            storage.delete(name)


def _drop_readings(storage: Storage, bucket: int, gone: frozenset[str]) -> None:
    """What a source said on a second look."""
    name = f"{reread.FOLDER}/{bucket:06d}.jsonl"
    if not storage.exists(name):
        return
    lines = storage.read(name).decode().splitlines()
    kept = [line for line in lines if json.loads(line)["recording"]["id"] not in gone]
    if not kept:
        storage.delete(name)
    elif len(kept) < len(lines):
        storage.write(name, ("\n".join(kept) + "\n").encode())


def _parts(storage: Storage, bucket: int, stage: str) -> list[Part]:
    """Every part of a stage for a bucket, complete or not."""
    prefix = f"{WORK}/{stage}/{bucket:06d}-"
    names = (name for name in storage.names(f"{WORK}/{stage}") if name.startswith(prefix))
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
