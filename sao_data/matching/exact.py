"""Equal audio: recordings whose normalised audio is the same, sample for sample.

A global step: it sees one small row per recording and no audio. Of equal recordings the one under the most
restrictive licence stays, so that a copy cannot launder a licence; among equals the one with the lowest
sha256(id). What equals audio that was denied or taken down while it was held goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sao_data.ids import id_hash
from sao_data.matching.metadata import restrictive_first, with_disputed_author
from sao_data.records import Objection, Verdict

STAGE = "dedupe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dedupe:
    """What counts as a duplicate."""

    exact: bool = True  # equal normalised audio


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAudio:
    """What the comparison of audio sees of one allowed recording."""

    id: str
    author: str  # comparable form; '' = not named
    family: str
    preference: str
    audio_sha256: str
    original_sha256: str
    fingerprint: str  # Chromaprint; '' = too short for one
    spectral_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForbiddenAudio:
    """Audio that must not come in, by its hash: why, in the words of a rule and a detail."""

    rule: str
    detail: str
    owner: str = ""  # the recording that it was first held as, of which this says nothing


def find_duplicates(
    compared: Iterable[ComparedAudio], config: Dedupe, unwanted: Mapping[str, ForbiddenAudio] | None = None
) -> list[Objection]:
    """Objections to all but one of each group of equals, and to what equals unwanted audio or is an unwanted
    file; sorted by id."""
    groups: dict[str, list[ComparedAudio]] = {}
    found: list[Objection] = []
    for item in compared:
        why = (unwanted or {}).get(item.audio_sha256) or (unwanted or {}).get(item.original_sha256)
        if why and why.owner != item.id:
            found.append(_object(item, "deny", why.rule, why.detail))
        else:
            groups.setdefault(item.audio_sha256, []).append(item)
    for group in groups.values():
        if config.exact and len(group) > 1:
            found += _equals(group)
    return sorted(found, key=lambda item: item.recording_id)


def _equals(group: list[ComparedAudio]) -> Iterator[Objection]:
    ordered = restrictive_first(group, key=lambda item: id_hash(item.id))
    unsure = with_disputed_author(ordered)
    first = ordered[0]
    for item in ordered:
        if item in unsure:
            others = ", ".join(other.id for other in unsure if other is not item)[:200]
            detail = f"same audio as {others}, by another author: a person says whose it is"
            yield _object(item, "review", "authors_differ", detail)
        elif item is not first:
            yield _object(item, "allow", "duplicate_audio", f"same audio as {first.id}")


def _object(item: ComparedAudio, verdict: Verdict, rule: str, detail: str) -> Objection:
    return Objection(recording_id=item.id, stage=STAGE, verdict=verdict, rule=rule, detail=detail)
