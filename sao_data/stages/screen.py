"""Screen: which recordings are music, and how much of each (paper 2.2). Whose music it is, is asked later.

Only what is long enough to be music by the rule is decoded; what an earlier part of the bucket says of the
same audio holds.
"""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sao_data.records import SAMPLE_RATE, Clip
from sao_data.screening import Screening, Tagged
from sao_data.screening.music import (
    Floats,
    Tagger,
    build_tagger,
    counted_classes,
    music_seconds,
    needs_tagging,
)
from sao_data.stages.base import Bucket, RowSink, Stage, earlier_parts
from sao_data.stages.flac_reuse import ClipAudio
from sao_data.storage import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

SCREEN = "screen"
_BLOCK = SAMPLE_RATE * 10  # frames decoded at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A tagger over every recording that may be music."""

    screening: Screening
    normalise: Stage  # makes the audio again where it is gone

    name: ClassVar[str] = SCREEN
    version: ClassVar[int] = 1
    row: ClassVar[type] = Tagged
    inputs: ClassVar[tuple[str, ...]] = ("curate",)
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        at = self.screening
        return [_tagger(at).digest(), counted_classes(at), at.min_probability, at.min_seconds]

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        recordings: dict[str, list[Clip]] = {}
        for clip in bucket.rows("curate", Clip):
            if needs_tagging(clip.recording_frames / SAMPLE_RATE, self.screening):
                recordings.setdefault(clip.recording_id, []).append(clip)
        sink.expect(recordings)
        known = _known(self, bucket)
        todo = []
        for recording_id, clips in recordings.items():
            if tagged := known.get((recording_id, clips[0].audio_sha256)):
                sink.keep(recording_id, tagged)
            else:
                todo.append(clips)
        self._tag(bucket, todo, sink)
        sink.arrange()

    def _tag(self, bucket: Bucket, todo: list[list[Clip]], sink: RowSink) -> None:
        if not todo:
            return
        classes = counted_classes(self.screening)
        with ClipAudio(bucket, self.normalise) as audio:
            audio.prepare([clip for clips in todo for clip in clips])
            for clips in todo:
                key = clips[0].recording_id
                tagged = music_seconds(
                    key,
                    _blocks(audio, clips),
                    _tagger(self.screening),
                    classes,
                    self.screening.min_probability,
                )
                sink.keep(key, dataclasses.replace(tagged, audio_sha256=clips[0].audio_sha256))


def _known(stage: Screen, bucket: Bucket) -> dict[tuple[str, str], Tagged]:
    found: dict[tuple[str, str], Tagged] = {}
    for part in earlier_parts(stage, bucket):
        for tagged in tables.read(bucket.storage, part.kept, Tagged):
            found.setdefault((tagged.recording_id, tagged.audio_sha256), tagged)
    return found


def _blocks(audio: ClipAudio, clips: Sequence[Clip]) -> Iterator[Floats]:
    """The recording as (frames, 2) blocks at 44.1 kHz, clip after clip."""
    import soundfile

    for clip in sorted(clips, key=lambda clip: clip.number):
        with soundfile.SoundFile(io.BytesIO(audio.get(clip))) as file:
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                yield block


@functools.lru_cache(maxsize=1)
def _tagger(screening: Screening) -> Tagger:
    """One tagger per process: loading it costs more than a bucket of short files."""
    return build_tagger(screening)
