"""The samples of some series of a folder of latents, in the order of the dataset's shards: as columns."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sao_data.errors import IntegrityError, UsageError
from sao_data.latents.facts import LatentRow, LatentsFacts, LatentShard
from sao_data.latents.members import num_bytes
from sao_data.loading.index import find_recordings, samples_digest
from sao_data.records import Shard
from sao_data.storage import layout, tables
from sao_data.storage.backend import Storage

_TEXTS = ("key", "recording_id", "sha256", "json_sha256")
_NUMBERS = (
    "latents_offset", "latents_size", "json_offset", "json_size",
    "num_latents", "num_frames", "start_frame", "recording_frames",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentMember:
    """Where one sample lies, and what its crops follow from."""

    place: int  # in its shard: its bit in a checkpoint's `seen`
    shard: int  # number among those of the index
    key: str
    recording_id: str
    sha256: str
    json_sha256: str
    latents_offset: int
    latents_size: int
    first: int  # byte of the tar at which the numbers begin
    json_offset: int
    json_size: int
    num_latents: int
    num_frames: int
    start_frame: int
    recording_frames: int
    peak: float


class LatentIndex:
    """The samples of the chosen series, sorted by the dataset's shards and place in the shard."""

    def __init__(self, storage: Storage, facts: LatentsFacts, series: tuple[str, ...]) -> None:
        self.url = storage.url
        chosen = sorted(
            (shard for shard in facts.shards if shard.series in series and shard.num_samples),
            key=lambda shard: shard.dataset_shard,
        )
        if not chosen:
            there = ", ".join(sorted({shard.series for shard in facts.shards}))
            raise UsageError(
                f"{self.url}: no latents of the series {', '.join(series)} (there are: {there}); encode them "
                "(series), or train on others"
            )
        self.shards = tuple(dataset_shard(shard) for shard in chosen)
        self.tars = tuple(
            Shard(
                name=shard.name,
                series=shard.series,
                sha256=shard.sha256,
                num_samples=shard.num_samples,
                num_bytes=shard.num_bytes,
            )
            for shard in chosen
        )
        table = _sorted(storage, self.tars)
        self._texts = {name: cast("pa.StringArray", table[name].combine_chunks()) for name in _TEXTS}
        self._numbers = np.stack([table[name].to_numpy().astype(np.int64) for name in _NUMBERS], axis=1)
        self._peaks = table["peak"].to_numpy()
        self._ends = np.cumsum(self.shard_sizes)
        self._bytes = num_bytes(1, facts.encoding.latent_dim)
        self._check_places()

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def shard_sizes(self) -> tuple[int, ...]:
        return tuple(shard.num_samples for shard in self.shards)

    @property
    def num_frames(self) -> npt.NDArray[np.int64]:
        """Frames of each sample's clip."""
        return self._numbers[:, _NUMBERS.index("num_frames")]

    @functools.cached_property
    def digest(self) -> str:
        """sha256 over which samples there are, the same as of the dataset's audio."""
        return samples_digest(self.shards, self._texts["key"])

    def of_recordings(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """Sample indices of those of the recordings that have any."""
        return find_recordings(self._texts["recording_id"], ids)

    def member(self, sample: int) -> LatentMember:
        """The sample at an index."""
        shard = int(np.searchsorted(self._ends, sample, side="right"))
        key, recording_id, sha256, json_sha256 = (self._texts[name][sample].as_py() for name in _TEXTS)
        offset, size, json_offset, json_size, num, frames, start, recording = self._numbers[sample].tolist()
        return LatentMember(
            place=sample - int(self._ends[shard]) + self.shards[shard].num_samples,
            shard=shard,
            key=key,
            recording_id=recording_id,
            sha256=sha256,
            json_sha256=json_sha256,
            latents_offset=offset,
            latents_size=size,
            first=offset + size - num * self._bytes,
            json_offset=json_offset,
            json_size=json_size,
            num_latents=num,
            num_frames=frames,
            start_frame=start,
            recording_frames=recording,
            peak=float(self._peaks[sample]),
        )

    def _check_places(self) -> None:
        """IntegrityError for a member that does not lie within its shard, or is too small for its latents."""
        sizes = np.repeat([shard.num_bytes for shard in self.tars], self.shard_sizes)
        offset, size, json_offset, json_size, num = self._numbers[:, :5].T
        is_wrong = (offset + size > sizes) | (json_offset + json_size > sizes) | (num * self._bytes > size)
        if is_wrong.any():
            key = self._texts["key"][int(np.argmax(is_wrong))].as_py()
            what = f"{layout.SAMPLES} has {key} where it cannot lie"
            raise IntegrityError(f"{self.url}: {what}; run the same encode again")


def _sorted(storage: Storage, tars: tuple[Shard, ...]) -> pa.Table:
    """Rows by shard and offset; IntegrityError where the tables disagree."""
    names = pa.array([shard.name for shard in tars])
    table = tables.columns(storage, layout.SAMPLES, LatentRow, ["shard", *_TEXTS, *_NUMBERS, "peak"])
    table = table.filter(pc.is_in(table["shard"], names))
    order = pc.index_in(table["shard"], names)
    table = table.append_column("number", order)
    table = table.sort_by([("number", "ascending"), ("latents_offset", "ascending")])
    wanted = np.repeat(np.arange(len(tars)), [shard.num_samples for shard in tars])
    if not np.array_equal(table["number"].to_numpy(), wanted):
        said = f"{storage.url}: {layout.SAMPLES} and latents.json disagree"
        raise IntegrityError(f"{said}; run the same encode again")
    return table


def dataset_shard(shard: LatentShard) -> Shard:
    """The dataset's shard behind one of latents."""
    return Shard(
        name=shard.dataset_shard,
        series=shard.series,
        sha256=shard.dataset_sha256,
        num_samples=shard.num_samples,
        num_bytes=shard.dataset_bytes,
    )
