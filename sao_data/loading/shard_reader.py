"""The samples of some series: an index of where each lies in its shard, and a reader of their checked bytes.

The index holds columns, not objects: the paper's 486,492 samples are 113 MB and load in about a second.
Local and shared files are read where they lie (`pread`, which reports an I/O error instead of
ending the process as a memory map does); members in an object store are fetched whole.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import soundfile

from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError, UsageError
from sao_data.loading.crop import Crop, Floats, decode
from sao_data.records import Sample, SampleRow, Shard
from sao_data.storage import layout, shards, tables
from sao_data.storage.backend import LocalStorage

Verify = Literal["first", "always", "never"]
_COLUMNS = ["key", "recording_id", "shard", "flac_offset", "flac_size", "json_offset", "json_size"]
_HASHES = ["sha256", "json_sha256"]
_MAX_OPEN = 128  # shards held open at a time


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
        table = tables.columns(dataset.storage, layout.SAMPLES, SampleRow, _COLUMNS + _HASHES)
        table = table.filter(pc.is_in(table["shard"], pa.array([shard.name for shard in self.shards])))
        self._table = table.sort_by([("shard", "ascending"), ("flac_offset", "ascending")]).combine_chunks()
        sizes = [shard.num_samples for shard in self.shards]
        if self._table["shard"].to_pylist() != [s.name for s in self.shards for _ in range(s.num_samples)]:
            raise IntegrityError(
                f"{self.url}: {layout.SAMPLES} and shards.parquet disagree; run `sao verify` there"
            )
        self._first = dict(zip((s.name for s in self.shards), np.cumsum([0, *sizes]).tolist(), strict=False))
        self._check_places()

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def shard_sizes(self) -> tuple[int, ...]:
        return tuple(shard.num_samples for shard in self.shards)

    @functools.cached_property
    def digest(self) -> str:
        """sha256 over which samples there are, and in which shards."""
        names = (f"{shard}/{key}\n" for shard, key in zip(*map(self._column, ("shard", "key")), strict=True))
        return hashlib.sha256("".join(names).encode()).hexdigest()

    def member(self, sample: int) -> Member:
        """The sample at an index."""
        row = self._table.slice(sample, 1).to_pylist()[0]
        return Member(sample=sample, index_in_shard=sample - self._first[row["shard"]], **row)

    def of_recordings(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """Sample indices of those of the recordings that have any."""
        wanted = frozenset(ids)
        found: dict[str, list[int]] = {}
        if wanted:
            for sample, recording_id in enumerate(self._column("recording_id")):
                if recording_id in wanted:
                    found.setdefault(recording_id, []).append(sample)
        return found

    def _check_places(self) -> None:
        """IntegrityError for a member that does not lie within its shard: nothing is read for its size."""
        sizes = pa.array([shard.num_bytes for shard in self.shards for _ in range(shard.num_samples)])
        for kind in ("flac", "json"):
            rest = pc.subtract(sizes, self._table[f"{kind}_size"].combine_chunks())
            outside = pc.index(pc.less_equal(self._table[f"{kind}_offset"], rest), False).as_py()
            if outside >= 0:
                member = self.member(outside)
                what = f"{layout.SAMPLES} has {member.key}.{kind} beyond the end of {member.shard}"
                raise IntegrityError(f"{self.url}: {what}; run `sao verify` there")

    def _column(self, name: str) -> list[str]:
        return cast("list[str]", self._table[name].to_pylist())


class ShardReader:
    """Reads samples and windows of audio, each member checked against its sha256 when `verify` says so.

    May be used by several threads. A transient failure (OSError) is raised as it is; what cannot be fixed by
    trying again is an IntegrityError that names shard and key.
    """

    def __init__(self, dataset: Dataset, index: Index, verify: Verify) -> None:
        self._storage = dataset.storage
        self._sizes = {shard.name: shard.num_bytes for shard in index.shards}
        self._verify = verify
        self._checked = bytearray(2 * len(index))  # 1: the audio (JSON) of a sample was right once
        self._handle = functools.lru_cache(maxsize=_MAX_OPEN)(self._open)  # per reader, not per class
        there = set(self._storage.names(layout.SHARD_FOLDER))
        for shard in index.shards:
            if f"{layout.SHARD_FOLDER}/{shard.name}" not in there:
                raise IntegrityError(self._damaged(shard.name, "the shard is missing"))

    def sample(self, member: Member) -> Sample:
        """What the shard says of a sample."""
        text = self._read(member.shard, member.json_offset, member.json_size)
        self._check(member, "JSON", text, member.json_sha256)
        where = f"{self._storage.url}/{layout.SHARD_FOLDER}/{member.shard}: {member.key}.json"
        return shards.parse_sample(text, where)

    def window(self, member: Member, crop: Crop, out_CT: Floats) -> None:
        """Decode a window of the sample's audio into `out_CT`."""
        file = self._flac(member)
        try:
            num_frames = decode(file, crop, out_CT)
        except soundfile.SoundFileError as error:
            what = f"audio of {member.key} does not decode ({error})"
            raise _failure_of(file) or IntegrityError(self._damaged(member.shard, what)) from error
        if num_frames != crop.num_frames:
            what = f"audio of {member.key} has {num_frames} of {crop.num_frames} frames at {crop.start}"
            raise _failure_of(file) or IntegrityError(self._damaged(member.shard, what))

    def close(self) -> None:
        """Close the shards."""
        self._handle.cache_clear()

    def _flac(self, member: Member) -> BinaryIO:
        is_local = isinstance(self._storage, LocalStorage)
        if is_local and not self._must_check(_slot(member, "audio")):
            handle = self._handle(member.shard)
            return cast("BinaryIO", _Slice(handle, member.flac_offset, member.flac_size))
        data = self._read(member.shard, member.flac_offset, member.flac_size)
        self._check(member, "audio", data, member.sha256)
        return io.BytesIO(data)

    def _read(self, shard: str, offset: int, size: int) -> bytes:
        if isinstance(self._storage, LocalStorage):
            handle = self._handle(shard)  # held: two threads may open a shard at once, and one is not kept
            data = os.pread(handle.number, size, offset)
        else:
            with self._storage.open(f"{layout.SHARD_FOLDER}/{shard}") as file:
                file.seek(offset)
                data = file.read(size)
        if len(data) != size:
            raise IntegrityError(self._damaged(shard, f"it ends before byte {offset + size}"))
        return data

    def _open(self, shard: str) -> _Handle:
        name = f"{layout.SHARD_FOLDER}/{shard}"
        try:
            num_bytes = self._storage.size(name)
            handle = _Handle(f"{self._storage.url}/{name}")
        except FileNotFoundError as error:
            raise IntegrityError(self._damaged(shard, "the shard is missing")) from error
        if num_bytes != self._sizes[shard]:
            what = f"it has {num_bytes} bytes, shards.parquet says {self._sizes[shard]}"
            raise IntegrityError(self._damaged(shard, what))
        return handle

    def _must_check(self, slot: int) -> bool:
        return self._verify == "always" or (self._verify == "first" and not self._checked[slot])

    def _check(self, member: Member, what: str, data: bytes, wanted: str) -> None:
        slot = _slot(member, what)
        if self._must_check(slot):
            if hashlib.sha256(data).hexdigest() != wanted:
                raise IntegrityError(self._damaged(member.shard, f"{what} of {member.key} is damaged"))
            self._checked[slot] = 1

    def _damaged(self, shard: str, what: str) -> str:
        fix = "restore the shard from a copy, or delete it and run the same ingest again"
        where = f"{self._storage.url}/{layout.SHARD_FOLDER}/{shard}"
        return f"{where}: {what}; {fix} (`sao verify` lists all damage)"


class _Handle:
    """An open file that is closed when the last reader lets go of it."""

    def __init__(self, path: str) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


class _Slice:
    """A stretch of an open file as a file of its own, without a copy: what soundfile asks of one."""

    def __init__(self, handle: _Handle, offset: int, size: int) -> None:
        self.failure: OSError | None = None  # cffi would print an exception and go on
        self._handle, self._offset, self._size, self._at = handle, offset, size, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray) -> int:
        wanted = memoryview(buffer)[: max(0, self._size - self._at)]
        try:
            num = os.preadv(self._handle.number, [wanted], self._offset + self._at)
        except OSError as error:
            self.failure = error
            return 0
        self._at += num
        return num


def _slot(member: Member, what: str) -> int:
    return 2 * member.sample + (what == "JSON")


def _failure_of(file: BinaryIO) -> OSError | None:
    return getattr(file, "failure", None)
