"""Exposure: which checkpoints saw a sample, by the training_data.json that every checkpoint carries.

Sample i of a shard, counted by its offset, is bit i % 8 (least significant first) of byte i // 8 of the
shard's bitmap. A bitmap is about one shard's bytes: it is read only where the shard's sha256 is the same.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data.dataset.verify import Dataset
from sao_data.errors import SaoError, UsageError
from sao_data.loading.training_data import FILE
from sao_data.loading.training_data import read as read_training_data

Positions = Mapping[str, tuple[int, ...]]  # by shard: places of the samples asked about


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A checkpoint that saw some of the samples asked about, or may have."""

    path: str
    step: int
    num_seen: int  # of the samples asked about
    doubt: str = ""  # why it cannot be told, or not of all; '' = told for certain


def positions(dataset: Dataset, ids: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Where the samples of these recordings lie in their shards."""
    offsets: dict[str, list[int]] = {}
    wanted: dict[str, set[int]] = {}
    for row in dataset.samples():
        offsets.setdefault(row.shard, []).append(row.flac_offset)
        if row.recording_id in ids:
            wanted.setdefault(row.shard, set()).add(row.flac_offset)
    return {
        shard: tuple(n for n, offset in enumerate(sorted(offsets[shard])) if offset in chosen)
        for shard, chosen in wanted.items()
    }


def find(dataset: Dataset, ids: Collection[str], folders: Iterable[Path]) -> list[Exposure]:
    """Checkpoints below the folders that saw a sample of these recordings, or of which it cannot be told."""
    where = positions(dataset, ids)
    sha256 = {shard.name: shard.sha256 for shard in dataset.shards()}
    found = []
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"--checkpoints {folder}: not there; give a folder with trainings below it")
        paths = [folder] if folder.is_file() else sorted(folder.rglob(FILE))
        found += [_exposure(dataset, path, where, sha256) for path in paths]
    return [item for item in found if item.num_seen or item.doubt]


def _exposure(dataset: Dataset, path: Path, where: Positions, sha256: Mapping[str, str]) -> Exposure:
    try:
        data = read_training_data(path)
        step: int = data["step"]
        seen: set[tuple[str, int]] = set()
        doubts: set[str] = set()
        for history in _histories(data):
            more, doubt = _seen(history, str(dataset.facts["name"]), where, sha256)
            seen |= more
            doubts.update(doubt)
    except (OSError, SaoError, ValueError) as error:
        return Exposure(path=str(path), step=0, num_seen=0, doubt=str(error))
    return Exposure(path=str(path.parent), step=step, num_seen=len(seen), doubt="; ".join(sorted(doubts)))


def _histories(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A training's own history, and those of what it started from."""
    yield data
    for part in data.get("pretrained", []):
        if inner := part.get("training_data"):
            yield from _histories(inner)


def _seen(
    history: dict[str, Any], name: str, where: Positions, sha256: Mapping[str, str]
) -> tuple[set[tuple[str, int]], set[str]]:
    """Samples asked about whose bit is set; doubts, if another version of their shard was seen."""
    seen: set[tuple[str, int]] = set()
    doubts: set[str] = set()
    for entry in history["shards"]:
        shard = str(entry["name"])
        if shard not in where:
            continue
        if entry["sha256"] == sha256[shard]:
            seen |= {(shard, n) for n in _bits(entry, where[shard])}
        elif history["dataset"] == name and entry["draws"]:
            version = str(history["version"])
            doubts.add(f"it saw {shard} as in version {version}: ask with that version's directory")
    return seen, doubts


def _bits(entry: dict[str, Any], numbers: Iterable[int]) -> Iterator[int]:
    try:
        bitmap = base64.b64decode(str(entry["seen"]), validate=True)
    except binascii.Error as error:
        raise ValueError(f"the bitmap of {entry['name']} is damaged") from error
    for n in numbers:
        if n // 8 >= len(bitmap):
            raise ValueError(f"the bitmap of {entry['name']} is too short")
        if bitmap[n // 8] >> n % 8 & 1:
            yield n
