"""Caption: the fields that prompts may be drawn from, for every clip that curation kept; and the language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sao_data import plugins
from sao_data.captions._language import language_of
from sao_data.manifest import Plugin
from sao_data.plugins import CaptionBuilder
from sao_data.records import Caption, CaptionField, Clip, Recording
from sao_data.rights.credits import without_withheld_names
from sao_data.stages.base import Bucket, RowSink, clip_key
from sao_data.stages.listing import LIST, Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCaptions:
    """One caption builder over every clip."""

    builder: Plugin

    name: ClassVar[str] = "caption"
    version: ClassVar[int] = 2
    row: ClassVar[type] = Caption
    inputs: ClassVar[tuple[str, ...]] = (LIST, "curate")
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return self.builder

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
        builder = plugins.load("captions", self.builder.plugin).build(self.builder.config)
        clips = bucket.rows("curate", Clip)
        sink.expect(clip_key(clip) for clip in clips)
        for clip in clips:
            recording = without_withheld_names(recordings[clip.recording_id])
            fields = builder.fields(recording)
            prompt = builder.prompt(recording, fields)
            fields = with_language(fields)
            sink.keep(
                clip_key(clip),
                Caption(recording_id=clip.recording_id, clip=clip.number, fields=fields, prompt=prompt),
            )


def caption_fields(builder: CaptionBuilder, recording: Recording) -> tuple[CaptionField, ...]:
    """The fields of a recording as a Caption has them, the language last."""
    return with_language(builder.fields(without_withheld_names(recording)))


def with_language(fields: tuple[CaptionField, ...]) -> tuple[CaptionField, ...]:
    """The fields, and the language of title and description where it can be told."""
    language = language_of(fields)
    return (*fields, language) if language else fields
