"""Curate: every filter of the manifest looks at every clip; the first that objects names the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from sao_data import plugins
from sao_data.manifest import Plugin
from sao_data.records import CaptionField, Clip, Recording
from sao_data.stages.base import Bucket, RowSink, clip_key
from sao_data.stages.caption import caption_fields
from sao_data.stages.listing import LIST, Listed

Check = Callable[[Clip, Recording], tuple[str, str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curate:
    """Filters in the order of the manifest."""

    filters: tuple[Plugin, ...]
    caption: Plugin  # for filters that look at captions

    name: ClassVar[str] = "curate"
    version: ClassVar[int] = 1
    row: ClassVar[type] = Clip
    inputs: ClassVar[tuple[str, ...]] = (LIST, "normalise")
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        reads = any(_reads_caption(item) for item in self.filters)
        return [self.filters, self.caption] if reads else self.filters

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
        said = _Captions(self.caption)
        checks = [_check(item, said) for item in self.filters]
        clips = bucket.rows("normalise", Clip)
        sink.expect(clip_key(clip) for clip in clips)
        for clip in clips:
            recording = recordings[clip.recording_id]
            finding = next((found for check in checks if (found := check(clip, recording))), None)
            if finding:
                sink.reject(clip_key(clip), *finding)
            else:
                sink.keep(clip_key(clip), clip)


class _Captions:
    """The caption fields of recordings, made when they are asked for."""

    def __init__(self, plugin: Plugin) -> None:
        self._builder = plugins.load("captions", plugin.plugin).build(plugin.config)
        self._last: tuple[str, tuple[CaptionField, ...]] = ("", ())

    def of(self, recording: Recording) -> tuple[CaptionField, ...]:
        """Those of the last recording are kept: its clips come one after the other."""
        if self._last[0] != recording.id:
            self._last = (recording.id, caption_fields(self._builder, recording))
        return self._last[1]


def _check(item: Plugin, said: _Captions) -> Check:
    check = plugins.load("filters", item.plugin).build(item.config).check
    if _reads_caption(item):
        return lambda clip, recording: check(clip, recording, said.of(recording))
    found: Check = check
    return found


def _reads_caption(item: Plugin) -> bool:
    return bool(getattr(plugins.load("filters", item.plugin), "READS_CAPTION", False))
