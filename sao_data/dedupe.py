"""Exact duplicates: two recordings whose normalised audio is the same, sample for sample.

A global stage: it sees one small row per recording and no audio. Of equal recordings the one under the most
restrictive licence stays, so that a copy cannot launder a licence; among equals the one with the lowest
sha256(id).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sao_data.ids import id_hash
from sao_data.records import Rejection

_RESTRICTIVE = {"SAMPLING+": 0, "BY": 1, "CC0": 2}  # lower stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Dedupe:
    """What counts as a duplicate."""

    exact: bool = True  # equal normalised audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What the search sees of one recording."""

    recording_id: str
    audio_sha256: str
    family: str


def find_duplicates(fingerprints: Iterable[Fingerprint], config: Dedupe) -> list[Rejection]:
    """One `duplicate_audio` rejection for every recording but one of each group of equals, sorted by id."""
    if not config.exact:
        return []
    groups: dict[str, list[Fingerprint]] = {}
    for item in fingerprints:
        groups.setdefault(item.audio_sha256, []).append(item)
    rejections = []
    for group in groups.values():
        first, *others = sorted(group, key=lambda f: (_RESTRICTIVE.get(f.family, 1), id_hash(f.recording_id)))
        rejections += [
            Rejection(
                id=f.recording_id,
                stage="dedupe",
                reason="duplicate_audio",
                detail=f"same audio as {first.recording_id}",
            )
            for f in others
        ]
    return sorted(rejections, key=lambda r: r.id)
