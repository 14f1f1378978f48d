"""Which window of a clip is trained on, and what it says of its place in the recording.

A window lies inside its clip wherever the clip is long enough, so zeros follow only where the recording truly
ends (paper 3.1: the model learns silence after the end). A clip shorter than the window that is not its
recording's last, which needs `cut.max_seconds` below the window, is padded all the same and said to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from sao_data.audio.segments import seconds_start, seconds_total
from sao_data.records import NUM_CHANNELS, Sample

Mode = Literal["random", "start"]
Floats = npt.NDArray[np.float32]


class SeekableFile(Protocol):
    """What soundfile asks of a file."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def readinto(self, buffer: bytearray, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A stretch of a clip, in its frames."""

    start: int
    num_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A window of a clip, in frames at 44.1 kHz, and its timing."""

    start: int  # within the clip
    num_frames: int  # of sound; zeros follow up to the window's length
    is_all: bool  # no other window could be drawn
    is_padded_inside: bool  # zeros stand where the recording goes on
    seconds_start: int
    seconds_total: int


def choose(
    sample: Sample, window_frames: int, mode: Mode, rng: np.random.Generator, chunk: Chunk | None = None
) -> Crop:
    """A window of a clip, or of a chunk of it, at a uniformly random start (one draw in either mode), or at
    the beginning."""
    within = chunk or Chunk(start=0, num_frames=sample.num_frames)
    spare = max(0, within.num_frames - window_frames)
    start = within.start + draw_start(spare, mode, rng)
    is_last = sample.start_frame + sample.num_frames >= sample.recording_frames
    return Crop(
        start=start,
        num_frames=min(window_frames, within.num_frames),
        is_all=spare == 0,
        is_padded_inside=within.num_frames < window_frames and not is_last,
        seconds_start=seconds_start(sample.start_frame + start),
        seconds_total=seconds_total(sample.recording_frames),
    )


def draw_start(spare: int, mode: Mode, rng: np.random.Generator) -> int:
    """First frame of a window that leaves `spare` frames; one draw in either mode."""
    drawn = int(rng.integers(0, spare + 1))
    return drawn if mode == "random" else 0


def decode(flac: SeekableFile, crop: Crop, out_CT: Floats) -> int:
    """Decode only the window into `out_CT` (channels, frames); return how many frames there were."""
    with soundfile.SoundFile(flac, "r") as file:
        if file.channels != NUM_CHANNELS:
            return 0
        file.seek(crop.start)
        sound_TC = file.read(crop.num_frames, dtype="float32", always_2d=True)
    out_CT[:, : len(sound_TC)] = sound_TC.T
    return len(sound_TC)
