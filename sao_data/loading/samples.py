"""Windows: one place of the order becomes one training sample: read, cropped, flipped, captioned.

Every random choice about a sample comes from (seed, epoch, key), or (seed, epoch, key, chunk) where there are
chunks, drawn in this order: crop (again for each silent window, if those are redrawn), flip, prompt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from sao_data.config import WHEN_SET
from sao_data.dataset.reader import Dataset
from sao_data.errors import Stopped, UsageError
from sao_data.loading.chunks import ChunkConfig, Chunks
from sao_data.loading.crop import Chunk, Crop, Floats, Mode, choose
from sao_data.loading.index import Index, Member
from sao_data.loading.prompts import PromptConfig, draw
from sao_data.loading.sampler import PlannedSample, generator
from sao_data.loading.shard_reader import ShardReader, Verify
from sao_data.records import NUM_CHANNELS, Sample

Window = npt.NDArray[np.float32] | npt.NDArray[np.float16]
_SILENT = 1e-3  # -60 dBFS, where stable-audio-tools takes another file instead

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig:
    """What is drawn from a dataset, and how it is read."""

    series: tuple[str, ...] = ("train", "train-sampling-plus")
    window_frames: int = 2_097_152  # 47.55 s, the DiT's window (paper 2.3); the VAE's is 65,536
    crop: Mode = "random"
    flip: float = 0.5  # probability of turning the polarity over (stable-audio-tools' PhaseFlipper)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    seed: int = 0
    shards_per_group: int = 16  # samples are shuffled within so many shards; more: better mixed, more seeks
    chunks: ChunkConfig = field(default_factory=ChunkConfig, metadata=WHEN_SET)
    redraw_silent: int = field(
        default=0, metadata=WHEN_SET
    )  # times at most; the DiT learns silence (paper 2.3)
    verify: Verify = "first"  # check a member's sha256: when this machine first reads it, always, never
    num_threads: int = 2  # decode ahead; 0: decode when asked
    num_prefetch: int = 2  # batches decoded ahead (a DiT window is 17 MB)
    num_retries: int = 4  # of a read that fails (OSError), before the run stops to be run again
    retry_seconds: float = 1.0  # first pause; each further one is twice as long

    def __post_init__(self) -> None:
        least = {
            "window_frames": 1,
            "shards_per_group": 1,
            "num_threads": 0,
            "num_prefetch": 1,
            "num_retries": 0,
            "redraw_silent": 0,
        }
        for name, wanted in least.items():
            if getattr(self, name) < wanted:
                raise UsageError(f"stream.{name}: {getattr(self, name)} is too small; want at least {wanted}")
        if self.redraw_silent and self.crop == "start":
            raise UsageError('stream.redraw_silent: has no effect with crop = "start"; set it to 0')
        if self.chunks and self.window_frames > self.chunks.num_frames:
            raise UsageError(
                f"stream.window_frames: {self.window_frames:,} do not fit into chunks of "
                f"{self.chunks.seconds} s ({self.chunks.num_frames:,} frames); raise chunks.seconds, or "
                "leave chunks out"
            )
        if not 0.0 <= self.flip <= 1.0:
            raise UsageError(f"stream.flip: {self.flip} is no probability; want 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedSample:
    """One window of one clip, ready to train on. Frames are at 44.1 kHz."""

    key: str
    recording_id: str
    shard: str
    index_in_shard: int
    position: int
    audio: Window  # (2, window_frames), a view into the batch's; of latents: (latents, 2, channels), float16
    prompt: str
    seconds_start: int
    seconds_total: int
    crop_start: int  # frame of the clip at which the window begins
    num_frames: int  # of sound; zeros follow
    is_flipped: bool
    chunk: int  # of the clip's chunks; 0 where there are none
    num_redrawn: int  # silent windows that were drawn before this one
    is_silent: bool  # below -60 dBFS all the same (only looked at if silent windows are redrawn)
    is_padded_inside: (
        bool  # zeros where the recording goes on (only if clips are cut shorter than the window)
    )
    peak: float | None = None  # of the whole clip, 0 to 1, where the window itself is no audio


class AudioWindows:
    """Windows of a dataset's audio."""

    def __init__(self, dataset: Dataset, config: StreamConfig) -> None:
        self.index = Index(dataset, config.series)
        self.chunks = Chunks(dataset, self.index, config.chunks, config.seed) if config.chunks else None
        self._shape = (NUM_CHANNELS, config.window_frames)
        self._reader = ShardReader(dataset, self.index, config.verify)
        self._maker = SampleMaker(self.index, self._reader, config, self.chunks)

    @property
    def num_in_part(self) -> int:
        return self._reader.num_in_part

    def empty(self, num: int) -> Window:
        return np.zeros((num, *self._shape), np.float32)

    def make(self, planned: PlannedSample, out: Window) -> StreamedSample:
        assert out.dtype == np.float32, out.dtype
        return self._maker.make(planned, cast("Floats", out))

    def close(self) -> None:
        self._reader.close()


