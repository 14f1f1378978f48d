"""Sides of the split: which recordings lie on another side than their author, since they are linked to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sao_data.ingest.plan import Unit, planned, with_moved
from sao_data.matching.alike import Alike
from sao_data.matching.metadata import title_key
from sao_data.matching.togetherness import LinkedWork, together
from sao_data.records import Clip, Recording
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.pack import is_dropped
from sao_data.storage.series import author_key, is_validation

_OWN_ALBUMS = ("freesound",)  # a pack there is one user's; thousands of users call one "drums"


def with_sides(units: list[Unit], pairs: Iterable[Alike]) -> tuple[list[Unit], tuple[str, ...]]:
    """Units that know what was dropped, with what is moved; and a sentence for each large group."""
    split = units[0].plan.manifest.split
    if not split.validation_share:
        return units, ()
    works = [work for unit in units for work in _works(unit)]
    found = together(works, ((pair.first, pair.second) for pair in pairs))
    moved = [
        work.id
        for work in works
        if is_validation(work.author, split) != is_validation(found.deciding[work.id], split)
    ]
    return with_moved(units, moved), found.large


def _works(unit: Unit) -> Iterator[LinkedWork]:
    """What is kept of a bucket."""
    bucket = planned(unit)
    out = {item.recording_id for item in unit.dropped if is_dropped(item)}
    recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
    for key, clip in _by_recording(bucket.rows("curate", Clip)).items():
        if key not in out:
            recording = recordings[key]
            yield LinkedWork(
                id=key,
                author=author_key(recording),
                album=_album(recording),
                audio_sha256=clip.audio_sha256,
            )


def _by_recording(clips: Sequence[Clip]) -> dict[str, Clip]:
    return {clip.recording_id: clip for clip in clips}


def _album(recording: Recording) -> str:
    """A key for the album that several may have a part in; '' = none, or called like many others."""
    title = "" if recording.source in _OWN_ALBUMS else title_key(recording.album)
    return f"{recording.source}:{title}" if title else ""
