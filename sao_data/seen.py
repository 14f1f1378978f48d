"""Which samples a training run has seen, shard by shard: the `shards` of a checkpoint's training_data.json.

It follows from the order and a position alone, so no rank has to tell another what it read.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from sao_data.order import Indices
from sao_data.records import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSeen:
    """One shard as a run has seen it."""

    name: str
    sha256: str
    num_samples: int
    seen: str  # base64; sample i by offset is bit i % 8, least significant first, of byte i // 8
    draws: int  # samples drawn from the shard, repeats counted


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
