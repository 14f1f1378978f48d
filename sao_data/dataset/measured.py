"""The table of measures: one row for every clip that was measured, so that thresholds can be weighed later.

The parts of work/ that hold measures may be deleted. What a caption says of a clip is told for those that
filters rejected as well, by the same builder: rows are comparable whatever became of the clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sao_data import plugins
from sao_data.ids import sample_key
from sao_data.manifest import Plugin
from sao_data.measures import MeasuredClip, Measures, SourceMeasures
from sao_data.records import Caption, CaptionField, Clip, Objection, Recording, Rejection, SampleRow
from sao_data.stages.base import Bucket, clip_key
from sao_data.stages.caption import caption_fields
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.pack import described, is_dropped

_CURATE = "curate"
_KEPT = Rejection(id="", stage="", reason="")


def measured_clips(
    bucket: Bucket, objections: Iterable[Objection], builder: Plugin
) -> Iterator[MeasuredClip]:
    """Rows of one finished bucket; objections are those found when its audio was compared."""
    packed = {row.key for row in bucket.rows("pack", SampleRow)}
    rejected = {item.id: item for item in bucket.rejections(_CURATE)}
    dropped = {item.recording_id: item for item in objections if is_dropped(item)}
    said, heard = _Captions(bucket, builder), described(bucket)
    for clip in bucket.rows("normalise", Clip):
        key, why = clip_key(clip), _KEPT
        if sample_key(clip.recording_id, clip.number) not in packed:
            why = rejected.get(key) or _rejection(dropped[clip.recording_id])
        row = _row(clip, why, said.of(clip), said.recordings[clip.recording_id])
        words = heard.get((clip.recording_id, clip.number))
        yield dataclasses.replace(row, machine_caption_by=words.by) if words else row


def without(rows: Iterable[MeasuredClip], removed: Collection[str]) -> list[MeasuredClip]:
    """The rows of all other recordings."""
    return [row for row in rows if row.recording_id not in removed]


def _rejection(item: Objection) -> Rejection:
    return Rejection(id=item.recording_id, stage=item.stage, reason=item.rule, detail=item.detail)


class _Captions:
    """Caption fields of every clip, written where the caption stage had no reason to."""

    def __init__(self, bucket: Bucket, builder: Plugin) -> None:
        self._known = {row.recording_id: row.fields for row in bucket.rows("caption", Caption)}
        self.recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
        self._builder = plugins.load("captions", builder.plugin).build(builder.config)

    def of(self, clip: Clip) -> tuple[CaptionField, ...]:
        key = clip.recording_id
        if key not in self._known:
            self._known[key] = caption_fields(self._builder, self.recordings[key])
        return self._known[key]


def _row(clip: Clip, why: Rejection, fields: tuple[CaptionField, ...], recording: Recording) -> MeasuredClip:
    said = {field.name: field.values for field in fields}
    return MeasuredClip(
        id=clip_key(clip),
        recording_id=clip.recording_id,
        clip=clip.number,
        num_frames=clip.num_frames,
        recording_frames=clip.recording_frames,
        kept=not why.reason,
        stage=why.stage,
        reason=why.reason,
        detail=why.detail,
        rendition=clip.audio.rendition,
        container=clip.audio.container,
        codec=clip.audio.codec,
        source_rate=clip.audio.sample_rate,
        source_channels=clip.audio.num_channels,
        language="".join(said.get("language", ())[:1]),
        year=recording.year,
        tags=said.get("tags", ()),
        **_fields(clip.measures),
        **_fields(clip.source),
    )


def _fields(measures: Measures | SourceMeasures) -> dict[str, Any]:
    return {field.name: getattr(measures, field.name) for field in dataclasses.fields(measures)}
