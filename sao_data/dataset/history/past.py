"""Earlier versions of a dataset, as far as checkpoints may ask for them (OUT/history/).

Whenever a version is superseded, the shards that do not stay are put down: which work was at which place, by
a hash of its id, and, of works that do not stay, the catalogue's row. Who is taken down later, or credited in
another way, leaves the rows; the hash alone stays, which tells nothing to who does not know the id.

    history/VERSION-shards.parquet   shards of that version that no longer are as they were
    history/VERSION-places.parquet   their samples, by place
    history/VERSION-works.parquet    works that were in it and are not in the next one

Nothing of this is under the root digest: a fresh build has none of it, and is the same dataset.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sao_data import ids
from sao_data.dataset.facts import DatasetFacts
from sao_data.errors import IntegrityError
from sao_data.forms import Count, Sha256, ShardName
from sao_data.records import CatalogueRow, SampleRow, Shard
from sao_data.storage import documents, layout, tables
from sao_data.storage.backend import Storage, write_if_changed

log = logging.getLogger(__name__)

_TABLES = (layout.SHARDS, layout.SAMPLES, layout.CATALOGUE)  # of a version
_SHARDS, _PLACES, _WORKS = "shards", "places", "works"
_DIGITS = 32  # of a work's hash: 128 bits
T = TypeVar("T", Shard, CatalogueRow, "PastPlace")
Key = tuple[str, str]  # name and sha256 of a shard


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPlace:
    """A sample of a shard that is no longer as it was."""

    shard: ShardName
    shard_sha256: Sha256
    place: Count  # among the shard's samples, by offset: the bit of a checkpoint's bitmap
    work: str  # hash of the recording's id
    num_frames: Count


def work_hash(recording_id: str) -> str:
    """How the history names a work."""
    return ids.id_hash(recording_id).hex()[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Past:
    """All that is kept of earlier versions."""

    shards: Mapping[Key, Shard]
    places: Mapping[Key, tuple[PastPlace, ...]]  # each in order of place
    works: Mapping[str, CatalogueRow]  # by work_hash; as the last version had them that had them

    def of_works(self, recording_ids: Iterable[str]) -> dict[Key, list[int]]:
        """By shard, the places of these works."""
        wanted = {work_hash(each) for each in recording_ids}
        found = {
            key: [each.place for each in places if each.work in wanted] for key, places in self.places.items()
        }
        return {key: places for key, places in found.items() if places}


def read(storage: Storage) -> Past:
    """What is kept; nothing of a dataset that was never changed."""
    shards: dict[Key, Shard] = {}
    places: dict[Key, list[PastPlace]] = {}
    works: dict[str, CatalogueRow] = {}
    for name in sorted(storage.names(layout.HISTORY)):
        if name.endswith(f"-{_SHARDS}.parquet"):
            shards |= {(row.name, row.sha256): row for row in tables.iterate(storage, name, Shard)}
        elif name.endswith(f"-{_PLACES}.parquet"):
            found: dict[Key, list[PastPlace]] = {}
            for place in tables.iterate(storage, name, PastPlace):
                found.setdefault((place.shard, place.shard_sha256), []).append(place)
            places |= found
        elif name.endswith(f"-{_WORKS}.parquet"):
            works |= {work_hash(row.id): row for row in tables.iterate(storage, name, CatalogueRow)}
    return Past(shards, {key: tuple(rows) for key, rows in places.items()}, works)


def keep(
    storage: Storage,
    version: str,
    *,
    shards: Iterable[Shard],
    samples: Iterable[SampleRow],
    rows: Iterable[CatalogueRow],
    going: Collection[str],
    staying: Collection[str],
) -> None:
    """Put down what a version loses: the shards called `going`, and works whose ids are not among `staying`.
    Called before anything of it is written over; again with the same, nothing changes."""
    lost = {shard.name: shard for shard in shards if shard.name in going}
    if not lost:
        return
    places, at = [], dict.fromkeys(lost, 0)
    known: set[str] = set()
    for row in sorted((row for row in samples if row.shard in lost), key=lambda r: (r.shard, r.flac_offset)):
        known.add(row.recording_id)
        places.append(
            PastPlace(
                shard=row.shard,
                shard_sha256=lost[row.shard].sha256,
                place=at[row.shard],
                work=work_hash(row.recording_id),
                num_frames=row.num_frames,
            )
        )
        at[row.shard] += 1
    gone = [row for row in rows if row.kept and row.id in known and row.id not in staying]
    _merge(storage, version, _SHARDS, Shard, list(lost.values()), lambda s: (s.name, s.sha256))
    _merge(storage, version, _PLACES, PastPlace, places, lambda p: (p.shard, p.shard_sha256, p.place))
    _merge(storage, version, _WORKS, CatalogueRow, gone, lambda w: (w.id,))


def withdraw(storage: Storage) -> None:
    """Take dataset.json back before shards change, and note which version that was."""
    if not storage.exists(layout.DATASET):
        return
    if before := _published(storage):
        noted = {
            "version": before["version"],
            "files": {name: before["files"].get(name, "") for name in _TABLES},
        }
        storage.write(layout.SUPERSEDED, json.dumps(noted, sort_keys=True).encode())
    storage.delete(layout.DATASET)


def supersede(storage: Storage, packed: Iterable[Shard], new: Iterable[CatalogueRow]) -> None:
    """`keep` of the version whose tables still lie in the storage, before those of the next are written;
    where they are no longer those that it lists, it was done before."""
    before = _published(storage) if storage.exists(layout.DATASET) else _noted(storage)
    files = before.get("files", {})
    if not all(storage.exists(n) and _sha256(storage.read(n)) == files.get(n) for n in _TABLES):
        return
    shards = tables.read(storage, layout.SHARDS, Shard)
    now = {(shard.name, shard.sha256) for shard in packed}
    going = {shard.name for shard in shards if (shard.name, shard.sha256) not in now}
    if going:
        keep(
            storage,
            str(before["version"]),
            shards=shards,
            samples=tables.iterate(storage, layout.SAMPLES, SampleRow),
            rows=tables.iterate(storage, layout.CATALOGUE, CatalogueRow),
            going=going,
            staying={row.id for row in new if row.kept},
        )


def _published(storage: Storage) -> Mapping[str, Any]:
    """dataset.json; nothing, and a word about it, where it is damaged: it is about to be written anew."""
    where = f"{storage.url}/{layout.DATASET}"
    try:
        return documents.checked(
            DatasetFacts, storage.read(layout.DATASET), where=where, fix="run the ingest"
        )
    except IntegrityError as error:
        log.warning("%s: which works checkpoints of that version have heard is not kept", error)
        return {}


def _noted(storage: Storage) -> Mapping[str, Any]:
    """What `withdraw` has noted; of an ingest that was killed, too."""
    if not storage.exists(layout.SUPERSEDED):
        return {}
    where = f"{storage.url}/{layout.SUPERSEDED}"
    return documents.plain(storage.read(layout.SUPERSEDED), where=where, fix="delete it; run the ingest")


def forget(storage: Storage, recording_ids: Collection[str]) -> None:
    """Take the rows of works out; that a work was at a place stays, by its hash."""
    wanted = frozenset(recording_ids)
    for name in storage.names(layout.HISTORY) if wanted else ():
        if name.endswith(f"-{_WORKS}.parquet"):
            rows = tables.read(storage, name, CatalogueRow)
            left = [row for row in rows if row.id not in wanted]
            if len(left) < len(rows):
                tables.write(storage, name, CatalogueRow, left)


def _merge(
    storage: Storage,
    version: str,
    what: str,
    cls: type[T],
    rows: list[T],
    key: Callable[[T], tuple[str | int, ...]],
) -> None:
    """A table of the version, with what it had: a version may come back, and be superseded by another."""
    name = f"{layout.HISTORY}/{version}-{what}.parquet"
    found = {key(row): row for row in (tables.read(storage, name, cls) if storage.exists(name) else [])}
    found |= {key(row): row for row in rows}
    if found:
        data = tables.to_bytes(cls, [found[each] for each in sorted(found)])
        write_if_changed(storage, name, data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
