"""Where a recording is cut into clips, and the timing its clips are trained with.

Timing follows the recording, never the clip (paper 3.1): a crop late in a long piece says so, and "ends
here" is only learnt where a recording ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.records import SAMPLE_RATE

MAX_SECONDS_TOTAL = 512  # the timing embedding's range (released model_config.json, seconds_total max_val)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How recordings become clips."""

    max_seconds: int = 600  # longer recordings become consecutive clips; bounds a shard member to about 60 MB
    trim_trailing_silence: bool = False  # drop exact digital zeros at the end, recorded as a change

    def __post_init__(self) -> None:
        if self.max_seconds < 1:
            raise UsageError(f"cut.max_seconds: {self.max_seconds} is too short; want at least 1")

    @property
    def max_frames(self) -> int:
        """Longest clip in frames."""
        return self.max_seconds * SAMPLE_RATE


def clips(num_frames: int, cut: Cut) -> Iterator[tuple[int, int]]:
    """(start frame, number of frames) of each clip; together they are the recording, the last is the rest."""
    for start in range(0, num_frames, cut.max_frames):
        yield start, min(cut.max_frames, num_frames - start)


def seconds_start(start_frame: int) -> int:
    """Whole second in which a crop begins, within the recording."""
    return start_frame // SAMPLE_RATE


def seconds_total(recording_frames: int) -> int:
    """Length of the recording in seconds, rounded up, at most 512."""
    return min(MAX_SECONDS_TOTAL, -(-recording_frames // SAMPLE_RATE))
