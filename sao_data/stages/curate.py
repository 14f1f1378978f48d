"""Curate: every filter of the manifest looks at every clip; the first that objects names the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sao_data import plugins
from sao_data.manifest import Plugin
from sao_data.plugins import Filter
from sao_data.records import Clip, Recording
from sao_data.stages.base import Bucket, RowSink, clip_key
from sao_data.stages.listing import LIST, Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Curate:
    """Filters in the order of the manifest."""

    filters: tuple[Plugin, ...]

    name: ClassVar[str] = "curate"
    version: ClassVar[int] = 1
    row: ClassVar[type] = Clip
    inputs: ClassVar[tuple[str, ...]] = (LIST, "normalise")
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return self.filters

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
        filters = [plugins.load("filters", item.plugin).build(item.config) for item in self.filters]
        clips = bucket.rows("normalise", Clip)
        sink.expect(clip_key(clip) for clip in clips)
        for clip in clips:
            finding = _first_finding(filters, clip, recordings[clip.recording_id])
            if finding:
                sink.reject(clip_key(clip), *finding)
            else:
                sink.keep(clip_key(clip), clip)


def _first_finding(filters: list[Filter], clip: Clip, recording: Recording) -> tuple[str, str] | None:
    for item in filters:
        finding = item.check(clip, recording)
        if finding:
            return finding
    return None
