"""Describe: what a machine says is heard in each clip, for datasets that ask for it; never mixed with what
authors wrote.

Its words lie in a field of their own, marked with model, revision and weights. The rules of captions apply to
them as to a description: what a model copied from its training data, addresses or numbers of persons, is left
out. What an earlier part of the bucket says of the same audio holds.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

import numpy as np
import numpy.typing as npt

from sao_data import plugins
from sao_data.captions.metadata import clean_description, told
from sao_data.manifest import Plugin
from sao_data.records import SAMPLE_RATE, Clip
from sao_data.stages.base import Bucket, RowSink, Stage, clip_key, earlier_parts
from sao_data.stages.flac_reuse import ClipAudio
from sao_data.storage import tables

Floats = npt.NDArray[np.float32]

DESCRIBE = "describe"
MOST = 1000  # characters, as of a description (captions/metadata.py)
_AT_ONCE = 16  # clips in memory


class Captioner(Protocol):
    """Puts sounds into words. `build(config)` makes one; it must pickle."""

    @property
    def sample_rate(self) -> int:
        """Hz, of what it listens to."""

    @property
    def max_seconds(self) -> float:
        """From the beginning of a clip, that it can hear."""

    @property
    def written_by(self) -> str:
        """Model, revision and digest of the weights."""

    def check(self) -> None:
        """Raise UsageError, with the fix, if it cannot work on this machine."""

    def digest(self) -> str:
        """sha256 (hex) of all that decides its words."""

    def describe(self, clips: Sequence[Floats]) -> list[str]:
        """A text for each mono clip; '' where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWords:
    """What a machine wrote of one clip."""

    recording_id: str
    clip: int
    flac_sha256: str  # of what it heard
    text: str  # cleaned; '' = nothing, or nothing was left
    by: str  # model, revision, digest of the weights; '' with the text


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """One captioner over every clip that curation kept."""

    captioner: Plugin
    normalise: Stage  # makes the audio again where it is gone

    name: ClassVar[str] = DESCRIBE
    version: ClassVar[int] = 1
    row: ClassVar[type] = HeardWords
    inputs: ClassVar[tuple[str, ...]] = ("curate",)
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return [self.captioner.plugin, self.captioner.version, build_captioner(self.captioner).digest()]

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        clips = bucket.rows("curate", Clip)
        sink.expect(clip_key(clip) for clip in clips)
        found = _known(self, bucket)
        todo = [clip for clip in clips if (clip.recording_id, clip.flac_sha256) not in found]
        if todo:
            with ClipAudio(bucket, self.normalise) as audio:
                audio.prepare(todo)
                for row in _described(todo, audio, build_captioner(self.captioner)):
                    found[row.recording_id, row.flac_sha256] = row
        for clip in clips:
            sink.keep(clip_key(clip), _of(clip, found[clip.recording_id, clip.flac_sha256]))


@functools.lru_cache(maxsize=1)
def build_captioner(plugin: Plugin) -> Captioner:
    """One captioner per process: loading it costs more than a bucket."""
    module = plugins.load("captioners", plugin.plugin, where="captioner")
    return cast("Captioner", module.build(plugin.config))


def _known(stage: Describe, bucket: Bucket) -> dict[tuple[str, str], HeardWords]:
    found: dict[tuple[str, str], HeardWords] = {}
    for part in earlier_parts(stage, bucket):
        for row in tables.read(bucket.storage, part.kept, HeardWords):
            found.setdefault((row.recording_id, row.flac_sha256), row)
    return found


def _described(clips: Sequence[Clip], audio: ClipAudio, captioner: Captioner) -> Iterator[HeardWords]:
    for start in range(0, len(clips), _AT_ONCE):
        some = clips[start : start + _AT_ONCE]
        texts = captioner.describe([_mono(audio.get(clip), captioner) for clip in some])
        for clip, text in zip(some, texts, strict=True):
            (cleaned,) = told([clean_description(text, MOST)]) or ("",)
            yield HeardWords(
                recording_id=clip.recording_id,
                clip=clip.number,
                flac_sha256=clip.flac_sha256,
                text=cleaned,
                by=captioner.written_by if cleaned else "",
            )


def _of(clip: Clip, row: HeardWords) -> HeardWords:
    """The row for this clip: a recording may hold the same sound twice."""
    return HeardWords(
        recording_id=clip.recording_id,
        clip=clip.number,
        flac_sha256=clip.flac_sha256,
        text=row.text,
        by=row.by,
    )


def _mono(flac: bytes, captioner: Captioner) -> Floats:
    """The mean of both channels, as much as the captioner hears, at its rate."""
    import soundfile
    import soxr

    with soundfile.SoundFile(io.BytesIO(flac)) as file:
        heard = file.read(round(captioner.max_seconds * SAMPLE_RATE), dtype="float32", always_2d=True)
    mono = heard.mean(axis=1, dtype=np.float32)
    return np.asarray(soxr.resample(mono, SAMPLE_RATE, captioner.sample_rate, quality="HQ"), np.float32)
