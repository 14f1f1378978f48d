"""Stream: shards to training samples, in an order that is the same on any number of ranks and after any
resume.

    with Stream(dataset, config, rank=0, world_size=8, batch_size=256) as stream:   # batch_size: all ranks
        for batch in stream:                       # endless; this rank's 32 samples
            ...
            state = batch.state                    # store it: Stream(..., state=state) goes on behind it

Order, crops, flips and prompts follow from the dataset's sample list, the config and the position alone (see
sampler.py). Do not wrap a Stream in a DataLoader or `accelerator.prepare` it: it has split itself.

Take-downs: recordings named in takedowns.jsonl when a Stream is made are not drawn any more. Their places
are passed over, batches are filled with what follows, and the rest keeps its order; the state remembers from
which position on, so that what a checkpoint has seen stays true. The file is not read again meanwhile: ranks
that read it at different moments would differ. Read it on one rank (`read_takedowns`), tell the others,
and make a new Stream from the state with `takedowns=`.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import cast

from sao_data.config import digest
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.loading.sampler import Order, PlannedSample
from sao_data.loading.samples import AudioWindows, StreamConfig, StreamedSample, Window
from sao_data.loading.source import EncodedSource, TrainingSource, WindowMaker
from sao_data.loading.training_data import SeenShards, seen_shards
from sao_data.records import SAMPLE_RATE
from sao_data.rights.takedowns import read_tombstones
from sao_data.storage.backend import Storage

__all__ = [
    "Stream",
    "StreamBatch",
    "StreamConfig",
    "StreamState",
    "StreamedSample",
    "open_stream",
    "read_takedowns",
]

log = logging.getLogger(__name__)

_PADDED = "%s: clips end within a window of %.2f s, their recordings do not; raise cut.max_seconds"
_SILENT = "%s: silent windows are drawn again, up to %d times, and counted; the first is of %s"
_IN_PART = (
    "%s: windows are read from parts of members and checked by the CRC-16 of their frames, not by sha256; "
    'verify = "always" reads and hashes whole members'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """All that a resume needs; `config.canonical` writes it as JSON, `config.parse` reads it back."""

    position: int = 0  # places of the endless order behind us, on all ranks together
    order: str = ""  # digest of sample list, seed and grouping: what the position counts in; '' = any
    skips: tuple[tuple[str, int], ...] = ()  # (recording id, position from which it was not drawn any more)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBatch:
    """This rank's part of a global batch."""

    samples: tuple[StreamedSample, ...]
    audio: Window  # (batch_size / world_size, 2, window_frames); of latents: (…, latents, 2, channels)
    state: StreamState  # behind this batch, the same on all ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A batch being decoded."""

    waits: tuple[Callable[[], StreamedSample], ...]
    audio: Window
    end: int  # position behind it


