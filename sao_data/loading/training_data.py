"""Which samples a training run has seen, shard by shard: the `shards` of a checkpoint's training_data.json.

It follows from the order and a position alone, so no rank has to tell another what it read.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sao_data.errors import UsageError
from sao_data.forms import Count, Sha256, ShardName
from sao_data.loading.sampler import Indices
from sao_data.records import Shard
from sao_data.storage import checksums as sums
from sao_data.storage import documents as stored

FILE = "training_data.json"
_FIX = "restore it from a copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSeen:
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
    """What readers need of training_data.json; enforce reads the terms in it."""

    dataset: str
    version: str
    root_digest: Sha256
    step: Count
    shards: list[ShardSeen]
    pretrained: list[_Origin] = field(default_factory=list)
    release: dict[str, bool] = field(default_factory=dict)
    dataset_release: dict[str, bool] = field(default_factory=dict)
    conditions: list[dict[str, Any]] = field(default_factory=list)


def read(path: Path) -> dict[str, Any]:
    """A training_data.json, with those in it of parts trained before, each key of its type, checked against
    the SHA256SUMS beside it. UsageError if it is not there, IntegrityError if it is not whole."""
    if not path.is_file():
        raise UsageError(f"{path}: not there; --checkpoint takes a checkpoint folder made by training")
    is_sealed = (path.parent / sums.FILE).is_file()
    data = sums.read_file(path.parent, path.name) if is_sealed else path.read_bytes()
    return _checked(data, str(path))


def _checked(data: bytes, where: str) -> dict[str, Any]:
    table = stored.document(_TrainingData, data, where=where, fix=_FIX)
    for part in table.get("pretrained", []):
        if part.get("training_data"):
            _checked(json.dumps(part["training_data"]).encode(), f"{where}: pretrained: {part['part']}")
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of every shard of the stream's series."""

    shards: tuple[ShardSeen, ...]

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


def seen_of(shards: tuple[Shard, ...], draws: Indices) -> Seen:
    """From how often each sample was drawn (sorted by shard and offset) to what was seen of each shard."""
    ends = np.cumsum([shard.num_samples for shard in shards])
    parts = np.split(draws, ends[:-1])
    return Seen(shards=tuple(_shard_seen(shard, part) for shard, part in zip(shards, parts, strict=True)))


def _shard_seen(shard: Shard, draws: Indices) -> ShardSeen:
    bitmap = np.packbits(draws > 0, bitorder="little").tobytes()
    return ShardSeen(
        name=shard.name,
        sha256=shard.sha256,
        num_samples=shard.num_samples,
        seen=base64.b64encode(bitmap).decode(),
        draws=int(draws.sum()),
    )
