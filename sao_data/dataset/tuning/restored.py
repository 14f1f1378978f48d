"""Clips and recordings as filters know them, from their rows in the tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from sao_data.dataset.reader import Dataset
from sao_data.measures import MeasuredClip, Measures, SourceMeasures
from sao_data.records import AudioFile, CaptionField, CatalogueRow, Clip, Recording


def clip_of(row: MeasuredClip) -> Clip:
    """The clip as far as its row tells; its bytes and hashes are not known."""
    audio = AudioFile(
        recording_id=row.recording_id,
        sha256="",
        num_bytes=0,
        rendition="preview" if row.rendition == "preview" else "original",
        container=row.container,
        codec=row.codec,
        sample_rate=row.source_rate,
        num_channels=row.source_channels,
    )
    return Clip(
        recording_id=row.recording_id,
        number=row.clip,
        start_frame=0,
        num_frames=row.num_frames,
        recording_frames=row.recording_frames,
        audio=audio,
        measures=Measures(**_part(row, Measures)),
        source=SourceMeasures(**_part(row, SourceMeasures)),
        changes=(),
        audio_sha256="",
        flac_sha256="",
        flac_bytes=0,
        blob_offset=-1,
    )


def recording_of_row(work: CatalogueRow, clip: MeasuredClip) -> Recording:
    """The recording as far as catalogue and caption tell."""
    return Recording(
        id=work.id,
        source=work.source,
        title=work.title,
        author=work.author,
        author_id=work.author_id,
        author_url=work.author_url,
        page_url=work.page_url,
        license_claim=work.license_claim,
        ai_preference=work.ai_preference,
        tags=clip.tags,
        year=clip.year,
        category=work.category,
        is_explicit=work.is_explicit,
        is_remix=work.is_remix,
    )


def caption_of(row: MeasuredClip) -> tuple[CaptionField, ...]:
    """The caption fields that the row has: tags and language."""
    said = (("tags", row.tags), ("language", (row.language,) if row.language else ()))
    return tuple(CaptionField(name=name, values=values, provenance="") for name, values in said if values)


def with_works(dataset: Dataset) -> Iterator[tuple[MeasuredClip, CatalogueRow]]:
    """Every measured clip and its recording; both tables are sorted by id, clips of a recording together."""
    works = dataset.catalogue()
    work = next(works, None)
    for row in dataset.measures():
        while work is not None and work.id < row.recording_id:
            work = next(works, None)
        if work is not None and work.id == row.recording_id:
            yield row, work


def _part(row: MeasuredClip, cls: type) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(cls)}
