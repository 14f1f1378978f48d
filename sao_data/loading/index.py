"""The samples of some series: where each lies in its shard, from columns of samples.parquet.

Columns, not objects, and no audio: the paper's 486,492 samples take some 180 MB and load in about a second.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError, UsageError
from sao_data.records import SampleRow, SeekPoint, Shard
from sao_data.storage import layout, tables
from sao_data.storage.backend import LocalStorage

_TEXTS = ("key", "recording_id", "sha256", "json_sha256")
_NUMBERS = ("flac_offset", "flac_size", "json_offset", "json_size", "num_frames")
_POINTS = "seek_points"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Where one sample lies (from samples.parquet)."""

    sample: int  # index among all samples, sorted by shard and place in the shard
    index_in_shard: int  # counted by offset: its bit in a checkpoint's `seen`
    key: str
    recording_id: str
    shard: str
    flac_offset: int
    flac_size: int
    json_offset: int
    json_size: int
    sha256: str
    json_sha256: str
    num_frames: int


class Index:
    """The samples of the chosen series, sorted by shard and place in the shard."""

    def __init__(self, dataset: Dataset, series: tuple[str, ...]) -> None:
        found = dataset.shards()
        self.url = dataset.storage.url
        self.shards: tuple[Shard, ...] = tuple(
            sorted((s for s in found if s.series in series and s.num_samples), key=lambda s: s.name)
        )
        if not self.shards:
            there = ", ".join(sorted({shard.series for shard in found})) or "none at all"
            raise UsageError(f"{self.url}: no samples in the series {', '.join(series)} (there are: {there})")
        # where decoding can start: saves requests; on a disk, frames are found without (flac_window.py)
        points = [] if isinstance(dataset.storage, LocalStorage) else [_POINTS]
        table = _sorted(dataset, self.shards, ["shard", *_TEXTS, *_NUMBERS, *points])
        self._texts = {name: cast("pa.StringArray", _whole(table[name])) for name in _TEXTS}
        self._numbers = {
            name: cast("npt.NDArray[np.int64]", _whole(table[name]).to_numpy()) for name in _NUMBERS
        }
        self._points = _whole(table[_POINTS]) if points else None
        self._ends = np.cumsum([shard.num_samples for shard in self.shards])
        del table
        pa.default_memory_pool().release_unused()  # unsorted copies, twice what stays
        self._check_places()

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def shard_sizes(self) -> tuple[int, ...]:
        return tuple(shard.num_samples for shard in self.shards)

    @property
    def num_frames(self) -> npt.NDArray[np.int64]:
        """Frames of each sample at 44.1 kHz."""
        return self._numbers["num_frames"]

    @property
    def recording_ids(self) -> pa.StringArray:
        """Recording id of each sample."""
        return self._texts["recording_id"]

    @functools.cached_property
    def digest(self) -> str:
        """sha256 over which samples there are, and in which shards."""
        return samples_digest(self.shards, self._texts["key"])

    def member(self, sample: int) -> Member:
        """The sample at an index."""
        shard = int(np.searchsorted(self._ends, sample, side="right"))
        chosen = self.shards[shard]
        key, recording_id, sha256, json_sha256 = (self._texts[name][sample].as_py() for name in _TEXTS)
        flac_offset, flac_size, json_offset, json_size, num_frames = (
            int(self._numbers[name][sample]) for name in _NUMBERS
        )
        return Member(
            sample=sample,
            index_in_shard=sample - int(self._ends[shard]) + chosen.num_samples,
            key=key,
            recording_id=recording_id,
            shard=chosen.name,
            flac_offset=flac_offset,
            flac_size=flac_size,
            json_offset=json_offset,
            json_size=json_size,
            sha256=sha256,
            json_sha256=json_sha256,
            num_frames=num_frames,
        )

    def seek_points(self, sample: int) -> tuple[SeekPoint, ...]:
        """Where decoding of a sample can start; none from local files' index."""
        points = self._points[sample].as_py() if self._points is not None else []
        return tuple(SeekPoint(**point) for point in points)

    def of_recordings(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """Sample indices of those of the recordings that have any."""
        return find_recordings(self.recording_ids, ids)

    def _check_places(self) -> None:
        """IntegrityError for a member that does not lie within its shard: nothing is read for its size."""
        sizes = np.repeat([shard.num_bytes for shard in self.shards], self.shard_sizes)
        for kind in ("flac", "json"):
            is_outside = self._numbers[f"{kind}_offset"] > sizes - self._numbers[f"{kind}_size"]
            if is_outside.any():
                member = self.member(int(np.argmax(is_outside)))
                what = f"{layout.SAMPLES} has {member.key}.{kind} beyond the end of {member.shard}"
                raise IntegrityError(f"{self.url}: {what}; run `sao verify` there")


def samples_digest(shards: Iterable[Shard], keys: pa.StringArray) -> str:
    """sha256 over which samples there are, given in order, and in which shards."""
    names = iter(keys.to_pylist())
    lines = (f"{shard.name}/{next(names)}\n" for shard in shards for _ in range(shard.num_samples))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def find_recordings(recording_ids: pa.StringArray, ids: Iterable[str]) -> dict[str, list[int]]:
    """Places, in a list of each sample's recording, of those that are asked for."""
    found: dict[str, list[int]] = {}
    wanted = pa.array(sorted(set(ids)), pa.string())
    if len(wanted):
        is_wanted = pc.is_in(recording_ids, wanted).to_numpy(zero_copy_only=False)
        for sample in np.flatnonzero(is_wanted).tolist():
            found.setdefault(recording_ids[sample].as_py(), []).append(sample)
    return found


def _sorted(dataset: Dataset, shards: tuple[Shard, ...], columns: list[str]) -> pa.Table:
    """Rows of these shards' samples by shard and offset; IntegrityError where the tables disagree."""
    names = pa.array([shard.name for shard in shards])
    table = tables.columns(dataset.storage, layout.SAMPLES, SampleRow, columns)
    table = table.filter(pc.is_in(table["shard"], names))
    table = table.sort_by([("shard", "ascending"), ("flac_offset", "ascending")])
    wanted = names.take(pa.array(np.repeat(np.arange(len(shards)), [shard.num_samples for shard in shards])))
    if not _whole(table["shard"]).equals(wanted):
        raise IntegrityError(
            f"{dataset.storage.url}: {layout.SAMPLES} and shards.parquet disagree; run `sao verify` there"
        )
    return table


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
