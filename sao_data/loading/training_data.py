"""training_data.json: which samples a checkpoint has seen, and the questions that follow from it.

Sample i of a shard, counted by its offset, is bit i % 8 (least significant first) of byte i // 8 of the
shard's bitmap. A bitmap is about one shard's bytes: it is read only where the shard's sha256 is the same.
What was seen follows from the order and a position alone, so no rank has to tell another what it read.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sao_data.errors import IntegrityError, UsageError
from sao_data.forms import Count, Sha256, ShardName
from sao_data.loading.sampler import Indices
from sao_data.records import SampleRow, Shard
from sao_data.storage import checksums, documents

FILE = "training_data.json"
_FIX = "restore it from a copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenShard:
    """One shard as a run has seen it."""

    name: ShardName
    sha256: Sha256
    num_samples: Count
    seen: str  # base64; sample i by offset is bit i % 8, least significant first, of byte i // 8
    draws: Count  # samples drawn from the shard, repeats counted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """A part that was trained before; `training_data` is absent or None where it does not say on what."""

    part: str
    training_data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrainingData:
    """What readers need of training_data.json; dataset/release.py reads the terms in it."""

    dataset: str
    version: str
    root_digest: Sha256
    step: Count
    shards: list[SeenShard]
    pretrained: list[_Origin] = field(default_factory=list)
    release: dict[str, bool] = field(default_factory=dict)
    dataset_release: dict[str, bool] = field(default_factory=dict)
    conditions: list[dict[str, Any]] = field(default_factory=list)


def read(path: Path) -> dict[str, Any]:
    """A training_data.json, with those in it of parts trained before, each key of its type, checked against
    the SHA256SUMS beside it. UsageError if it is not there, IntegrityError if it is not whole."""
    if not path.is_file():
        raise UsageError(f"{path}: not there; --checkpoint takes a checkpoint folder made by training")
    is_sealed = (path.parent / checksums.FILE).is_file()
    data = checksums.read_file(path.parent, path.name) if is_sealed else path.read_bytes()
    return _checked(data, str(path))


def _checked(data: bytes, where: str) -> dict[str, Any]:
    table = documents.checked(_TrainingData, data, where=where, fix=_FIX)
    for part in table.get("pretrained", []):
        if part.get("training_data"):
            _checked(json.dumps(part["training_data"]).encode(), f"{where}: pretrained: {part['part']}")
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenShards:
    """What was seen of every shard of the stream's series."""

    shards: tuple[SeenShard, ...]

    @property
    def draws(self) -> int:
        """Samples drawn in all, repeats counted."""
        return sum(shard.draws for shard in self.shards)

    def to_json(self) -> list[dict[str, str | int]]:
        """The `shards` list of training_data.json."""
        return [
            {
                "name": shard.name,
                "sha256": shard.sha256,
                "num_samples": shard.num_samples,
                "seen": shard.seen,
                "draws": shard.draws,
            }
            for shard in self.shards
        ]


def seen_shards(shards: tuple[Shard, ...], draws: Indices) -> SeenShards:
    """From how often each sample was drawn (sorted by shard and offset) to what was seen of each shard."""
    ends = np.cumsum([shard.num_samples for shard in shards])
    parts = np.split(draws, ends[:-1])
    return SeenShards(
        shards=tuple(_seen_shard(shard, part) for shard, part in zip(shards, parts, strict=True))
    )


def _seen_shard(shard: Shard, draws: Indices) -> SeenShard:
    bitmap = np.packbits(draws > 0, bitorder="little").tobytes()
    return SeenShard(
        name=shard.name,
        sha256=shard.sha256,
        num_samples=shard.num_samples,
        seen=base64.b64encode(bitmap).decode(),
        draws=int(draws.sum()),
    )


def unrecorded(data: Mapping[str, Any], of: str = "") -> Iterator[str]:
    """Parts trained before of which nobody says what they have heard ("vae: text_encoder (t5-base)"). What is
    known stands at the first of the parts that come from one place; one that is fetched by name has none."""
    is_known = True
    for part in data.get("pretrained", []):
        if "training_data" in part or "name" in part:
            is_known = bool(part.get("training_data"))
        if part.get("training_data"):
            yield from unrecorded(part["training_data"], f"{of}{part['part']}: ")
        elif not is_known:
            yield f"{of}{part['part']}" + (f" ({part['name']})" if part.get("name") else "")


def in_order(samples: Iterable[SampleRow]) -> dict[str, list[SampleRow]]:
    """By shard, its samples by offset: their places are those of the bitmaps."""
    found: dict[str, list[SampleRow]] = {}
    for row in sorted(samples, key=lambda row: (row.shard, row.flac_offset)):
        found.setdefault(row.shard, []).append(row)
    return found


def places_seen(entry: Mapping[str, Any], places: Iterable[int], path: Path) -> list[int]:
    """Those of a shard's places whose bit is set; IntegrityError for a bitmap that cannot be read."""
    try:
        bitmap = base64.b64decode(str(entry["seen"]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise IntegrityError(f"{path}: the bitmap of {entry['name']} is damaged; {_FIX}") from error
    asked = list(places)
    if asked and max(asked) // 8 >= len(bitmap):
        fits = f"too short for {max(asked) + 1} samples"
        raise IntegrityError(f"{path}: the bitmap of {entry['name']} is {fits}; {_FIX}")
    return [place for place in asked if bitmap[place // 8] >> place % 8 & 1]


def histories(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A training's own history, and those of what it started from."""
    yield data
    for part in data.get("pretrained", []):
        if inner := part.get("training_data"):
            yield from histories(inner)


def latest(checkpoint: Path) -> Path:
    """training_data.json of a checkpoint folder, or of a run's latest checkpoint."""
    if not checkpoint.is_dir():
        return checkpoint
    found = [] if (checkpoint / FILE).exists() else sorted(checkpoint.glob(f"checkpoints/step-*/{FILE}"))
    return found[-1] if found else checkpoint / FILE