class SampleMaker:
    """Makes samples from places of the order; may be used by several threads."""

    def __init__(
        self, index: Index, reader: ShardReader, config: StreamConfig, chunks: Chunks | None
    ) -> None:
        self._index = index
        self._chunks = chunks
        self._reader = reader
        self._config = config

    def make(self, planned: PlannedSample, out_CT: Floats) -> StreamedSample:
        """Read into `out_CT` (zeros so far); a read that fails is tried again, then stops the run."""
        member = self._index.member(planned.sample)
        what = f"{member.key} in {member.shard}"
        return retried(lambda: self._make(planned, member, out_CT), self._index.url, what, self._config)

    def _make(self, planned: PlannedSample, member: Member, out_CT: Floats) -> StreamedSample:
        config = self._config
        sample = self._reader.sample(member)
        chunk = self._chunks.place(planned.sample, planned.chunk) if self._chunks else None
        chunk_name = () if chunk is None else (planned.chunk,)
        rng = generator("sample", config.seed, planned.epoch, member.key, *chunk_name)
        crop, num_redrawn = self._draw(sample, member, rng, chunk, out_CT)
        is_flipped = bool(rng.random() < config.flip)
        if is_flipped:
            np.negative(out_CT, out=out_CT)
        return StreamedSample(
            key=member.key,
            recording_id=member.recording_id,
            shard=member.shard,
            index_in_shard=member.index_in_shard,
            position=planned.position,
            audio=out_CT,
            prompt=draw(sample, rng, config.prompt),
            seconds_start=crop.seconds_start,
            seconds_total=crop.seconds_total,
            crop_start=crop.start,
            num_frames=crop.num_frames,
            is_flipped=is_flipped,
            chunk=planned.chunk,
            num_redrawn=num_redrawn,
            is_silent=config.redraw_silent > 0 and _is_silent(out_CT),
            is_padded_inside=crop.is_padded_inside,
        )

    def _draw(
        self, sample: Sample, member: Member, rng: np.random.Generator, chunk: Chunk | None, out_CT: Floats
    ) -> tuple[Crop, int]:
        """Read a window, another while it is silent; it, and how many were passed over."""
        config = self._config
        for num_redrawn in range(config.redraw_silent + 1):
            crop = choose(sample, config.window_frames, config.crop, rng, chunk)
            self._reader.window(member, crop, out_CT)
            if num_redrawn == config.redraw_silent or crop.is_all or not _is_silent(out_CT):
                break
        return crop, num_redrawn


def retried(make: Callable[[], StreamedSample], url: str, what: str, config: StreamConfig) -> StreamedSample:
    """A sample; a read that fails is tried again, then stops the run."""
    for attempt in range(config.num_retries + 1):
        try:
            return make()
        except OSError as error:
            failure = error
        if attempt < config.num_retries:
            log.warning("%s: %s (%s); trying again", url, failure, what)
            time.sleep(config.retry_seconds * 2**attempt)
    raise Stopped(
        f"{url}: cannot read {what} ({failure}); run the same command again when the storage is back"
    ) from failure


def _is_silent(sound_CT: Floats) -> bool:
    return bool(sound_CT.max() < _SILENT and sound_CT.min() > -_SILENT)
