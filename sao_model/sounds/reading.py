"""An audio file as a model takes it: stereo at its sample rate, float32, whatever the file is.

C channels   T samples
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from sao_data.audio import convert
from sao_data.audio.limits import AudioConfig
from sao_data.audio.rejected import AudioRejected
from sao_data.errors import UsageError
from sao_data.storage import checksums

_PCM_RATE = 44_100  # of what sao_data decodes to


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioIn:
    """A file's samples, and what was done to them on the way."""

    samples_CT: npt.NDArray[np.float32]
    remarks: tuple[str, ...]
    sha256: str  # of the file


def read(path: str | Path, sample_rate: int, num_channels: int = 2) -> AudioIn:
    """Decode a file; UsageError if there is no sound in it or it holds numbers that are not finite."""
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file; give an audio file")
    try:
        samples_TC, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        samples_TC, rate = _other(path), _PCM_RATE
    if not len(samples_TC):
        raise UsageError(f"{path}: empty; give a file with sound in it")
    if not np.isfinite(samples_TC).all():
        raise UsageError(f"{path}: holds samples that are not finite; repair or export it again")
    remarks = []
    if samples_TC.shape[1] != num_channels:
        remarks.append(f"{path}: {_channels(samples_TC.shape[1])}, made {_channels(num_channels)}")
        samples_TC = _with_channels(samples_TC, num_channels)
    if rate != sample_rate:
        remarks.append(f"{path}: {rate} Hz, resampled to {sample_rate} Hz")
        samples_TC = soxr.resample(samples_TC, rate, sample_rate, quality="HQ")
    return AudioIn(
        samples_CT=np.ascontiguousarray(samples_TC.T),
        remarks=tuple(remarks),
        sha256=checksums.sha256(Path(path)),
    )


class PcmBlocks:
    """Keeps the PCM of a decoding."""

    def __init__(self) -> None:
        self.blocks: list[npt.NDArray[np.int16]] = []

    def write(self, pcm: npt.NDArray[np.int16]) -> None:
        self.blocks.append(pcm)

    def discard(self) -> None:
        self.blocks.clear()


def _other(path: str | Path) -> npt.NDArray[np.float32]:
    """What libsndfile does not know, decoded as for a dataset: 44.1 kHz stereo of 16 bits."""
    try:
        with Path(path).open("rb") as file:
            _, sink = convert.normalise(file, AudioConfig(), PcmBlocks)
    except AudioRejected as rejected:
        raise UsageError(
            f"{path}: cannot be decoded ({rejected}); give WAV, FLAC, OGG, MP3 or another audio file"
        ) from rejected
    return np.concatenate(sink.blocks).astype(np.float32) / np.float32(32_768)


def _with_channels(samples_TC: npt.NDArray[np.float32], num: int) -> npt.NDArray[np.float32]:
    """One channel in all, or the first two of more; of many, one: their mean."""
    have = samples_TC.shape[1]
    if num == 1 or have == 1:
        return np.repeat(samples_TC.mean(1, keepdims=True), num, axis=1)
    return samples_TC[:, :num]


def _channels(num: int) -> str:
    return {1: "mono", 2: "stereo"}.get(num, f"{num} channels")
