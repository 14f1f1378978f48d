"""Reads samples and windows of audio from shards, each member checked against its sha256 as `verify` says.

**Local and shared files** are read where they lie (`pread`, which reports an I/O error instead of ending
the process as a memory map does). "first": a member is hashed whole, once on a machine
(checked_members.py), before anything of it is used; "always": whenever it is read (the decoder then reads
the window's bytes again); "never": only the CRC-16 of the frames that are decoded.

**Object stores** are asked for what a window needs: one range for the JSON and one for the audio, from the
seek point (samples.parquet, every 10 s) before the window to the one behind it; no STREAMINFO, which
follows from what the ingest writes. A range that is most of a member is made the whole of it. What came
whole is hashed as above, though by each process for itself, since other bytes may come to each. What came
in part is not: the sha256 is over the whole. It is checked by the CRC-8 and CRC-16 of its frames, which
find any flipped bit, and 65,535 of 65,536 other damages, but would not find a frame that someone made up;
the JSON is always hashed. Such reads are counted. "always" reads whole members there too.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from typing import Literal

import soundfile

from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError
from sao_data.loading import flac_window
from sao_data.loading.checked_members import CheckedMembers, Marks
from sao_data.loading.crop import Crop, Floats, decode
from sao_data.loading.flac_window import Stretch
from sao_data.loading.index import Index, Member
from sao_data.loading.member_bytes import FetchedBytes, Joined, MemberBytes, OnDisk, ShardHandle
from sao_data.records import Sample, SeekPoint
from sao_data.storage import layout, shards
from sao_data.storage.backend import LocalStorage

Verify = Literal["first", "always", "never"]
_MAX_OPEN = 128  # shards held open at a time
_BLOCK = 1 << 18  # bytes hashed at a time: they stay in the cache between the kernel's copy and the hash
_MOST = 0.75  # of a member: a range from there on is made the whole, which can be hashed


class ShardReader:
    """Reads samples and windows of audio; may be used by several threads.

    A transient failure (OSError) is raised as it is; what cannot be fixed by trying again is an
    IntegrityError that names shard and key.
    """

    def __init__(self, dataset: Dataset, index: Index, verify: Verify) -> None:
        self._storage = dataset.storage
        self._index = index
        self._shards = {shard.name: shard for shard in index.shards}
        self._verify = verify
        self.is_local = isinstance(dataset.storage, LocalStorage)
        is_shared = self.is_local and verify == "first"
        self._checked = CheckedMembers(str(dataset.facts["root_digest"])) if is_shared else None
        self._own = bytearray(
            0 if self.is_local else 2 * len(index)
        )  # the same of members that came from afar
        self._handle = functools.lru_cache(maxsize=_MAX_OPEN)(self._open)  # per reader, not per class
        self._buffers = threading.local()
        self._counting = threading.Lock()
        self.num_in_part = 0  # windows whose member was not read whole, and so not hashed
        there = set(self._storage.names(layout.SHARD_FOLDER))
        for shard in index.shards:
            if f"{layout.SHARD_FOLDER}/{shard.name}" not in there:
                raise IntegrityError(self._damaged(shard.name, "the shard is missing"))

    def sample(self, member: Member) -> Sample:
        """What the shard says of a sample."""
        text = self._read(member.shard, member.json_offset, member.json_size)
        handle = self._handle(member.shard) if self.is_local else None
        if self._must_check(handle, member, "JSON"):
            self._check(hashlib.sha256(text).hexdigest(), member, "JSON", handle)
        where = f"{self._storage.url}/{layout.SHARD_FOLDER}/{member.shard}: {member.key}.json"
        return shards.parse_sample(text, where)

    def window(self, member: Member, crop: Crop, out_CT: Floats) -> None:
        """Decode a window of the sample's audio into `out_CT`."""
        data, given = self._local(member) if self.is_local else self._remote(member, crop)
        try:
            if given and flac_window.decode(data, given, crop, out_CT):
                return
        except soundfile.SoundFileError:
            pass  # a header may have misled it: the usual way decides what is damaged
        self._usual(member, crop, out_CT)

    def close(self) -> None:
        """Close the shards."""
        self._handle.cache_clear()

    def _usual(self, member: Member, crop: Crop, out_CT: Floats) -> None:
        """Decode from the whole member as libsndfile does; IntegrityError where that fails."""
        data = self._local(member)[0] if self.is_local else self._whole(member)
        try:
            num_frames = decode(Joined(b"", data, 0), crop, out_CT)
        except soundfile.SoundFileError as error:
            what = f"audio of {member.key} does not decode ({error})"
            raise data.failure or IntegrityError(self._damaged(member.shard, what)) from error
        if num_frames != crop.num_frames:
            what = f"audio of {member.key} has {num_frames} of {crop.num_frames} frames at {crop.start}"
            raise data.failure or IntegrityError(self._damaged(member.shard, what))

    def _local(self, member: Member) -> tuple[MemberBytes, Stretch | None]:
        handle = self._handle(member.shard)
        if self._must_check(handle, member, "audio"):
            self._check(self._hash(handle, member), member, "audio", handle)
        data = OnDisk(handle, member.flac_offset, member.flac_size)
        return data, flac_window.whole_stretch(data)

    def _remote(self, member: Member, crop: Crop) -> tuple[MemberBytes, Stretch | None]:
        end = SeekPoint(frame=member.num_frames, byte=member.flac_size)
        points = (*self._index.seek_points(member.sample), end)
        first = SeekPoint(frame=0, byte=0)
        low = next((p for p in reversed(points) if p.frame <= crop.start), first)
        high = next((p for p in points if p.frame >= crop.start + crop.num_frames), end)
        if self._verify == "always" or high.byte - low.byte >= _MOST * member.flac_size:
            data = self._whole(member)
            return data, flac_window.whole_stretch(data)
        with self._counting:
            self.num_in_part += 1
        part = self._read(member.shard, member.flac_offset + low.byte, high.byte - low.byte)
        data = FetchedBytes(part, low.byte, member.flac_size)
        return data, flac_window.stretch(data, low, high, member.num_frames)

    def _whole(self, member: Member) -> FetchedBytes:
        data = self._read(member.shard, member.flac_offset, member.flac_size)
        if self._must_check(None, member, "audio"):
            self._check(hashlib.sha256(data).hexdigest(), member, "audio", None)
        return FetchedBytes(data, 0, member.flac_size)

    def _read(self, shard: str, offset: int, size: int) -> bytes:
        if self.is_local:
            handle = self._handle(shard)  # held: two threads may open a shard at once, and one is not kept
            data = os.pread(handle.number, size, offset)
        else:
            data = self._storage.read_range(f"{layout.SHARD_FOLDER}/{shard}", offset, size)
        if len(data) != size:
            raise self._ends(shard, offset + size)
        return data

    def _hash(self, handle: ShardHandle, member: Member) -> str:
        """sha256 (hex) of a member's audio, read in blocks into one buffer a thread."""
        buffer = self._buffers.__dict__.setdefault("block", memoryview(bytearray(_BLOCK)))
        sha256 = hashlib.sha256()
        for at in range(0, member.flac_size, _BLOCK):
            wanted = buffer[: min(_BLOCK, member.flac_size - at)]
            if os.preadv(handle.number, [wanted], member.flac_offset + at) != len(wanted):
                raise self._ends(member.shard, member.flac_offset + member.flac_size)
            sha256.update(wanted)
        return sha256.hexdigest()

    def _open(self, shard: str) -> ShardHandle:
        name = f"{layout.SHARD_FOLDER}/{shard}"
        try:
            num_bytes = self._storage.size(name)
            handle = ShardHandle(f"{self._storage.url}/{name}")
        except FileNotFoundError as error:
            raise IntegrityError(self._damaged(shard, "the shard is missing")) from error
        if num_bytes != self._shards[shard].num_bytes:
            what = f"it has {num_bytes} bytes, shards.parquet says {self._shards[shard].num_bytes}"
            raise IntegrityError(self._damaged(shard, what))
        if self._checked:
            handle.marks = self._checked.marks(self._shards[shard], handle.number)
        return handle

    def _must_check(self, handle: ShardHandle | None, member: Member, what: str) -> bool:
        marks, slot = self._slot(handle, member, what)
        return self._verify == "always" or (self._verify == "first" and not marks[slot])

    def _check(self, found: str, member: Member, what: str, handle: ShardHandle | None) -> None:
        wanted = member.sha256 if what == "audio" else member.json_sha256
        if found != wanted:
            raise IntegrityError(self._damaged(member.shard, f"{what} of {member.key} is damaged"))
        if self._verify == "first":
            marks, slot = self._slot(handle, member, what)
            marks[slot] = 1

    def _slot(self, handle: ShardHandle | None, member: Member, what: str) -> tuple[Marks, int]:
        place = member.index_in_shard if handle else member.sample
        return handle.marks if handle else self._own, 2 * place + (what == "JSON")

    def _ends(self, shard: str, end: int) -> IntegrityError:
        return IntegrityError(self._damaged(shard, f"it ends before byte {end}"))

    def _damaged(self, shard: str, what: str) -> str:
        fix = "restore the shard from a copy, or delete it and run the same ingest again"
        where = f"{self._storage.url}/{layout.SHARD_FOLDER}/{shard}"
        return f"{where}: {what}; {fix} (`sao verify {self._storage.url}` lists all damage)"
