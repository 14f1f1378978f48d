"""The codec's training set: a few fixed chunks of each recording, so that long ones do not rule it (3.1).

The paper takes 5 s chunks: (a) up to three random ones of every Freesound recording, (b) further ones of a
high-fidelity subset, all of FMA and what Freesound has of stereo recordings at 48 kHz "with verified
energy in the high frequencies"; high-fidelity Freesound is thus sampled twice. It does not say how many
there are in (b); "twice" is read as: as many again.

High fidelity is told from the source's name, or from what was measured of the original file: its rate (at
least 48 kHz), two channels that differ, and sound above `hifi_min_bandwidth`. So what someone else resampled
upwards or doubled to two equal channels does not count, nor do previews, which are MP3 at 44.1 kHz. A dataset
of an earlier version has no measures: there the catalogue's list of changes tells the rate and whether mono
was duplicated, nothing tells the rest, and the log says so.

Which chunks there are follows from the seed, the recording's id and the lengths of its clips; epochs,
ranks and the other recordings do not enter. Chunks lie within clips and, within (a) and within (b), do not
overlap; (a) and (b) do not overlap either where the recording has room for both. Of a recording shorter
than a chunk the only one is the recording itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sao_data.config import WHEN_SET
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.loading.crop import Chunk
from sao_data.loading.index import Index
from sao_data.loading.sampler import Indices, generator
from sao_data.measures import MeasuredClip
from sao_data.records import SAMPLE_RATE, CatalogueRow
from sao_data.storage import layout, tables

_RESAMPLED = r"^Resampled from (?P<rate>\d+) Hz to \d+ Hz\.$"  # as audio/changes.py says it
_MONO = "Mono duplicated to stereo."
Flags = npt.NDArray[np.bool_]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkConfig:
    """How many chunks are taken of a recording, and which recordings count as high fidelity."""

    on: bool = False  # false: windows are drawn from whole clips
    seconds: int = 5  # paper 3.1
    per_recording: int = 3  # at most (paper 3.1)
    hifi_extra: int = 3  # at most so many more of a high-fidelity recording ("sampled twice")
    hifi_sources: tuple[str, ...] = ("fma",)  # all high fidelity; only `hifi_extra` chunks are taken of them
    hifi_min_rate: int = 48_000  # Hz of the original, in stereo, to be high fidelity
    # Hz up to where it must reach as well; ours: files once at 32 kHz and MP3 of 128 kbit/s end at 16
    hifi_min_bandwidth: int = field(default=18_000, metadata=WHEN_SET)

    def __post_init__(self) -> None:
        if not self.on and any(getattr(self, each.name) != each.default for each in fields(self)):
            raise UsageError("stream.chunks: settings have no effect while on = false; set on = true")
        least_of = {"seconds": 1, "per_recording": 1, "hifi_extra": 0, "hifi_min_rate": 1}
        for name, least in (least_of | {"hifi_min_bandwidth": 0}).items():
            if (value := getattr(self, name)) < least:
                raise UsageError(f"stream.chunks.{name}: {value} is too small; want at least {least}")
        if self.hifi_sources and not self.hifi_extra:
            raise UsageError(
                f"stream.chunks.hifi_extra: 0 leaves all of {', '.join(self.hifi_sources)} out; want at "
                "least 1, or hifi_sources = []"
            )

    def __bool__(self) -> bool:
        return self.on

    @property
    def num_frames(self) -> int:
        """Length of a chunk in frames."""
        return self.seconds * SAMPLE_RATE


class Chunks:
    """The chunks of every sample of an index."""

    def __init__(self, dataset: Dataset, index: Index, config: ChunkConfig, seed: int) -> None:
        self._index = index
        self._config = config
        self._seed = seed
        ids = index.recording_ids.dictionary_encode()
        self._recording = ids.indices.to_numpy().astype(np.int64)  # number of each sample's recording
        self._by_recording = np.argsort(self._recording, kind="stable")
        self._ends = np.cumsum(np.bincount(self._recording))
        is_source = pc.is_in(
            pc.list_element(pc.split_pattern(ids.dictionary, ":"), 0), _texts(config.hifi_sources)
        )
        from_source: Flags = is_source.to_numpy(zero_copy_only=False)
        is_hifi = from_source | _hifi(dataset, ids.dictionary, config)
        self._wanted = np.stack(  # (recordings, 2): chunks of (a) and of (b)
            [np.where(from_source, 0, config.per_recording), np.where(is_hifi, config.hifi_extra, 0)], axis=1
        )
        self.num_hifi = int(is_hifi.sum())  # recordings
        self.counts = self._count()
        pa.default_memory_pool().release_unused()  # the catalogue's columns

    @property
    def digest(self) -> str:
        """sha256 over how many chunks each sample has: what positions count in."""
        return hashlib.sha256(self.counts.astype("<i8").tobytes()).hexdigest()

    def place(self, sample: int, chunk: int) -> Chunk:
        """Where a sample's n-th chunk lies."""
        recording = int(self._recording[sample])
        clip = int(np.flatnonzero(self._clips(recording) == sample)[0])
        starts = self._layout(recording)[clip]
        num_frames = min(self._config.num_frames, int(self._index.num_frames[sample]))
        return Chunk(start=starts[chunk], num_frames=num_frames)

    def _count(self) -> Indices:
        """Chunks of each sample; lengths are enough for it, but where a recording has several clips."""
        room = np.maximum(1, self._index.num_frames // self._config.num_frames)
        counts = np.minimum(self._wanted[self._recording], room[:, None]).sum(axis=1)
        for recording in np.flatnonzero(np.bincount(self._recording) > 1).tolist():
            counts[self._clips(recording)] = [len(starts) for starts in self._layout(recording)]
        found: Indices = counts.astype(np.int64)
        return found

    def _layout(self, recording: int) -> list[list[int]]:
        clips = self._clips(recording)
        rng = generator("chunks", self._seed, self._index.recording_ids[int(clips[0])].as_py())
        lengths = self._index.num_frames[clips].tolist()
        return lay_out(lengths, self._config.num_frames, self._wanted[recording].tolist(), rng.bit_generator)

    def _clips(self, recording: int) -> Indices:
        """Samples of a recording."""
        end = int(self._ends[recording])
        first = int(self._ends[recording - 1]) if recording else 0
        return self._by_recording[first:end]


def lay_out(
    lengths: Sequence[int], num_frames: int, wanted: Sequence[int], bits: np.random.BitGenerator
) -> list[list[int]]:
    """First frames of the chunks in each of a recording's clips, at most `wanted` of each part."""
    rooms = [length // num_frames for length in lengths]
    rooms = rooms if any(rooms) else [1] * len(lengths)
    nums = [min(num, sum(rooms)) for num in wanted]
    parts = [sum(nums)] if sum(nums) <= sum(rooms) else nums
    starts: list[list[int]] = [[] for _ in lengths]
    for num in parts:
        ends = np.cumsum(rooms)
        slots = np.argsort(bits.random_raw(int(ends[-1])), kind="stable")[:num]
        held = np.bincount(np.searchsorted(ends, slots, side="right"), minlength=len(lengths))
        for clip, count in enumerate(held.tolist()):
            spare = max(0, lengths[clip] - count * num_frames)
            gaps = sorted(int(word) % (spare + 1) for word in bits.random_raw(count))
            starts[clip] += [gap + n * num_frames for n, gap in enumerate(gaps)]
    return starts


def _hifi(dataset: Dataset, ids: pa.StringArray, config: ChunkConfig) -> Flags:
    """Which recordings are high fidelity by their own sound, or by their rate where that was not measured."""
    if dataset.has_measures:
        return _measured_hifi(dataset, ids, config)
    log.warning(
        "%s: made before measures were published: high fidelity is told by rate and channels, not by "
        "bandwidth; run its ingest again",
        dataset.storage.url,
    )
    return _stated_hifi(dataset, ids, config.hifi_min_rate)


def _measured_hifi(dataset: Dataset, ids: pa.StringArray, config: ChunkConfig) -> Flags:
    names = ["recording_id", "source_rate", "source_channels", "bandwidth_hz", "is_dual_mono"]
    table = tables.columns(dataset.storage, layout.MEASURES, MeasuredClip, names)
    is_wide = pc.greater_equal(pc.fill_null(table["bandwidth_hz"], 0), config.hifi_min_bandwidth)
    is_high = pc.greater_equal(table["source_rate"], config.hifi_min_rate)
    is_stereo = pc.and_(pc.greater_equal(table["source_channels"], 2), pc.invert(table["is_dual_mono"]))
    hifi = table["recording_id"].filter(pc.and_(pc.and_(is_wide, is_high), is_stereo))
    found: Flags = pc.is_in(ids, hifi.combine_chunks()).to_numpy(zero_copy_only=False)
    return found


def _stated_hifi(dataset: Dataset, ids: pa.StringArray, min_rate: int) -> Flags:
    """Which recordings the catalogue says were stereo at a high rate."""
    table = tables.columns(dataset.storage, layout.CATALOGUE, CatalogueRow, ["id", "changes"])
    table = table.filter(pc.is_in(table["id"], ids)).combine_chunks()
    changes = pa.array(table["changes"].combine_chunks())
    said, row = pc.list_flatten(changes), pc.list_parent_indices(changes).to_numpy()
    rates = pc.struct_field(pc.extract_regex(said, _RESAMPLED), "rate").cast(pa.int64()).fill_null(0)
    is_high = np.zeros(len(table), np.bool_)
    is_high[row[rates.to_numpy() >= min_rate]] = True
    is_high[row[pc.equal(said, _MONO).to_numpy(zero_copy_only=False)]] = False
    hifi = table["id"].filter(pa.array(is_high))
    found: Flags = pc.is_in(ids, hifi.combine_chunks()).to_numpy(zero_copy_only=False)
    return found


def _texts(items: Sequence[str]) -> pa.StringArray:
    return pa.array(items, pa.string())
