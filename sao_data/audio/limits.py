"""What a file may cost and how it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sao_data.audio.downmix import Downmix, UnknownLayout
from sao_data.config import WHEN_SET
from sao_data.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig:
    """What a file may cost and how it is stored. Limits concern the file; filters judge the audio."""

    max_bytes: int = 4 << 30  # four hours of CD quality are 2.5 GB
    max_seconds: int = 4 * 3600  # longer ones are radio streams and the like; bounds disk and time
    # Decoded samples of all channels that a byte may stand for, beyond an hour of stereo, which any file may
    # hold. Densest is digital silence: measured 534 (FLAC), 639 (Opus), 840 (Vorbis), 1,661 (Vorbis, six
    # channels); recordings have 0.5 (PCM) to 64 (Opus, speech at 6 kbit/s), made files up to 14,563.
    max_samples_per_byte: int = 4_096
    min_sample_rate: int = 1_000  # Hz; lower ones are sensor data or wrong headers
    max_sample_rate: int = 768_000  # Hz, the fastest recorders sold
    max_channels: int = 64  # seventh-order ambisonics
    min_decoded_share: float = 0.95  # of frames declared and of packets; less is `truncated` or `corrupt`
    # libFLAC level 4 of 8: on music and on mono 0.3 % larger than level 5, in 11 to 17 % less time
    flac_compression: float = 0.5
    overshoot: Literal["gain", "clip"] = "gain"  # what rises above full scale: all turned down, or cut off
    downmix: Downmix = "bs775"  # of more than two channels; "front" keeps left and right, as the paper's code
    unknown_layout: UnknownLayout = "front"  # of more than two that nothing names: the first two, or none
    speech: bool = field(default=False, metadata=WHEN_SET)  # measure its share (extra `speech`)
    max_memory_bytes: int = 1 << 30  # address space that a decode may add to the idle child's
    max_cpu_seconds: int = 900  # a file; four hours of audio take about 80, so beyond this a decoder loops
    max_stall_seconds: int = 600  # without CPU time used: the machine's fault, no fact about the file

    @property
    def allowed_cpu_seconds(self) -> float:
        """CPU time that a file may take; listening for speech takes 0.03 to 0.1 s a second."""
        return self.max_cpu_seconds + (self.max_seconds / 10 if self.speech else 0)

    def check(self) -> None:
        """UsageError, with the fix, where this machine lacks what is to be measured with."""
        from sao_data.audio.measuring import speech

        if self.speech:
            speech.check()

    def __post_init__(self) -> None:
        if not 0 <= self.flac_compression <= 1:
            raise UsageError(
                f"audio.flac_compression: {self.flac_compression} is not in 0 (fast) to 1 (small)"
            )
        if not 0 <= self.min_decoded_share <= 1:
            raise UsageError(f"audio.min_decoded_share: {self.min_decoded_share} is not in 0 to 1")
