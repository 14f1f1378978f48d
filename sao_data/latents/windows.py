"""Windows of latents: cropped at whole latents, padded by the posterior of silence, captioned and timed.

The random choices are those of training from audio, drawn in the same order (loading/samples.py), so prompts
are the same. A crop begins at the whole latent before the frame that is drawn. Polarity is not turned over:
what the codec would make of that is not stored.

A member is read where it lies, by one copy from the kernel's cache into the batch (`pread`: a memory map
costs the same, and ends the process where a disk fails). It is hashed whole the first time that this machine
reads it (loading/checked_members.py); from an object store, the first time that this process does.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import threading
from typing import cast

import numpy as np

from sao_data.audio.segments import seconds_start, seconds_total
from sao_data.errors import IntegrityError, UsageError
from sao_data.latents import members
from sao_data.latents.facts import LatentsFacts
from sao_data.latents.index import LatentIndex, LatentMember
from sao_data.loading.checked_members import CheckedMembers
from sao_data.loading.crop import draw_start
from sao_data.loading.member_bytes import ShardHandle
from sao_data.loading.prompts import Words, draw_of, words_of
from sao_data.loading.sampler import PlannedSample, generator
from sao_data.loading.samples import StreamConfig, StreamedSample, Window, retried
from sao_data.storage import layout, shards
from sao_data.storage.backend import LocalStorage, Storage

log = logging.getLogger(__name__)

_MOST_OPEN = 128  # shards held open at a time
_MOST_WORDS = 1 << 15  # samples whose cleaned words are kept: about a kilobyte each
_BLOCK = 1 << 18  # bytes hashed at a time: they stay in the cache between the kernel's copy and the hash
_FIX = "delete it and run the same encode again, which makes it anew"


class LatentWindows:
    """Makes windows of latents; may be used by several threads."""

    def __init__(
        self, storage: Storage, facts: LatentsFacts, silence: members.Halves, config: StreamConfig
    ) -> None:
        _check(facts, config, storage.url)
        self.index = LatentIndex(storage, facts, config.series)
        self.chunks = None
        self.num_in_part = 0  # what came in part was hashed when it first came
        self._encoding, self._silence, self._config = facts.encoding, silence, config
        self._bytes = members.num_bytes(1, facts.encoding.latent_dim)
        self._files = _Members(storage, facts.root_digest, self.index, config)
        self._words = functools.lru_cache(maxsize=_MOST_WORDS)(self._read_words)  # per maker
        if config.flip:
            log.info("%s: latents are as recorded; stream.flip turns no polarity over", storage.url)

    def empty(self, num: int) -> Window:
        """(num, latents, 2, channels), not filled."""
        return np.empty((num, *self._silence.shape), np.float16)

    def make(self, planned: PlannedSample, out: Window) -> StreamedSample:
        """Read into `out`; a read that fails is tried again, then stops the run."""
        member = self.index.member(planned.sample)
        what = f"{member.key} in {self.index.tars[member.shard].name}"
        halves = cast("members.Halves", out)
        return retried(lambda: self._make(planned, member, halves), self.index.url, what, self._config)

    def close(self) -> None:
        self._files.close()

    def _make(self, planned: PlannedSample, member: LatentMember, out: members.Halves) -> StreamedSample:
        config, hop = self._config, self._encoding.hop
        window_frames = self._encoding.window_latents * hop
        rng = generator("sample", config.seed, planned.epoch, member.key)
        drawn = draw_start(max(0, member.num_frames - window_frames), config.crop, rng)
        first = drawn // hop
        rng.random()  # of the polarity
        self._read(member, first, out)
        shard = self.index.shards[member.shard]
        start = member.start_frame + first * hop
        is_last = member.start_frame + member.num_frames >= member.recording_frames
        return StreamedSample(
            key=member.key,
            recording_id=member.recording_id,
            shard=shard.name,
            index_in_shard=member.place,
            position=planned.position,
            audio=out,
            prompt=draw_of(self._words(planned.sample), rng, config.prompt),
            seconds_start=seconds_start(start),
            seconds_total=seconds_total(member.recording_frames),
            crop_start=first * hop,
            num_frames=min(window_frames, member.num_frames),
            is_flipped=False,
            chunk=0,
            num_redrawn=0,
            is_silent=False,
            is_padded_inside=member.num_frames < window_frames and not is_last,
            peak=member.peak,
        )

    def _read(self, member: LatentMember, first: int, out: members.Halves) -> None:
        """Latents from `first` on, and behind the last stored one those of silence at the same places."""
        num = min(len(out), member.num_latents - first)
        self._files.read_into(member, first * self._bytes, out[:num])
        out[num:] = self._silence[num:]

    def _read_words(self, sample: int) -> Words:
        member = self.index.member(sample)
        where = f"{self.index.url}: {member.key}.json"
        return words_of(shards.parse_sample(self._files.text(member), where), self._config.prompt)


class _Members:
    """Bytes of the members, each hashed whole before anything of it is used."""

    def __init__(self, storage: Storage, root_digest: str, index: LatentIndex, config: StreamConfig) -> None:
        self._storage, self._index, self._verify = storage, index, config.verify
        self._is_local = isinstance(storage, LocalStorage)
        self._checked = CheckedMembers(root_digest) if self._is_local and config.verify == "first" else None
        far = () if self._is_local else index.tars
        self._far = [bytearray(2 * tar.num_samples) for tar in far]  # what this process has hashed
        self._buffers = threading.local()
        self._handle = functools.lru_cache(maxsize=_MOST_OPEN)(self._open)  # per reader, not per class

    def read_into(self, member: LatentMember, at: int, out: members.Halves) -> None:
        """Bytes of the latents from `at` on."""
        self._check(member, "latents")
        view, start = out.reshape(-1).view(np.uint8).data, member.first + at
        if not self._is_local:
            view[:] = self._range(member, start, len(view))
        elif os.preadv(self._handle(member.shard).number, [view], start) != len(view):
            raise self._damaged(member, f"it ends within {member.key}")

    def text(self, member: LatentMember) -> bytes:
        """The JSON."""
        self._check(member, "JSON")
        return self._range(member, member.json_offset, member.json_size)

    def close(self) -> None:
        self._handle.cache_clear()

    def _check(self, member: LatentMember, what: str) -> None:
        handle = self._handle(member.shard) if self._is_local else None
        marks, slot = handle.marks if handle else self._far[member.shard], 2 * member.place + (what == "JSON")
        if self._verify == "never" or (self._verify == "first" and marks[slot]):
            return
        is_json = what == "JSON"
        offset, size, wanted = (
            (member.json_offset, member.json_size, member.json_sha256)
            if is_json
            else (member.latents_offset, member.latents_size, member.sha256)
        )
        if self._hash(member, offset, size) != wanted:
            raise self._damaged(member, f"{what} of {member.key} is damaged")
        if self._verify == "first":
            marks[slot] = 1

    def _hash(self, member: LatentMember, offset: int, size: int) -> str:
        """sha256 (hex) of a member, from a disk read in blocks into one buffer a thread."""
        if not self._is_local:
            return hashlib.sha256(self._range(member, offset, size)).hexdigest()
        buffer = self._buffers.__dict__.setdefault("block", memoryview(bytearray(_BLOCK)))
        sha256, number = hashlib.sha256(), self._handle(member.shard).number
        for at in range(0, size, _BLOCK):
            block = buffer[: min(_BLOCK, size - at)]
            if os.preadv(number, [block], offset + at) != len(block):
                raise self._damaged(member, f"it ends before byte {offset + size}")
            sha256.update(block)
        return sha256.hexdigest()

    def _range(self, member: LatentMember, offset: int, size: int) -> bytes:
        if self._is_local:
            data = os.pread(self._handle(member.shard).number, size, offset)
        else:
            data = self._storage.read_range(self._name(member.shard), offset, size)
        if len(data) != size:
            raise self._damaged(member, f"it ends before byte {offset + size}")
        return data

    def _open(self, number: int) -> ShardHandle:
        tar, name = self._index.tars[number], self._name(number)
        try:
            num_bytes = self._storage.size(name)
            handle = ShardHandle(f"{self._storage.url}/{name}")
        except FileNotFoundError as error:
            raise IntegrityError(self._said(number, "the shard is missing")) from error
        if num_bytes != tar.num_bytes:
            what = f"it has {num_bytes} bytes, latents.json says {tar.num_bytes}"
            raise IntegrityError(self._said(number, what))
        if self._checked:
            handle.marks = self._checked.marks(tar, handle.number)
        else:
            handle.marks = bytearray(2 * tar.num_samples)
        return handle

    def _name(self, number: int) -> str:
        return f"{layout.SHARD_FOLDER}/{self._index.tars[number].name}"

    def _damaged(self, member: LatentMember, what: str) -> IntegrityError:
        return IntegrityError(self._said(member.shard, what))

    def _said(self, number: int, what: str) -> str:
        url = self._storage.url
        return f"{url}/{self._name(number)}: {what}; {_FIX} (`sao verify {url}` lists all damage)"


def _check(facts: LatentsFacts, config: StreamConfig, url: str) -> None:
    """UsageError for what latents cannot give."""
    encoding = facts.encoding
    window = encoding.window_latents * encoding.hop
    if config.window_frames != window:
        asked = f"{config.window_frames / encoding.hop:g} latents of {encoding.hop}"
        raise UsageError(
            f"{url}: encoded for windows of {encoding.window_latents} latents, not of {asked}; encode again "
            f"with --set window_latents={max(1, config.window_frames // encoding.hop)} into another --out"
        )
    for name, is_asked in (("chunks.on", bool(config.chunks)), ("redraw_silent", config.redraw_silent > 0)):
        if is_asked:
            raise UsageError(f"stream.{name}: has no effect on latents; leave it, or train from audio")