class Stream:
    """Endless batches of one rank; closes its threads and files when left."""

    def __init__(
        self,
        dataset: Dataset | EncodedSource,
        config: StreamConfig,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        state: StreamState | None = None,
        takedowns: Iterable[str] | None = None,  # None: those in the dataset's takedowns.jsonl
    ) -> None:
        _check_split(batch_size, rank, world_size)
        self.config = config
        self._windows: WindowMaker = (
            AudioWindows(dataset, config) if isinstance(dataset, Dataset) else dataset.windows(config)
        )
        self._index = self._windows.index
        chunks = self._chunks = self._windows.chunks
        self._order = Order(
            shard_sizes=self._index.shard_sizes,
            seed=config.seed,
            shards_per_group=config.shards_per_group,
            num_chunks=chunks.counts if chunks else None,
        )
        taken = taken_down(dataset) if takedowns is None else takedowns
        self.state = self._first_state(state or StreamState(), taken)
        skipped = frozenset(self._skipped_from(self.state))
        self.num_samples = self._order.num_live(skipped)  # windows in an epoch, on all ranks
        self._check_enough(batch_size)
        self._batches = self._order.batches(batch_size, self.state.position, skipped)
        self._mine = slice(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)
        self._pending: deque[_Pending] = deque()
        self._pool = ThreadPoolExecutor(config.num_threads, "sao-stream") if config.num_threads else None
        self._is_closed = False
        self.num_padded_inside = 0  # samples yielded with zeros where their recording goes on
        self.num_in_part = (
            0  # windows read, ahead too, from members that were not read whole (shard_reader.py)
        )
        self.num_redrawn = 0  # silent windows passed over, of samples yielded
        self.num_silent = 0  # samples yielded that are silent all the same
        self._log(len(skipped))

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> StreamBatch:
        """The next batch; what goes wrong in a thread is raised here, at its batch."""
        assert not self._is_closed, "closed, or a batch failed: make a new Stream from the state"
        self._fill(1)
        pending = self._pending.popleft()
        if self._pool:
            self._fill(self.config.num_prefetch)
        self._is_closed = True  # if a wait raises: going on would pass over a batch
        samples = tuple(wait() for wait in pending.waits)
        self._is_closed = False
        self._count(samples)
        skips = self.state.skips
        self.state = StreamState(position=pending.end, order=self.state.order, skips=skips)
        return StreamBatch(samples=samples, audio=pending.audio, state=self.state)

    def seen(self, state: StreamState | None = None) -> SeenShards:
        """What all ranks together have seen up to a state (default: behind the last batch)."""
        until = state or self.state
        draws = self._order.draws(until.position, self._skipped_from(until))
        return seen_shards(self._index.shards, draws)

    def close(self) -> None:
        """Stop decoding ahead; close threads and shards."""
        self._is_closed = True
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()
        self._windows.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_state(self, state: StreamState, taken: Iterable[str]) -> StreamState:
        """The given state in this dataset's order, with newly taken down recordings skipped from here on."""
        parts = (self._index.digest, self.config.seed, self.config.shards_per_group)
        chunks = self._chunks
        order = digest(*parts, self.config.chunks, chunks.digest) if chunks else digest(*parts)
        if state.order not in ("", order):
            raise UsageError(
                f"{self._index.url}: the state was made in another order: other samples, series, seed, "
                "chunks or shards_per_group; give the dataset and settings it was made with, or start "
                "without it"
            )
        skips = dict(state.skips)
        for recording_id in self._index.of_recordings(set(taken) - set(skips)):
            skips[recording_id] = state.position
        return StreamState(position=state.position, order=order, skips=tuple(sorted(skips.items())))

    def _skipped_from(self, state: StreamState) -> dict[int, int]:
        """Sample index to the position from which it is skipped."""
        since = dict(state.skips)
        found = self._index.of_recordings(since)
        return {sample: since[recording_id] for recording_id, samples in found.items() for sample in samples}

    def _check_enough(self, batch_size: int) -> None:
        if (num := self.num_samples) < batch_size:
            of_what = f"{num} chunks of" if self._chunks else str(num)
            raise UsageError(
                f"{self._index.url}: {of_what} samples cannot fill a global batch of {batch_size}; lower the "
                f"batch size to at most {num}, or add recordings or series"
            )

    def _log(self, num_skipped: int) -> None:
        num, shards = len(self._index), len(self._index.shards)
        log.info("stream: %d samples in %d shards, %d taken down", num, shards, num_skipped)
        if self._chunks:
            chunks, hifi = self._order.num_places, self._chunks.num_hifi
            log.info("stream: %d chunks; %d recordings count as high fidelity", chunks, hifi)

    def _fill(self, num: int) -> None:
        """Have `num` batches pending."""
        while len(self._pending) < num:
            planned = next(self._batches)
            mine = planned[self._mine]
            audio = self._windows.empty(len(mine))
            waits = tuple(self._start(place, out) for place, out in zip(mine, audio, strict=True))
            self._pending.append(_Pending(waits=waits, audio=audio, end=planned[-1].position + 1))

    def _start(self, planned: PlannedSample, out: Window) -> Callable[[], StreamedSample]:
        if self._pool is None:
            return functools.partial(self._windows.make, planned, out)
        return self._pool.submit(self._windows.make, planned, out).result

    def _count(self, samples: tuple[StreamedSample, ...]) -> None:
        """Count what is not as it should be, and say so the first time."""
        url, config = self._index.url, self.config
        padded = sum(sample.is_padded_inside for sample in samples)
        redrawn = sum(sample.num_redrawn for sample in samples)
        silent = sum(sample.is_silent for sample in samples)
        if padded and not self.num_padded_inside:
            log.warning(_PADDED, url, config.window_frames / SAMPLE_RATE)
        if redrawn + silent and not self.num_redrawn + self.num_silent:
            key = next(sample.key for sample in samples if sample.num_redrawn or sample.is_silent)
            log.info(_SILENT, url, config.redraw_silent, key)
        if self._windows.num_in_part and not self.num_in_part:
            log.info(_IN_PART, url)
        self.num_padded_inside += padded
        self.num_redrawn += redrawn
        self.num_silent += silent
        self.num_in_part = self._windows.num_in_part


def open_stream(
    source: TrainingSource,
    config: StreamConfig,
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    state: StreamState | None = None,
) -> Stream:
    """A stream of whatever a training learns from."""
    data = source if isinstance(source, Dataset) else cast("EncodedSource", source)
    return Stream(data, config, batch_size=batch_size, rank=rank, world_size=world_size, state=state)


def taken_down(source: Dataset | EncodedSource) -> frozenset[str]:
    """Recordings that are not to be drawn."""
    return read_takedowns(source.storage) if isinstance(source, Dataset) else source.taken_down()


def read_takedowns(storage: Storage) -> frozenset[str]:
    """Recording ids in takedowns.jsonl: one JSON object a line, each with an `id`."""
    return read_tombstones(storage).ids


def _check_split(batch_size: int, rank: int, world_size: int) -> None:
    assert 0 <= rank < world_size, (rank, world_size)
    if batch_size < 1 or batch_size % world_size:
        down, up = batch_size // world_size * world_size, (batch_size // world_size + 1) * world_size
        fix = f"{down} or {up}" if down > 0 else str(up)
        fits = [num for num in range(world_size - 1, 1, -1) if batch_size > 0 and batch_size % num == 0]
        ranks = f", or {fits[0]} ranks, which divide it" if fits else ""
        raise UsageError(
            f"batch_size {batch_size} (of all ranks) does not divide by {world_size} ranks; want {fix}{ranks}"
        )
