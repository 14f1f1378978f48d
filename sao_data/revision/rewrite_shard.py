"""One shard written again with samples out or with other words; every FLAC byte for byte as it was.

Whether that was done already is seen from the tar itself, so a run that was killed may be repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sao_data.errors import IntegrityError
from sao_data.records import Sample, SampleRow, Shard
from sao_data.storage import layout, shards
from sao_data.storage.backend import Storage

_BLOCK = 1 << 20
_FIX = "run `sao verify`, and restore the shard from a copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A sample as it lies in the tar."""

    key: str
    flac: tuple[int, int]  # offset, size
    json: tuple[int, int]


def rewrite_shard(
    storage: Storage,
    name: str,
    rows: Collection[SampleRow],
    removed: Collection[str],
    samples: Mapping[str, Sample],
) -> tuple[Shard | None, list[SampleRow]]:
    """Bring the shard to its new state: without the recordings `removed`, with `samples` by key as they will
    be. `rows` are its samples before or after. Returns what it is then; None if nothing was left of it."""
    path = f"{layout.SHARD_FOLDER}/{name}"
    kept = {row.key: row for row in rows if row.recording_id not in removed}
    if not kept:
        storage.delete(path)
        return None, []
    if not storage.exists(path):
        raise IntegrityError(f"{storage.url}/{path}: missing; {_FIX}")
    with storage.open(path) as old:
        entries = _entries(old)
        _check_keys(f"{storage.url}/{path}", {e.key for e in entries}, set(kept), {row.key for row in rows})
        staying = [entry for entry in entries if entry.key in kept]
        is_done = len(staying) == len(entries) and not any(
            entry.key in samples and _text(old, entry) != shards.sample_json(samples[entry.key])
            for entry in entries
        )
        # done already: written nowhere, to learn what it is
        target = contextlib.nullcontext(Path(os.devnull)) if is_done else storage.staged(path)
        with target as temporary, temporary.open("wb") as new:
            writer = shards.ShardWriter(new, name, series=name.rsplit("-", 1)[0])
            for entry in staying:
                sample, flac = _read(f"{storage.url}/{path}", old, entry, kept[entry.key], samples)
                writer.add(entry.key, sample, flac, kept[entry.key].seek_points)
            shard = writer.finish()
    return shard, writer.rows


def _read(
    where: str, file: BinaryIO, entry: _Entry, row: SampleRow, samples: Mapping[str, Sample]
) -> tuple[Sample, bytes]:
    """A sample as it will be, and its audio; both checked."""
    flac, text = shards.read_member(file, *entry.flac), _text(file, entry)
    sample = shards.parse_sample(text, f"{where}: {entry.key}.json")
    new = samples.get(entry.key, sample)
    is_known = hashlib.sha256(text).hexdigest() == row.json_sha256 or text == shards.sample_json(new)
    if hashlib.sha256(flac).hexdigest() != row.sha256 or not is_known:
        raise IntegrityError(f"{where}: {entry.key} is damaged; {_FIX}")
    return new, flac


def _text(file: BinaryIO, entry: _Entry) -> bytes:
    return shards.read_member(file, *entry.json)


def _entries(file: BinaryIO) -> list[_Entry]:
    """Samples in the order of the tar."""
    places: dict[str, dict[str, tuple[int, int]]] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            key, _, suffix = member.name.rpartition(".")
            places.setdefault(key, {})[suffix] = (member.offset_data, member.size)
    return [
        _Entry(key=key, flac=found["flac"], json=found["json"])
        for key, found in places.items()
        if found.keys() >= {"flac", "json"}
    ]


def _check_keys(where: str, found: set[str], kept: set[str], known: set[str]) -> None:
    """A tar cut at a member boundary reads like a shorter one: nothing may be lost here without a word."""
    if kept - found:
        raise IntegrityError(f"{where}: {min(kept - found)} is missing; {_FIX}")
    if found - known:
        raise IntegrityError(f"{where}: {min(found - known)} is in no table; {_FIX}")
