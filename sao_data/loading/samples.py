"""Windows: one place of the order becomes one training sample: read, cropped, flipped, captioned.

Every random choice about a sample comes from (seed, epoch, key), drawn in this order: crop, flip, prompt.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

import numpy as np

from sao_data.errors import Stopped, UsageError
from sao_data.loading.crop import Crop, Floats, Mode, choose
from sao_data.loading.prompts import PromptConfig, draw
from sao_data.loading.sampler import PlannedSample, generator
from sao_data.loading.shard_reader import Index, Member, ShardReader, Verify

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
    verify: Verify = "first"  # check a member's sha256: when this process first reads it, always, never
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
        }
        for name, wanted in least.items():
            if getattr(self, name) < wanted:
                raise UsageError(f"stream.{name}: {getattr(self, name)} is too small; want at least {wanted}")
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
    audio: Floats  # (2, window_frames), a view into the batch's
    prompt: str
    seconds_start: int
    seconds_total: int
    crop_start: int  # frame of the clip at which the window begins
    num_frames: int  # of sound; zeros follow
    is_flipped: bool
    is_padded_inside: (
        bool  # zeros where the recording goes on (only if clips are cut shorter than the window)
    )


class SampleMaker:
    """Makes samples from places of the order; may be used by several threads."""

    def __init__(self, index: Index, reader: ShardReader, config: StreamConfig) -> None:
        self._index = index
        self._reader = reader
        self._config = config

    def make(self, planned: PlannedSample, out_CT: Floats) -> StreamedSample:
        """Read into `out_CT` (zeros so far); a read that fails is tried again, then stops the run."""
        member = self._index.member(planned.sample)
        for attempt in range(self._config.num_retries + 1):
            try:
                return self._make(planned, member, out_CT)
            except OSError as error:
                failure = error
            if attempt < self._config.num_retries:
                log.warning("%s: %s (%s); trying again", self._index.url, failure, member.key)
                time.sleep(self._config.retry_seconds * 2**attempt)
        raise Stopped(
            f"{self._index.url}: cannot read {member.key} in {member.shard} ({failure}); run the same "
            "command again when the storage is back"
        ) from failure

    def _make(self, planned: PlannedSample, member: Member, out_CT: Floats) -> StreamedSample:
        config = self._config
        sample = self._reader.sample(member)
        epoch = planned.position // len(self._index)
        rng = generator("sample", config.seed, epoch, member.key)
        crop = choose(sample, config.window_frames, config.crop, rng)
        self._reader.window(member, crop, out_CT)
        is_flipped = bool(rng.random() < config.flip)
        if is_flipped:
            np.negative(out_CT, out=out_CT)
        prompt = draw(sample, rng, config.prompt)
        return _streamed(planned, member, crop, prompt, is_flipped, out_CT)


def _streamed(
    planned: PlannedSample, member: Member, crop: Crop, prompt: str, is_flipped: bool, audio: Floats
) -> StreamedSample:
    return StreamedSample(
        key=member.key,
        recording_id=member.recording_id,
        shard=member.shard,
        index_in_shard=member.index_in_shard,
        position=planned.position,
        audio=audio,
        prompt=prompt,
        seconds_start=crop.seconds_start,
        seconds_total=crop.seconds_total,
        crop_start=crop.start,
        num_frames=crop.num_frames,
        is_flipped=is_flipped,
        is_padded_inside=crop.is_padded_inside,
    )
