"""Checking samples: their names, their places, and every field of their JSON that follows from others.

What a sample repeats of its work stands in the catalogue; its timing follows from its frames
(audio/segments.py), these from the number of its clip and the cut in the manifest; its name from id and clip,
its shard from its id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from sao_data import config
from sao_data.attribution.credit import credit
from sao_data.audio.segments import Cut, seconds_start, seconds_total
from sao_data.ids import bucket_of, id_hash, parse_key, sample_key
from sao_data.records import SAMPLE_RATE, CatalogueRow, Recording, Sample, SampleRow
from sao_data.rights.credits import shown_author_id

# Fields of a sample's JSON that the catalogue has under the same name; author_id is compared as it is shown.
_IN_CATALOGUE = (
    "title", "author", "author_url", "page_url", "source", "copyright_notice", "license", "license_family",
    "license_version", "license_url", "license_claim", "ai_preference", "original_sha256", "retrieved_at",
)  # fmt: skip


def catalogue_fields(row: CatalogueRow) -> dict[str, object]:
    """What every sample of a recording repeats of its row."""
    known = Recording(id=row.id, source=row.source, author=row.author, author_id=row.author_id)
    copied: dict[str, object] = {name: getattr(row, name) for name in _IN_CATALOGUE}
    said = {"author_id": shown_author_id(known), "changes": list(row.changes), "credit": credit(row)}
    return copied | said


def sample_fields(sample: Sample) -> dict[str, object]:
    """The same fields as the sample has them."""
    return {name: getattr(sample, name) for name in (*_IN_CATALOGUE, "author_id", "changes", "credit")}


def digest(said: dict[str, object]) -> bytes:
    """Short, as it is held of every kept recording."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()[:16]


def inconsistent_fields(sample: Sample, row: SampleRow, facts: dict[str, Any]) -> Iterator[str]:
    """Fields that do not follow from the sample's frames, its place and dataset.json."""
    described = facts["manifest"]
    cut = config.parse(Cut, described["cut"], where="dataset.json: cut")
    start = sample.clip * cut.max_frames
    wanted = {
        "dataset": described["name"],
        "series": row.shard.rsplit("-", 1)[0],
        "source": row.recording_id.split(":", 1)[0],
        "sample_rate": SAMPLE_RATE,
        "start_frame": start,
        "num_frames": max(0, min(cut.max_frames, sample.recording_frames - start)),
        "seconds_start": seconds_start(sample.start_frame),
        "seconds_total": seconds_total(sample.recording_frames),
    }
    for name, value in wanted.items():
        if getattr(sample, name) != value:
            yield f"{row.shard}: {row.key}.json: {name} is {getattr(sample, name)!r}, it follows {value!r}"
    if sample_key(row.recording_id, sample.clip) != row.key:
        yield f"{row.shard}: {row.key}.json: is clip {sample.clip} of {sample.id}, which has another name"


def misplaced(samples: Iterable[SampleRow], num_buckets: int) -> Iterator[str]:
    """Names that are not unique or not of their recording; samples in another shard or order than packed."""
    names: set[str] = set()
    order: dict[str, list[tuple[int, bytes, int, str]]] = {}
    for row in samples:
        if row.key in names:
            yield f"{row.shard}: the name {row.key} is there twice"
        names.add(row.key)
        try:
            recording_id, number = parse_key(row.key)
        except ValueError:
            recording_id, number = "", 0
        if recording_id != row.recording_id:
            yield f"{row.shard}: {row.key} is no name of {row.recording_id}"
            continue
        bucket = int(row.shard.removesuffix(".tar").rsplit("-", 1)[1])
        if bucket != bucket_of(recording_id, num_buckets):
            yield f"{row.shard}: {row.key} belongs into bucket {bucket_of(recording_id, num_buckets)}"
        place = (row.flac_offset, id_hash(recording_id), number, row.key)
        order.setdefault(row.shard, []).append(place)
    for shard, places in sorted(order.items()):
        by_offset, by_id = sorted(places), sorted(places, key=lambda place: place[1:3])
        if by_offset != by_id:
            first = next(a for a, b in zip(by_offset, by_id, strict=True) if a != b)
            yield f"{shard}: {first[3]} is not where packing puts it"
