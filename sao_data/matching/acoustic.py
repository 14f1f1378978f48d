"""Likeness by sound: recordings that sound the same under conflicting terms go before a person.

Fingerprints and spectral hashes find one recording in another format, level or length. That is never proof,
so nothing is denied by it; what is alike under the same terms and name is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sao_data.matching.alike import Alike, find_like
from sao_data.matching.exact import ComparedAudio
from sao_data.matching.metadata import restrictive_first, strictness, with_disputed_author
from sao_data.records import Objection

STAGE = "match"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForbiddenSound:
    """Audio that somebody forbids: by what it is told, and why."""

    fingerprint: str
    rule: str
    detail: str
    spectral_hash: str = ""


def objections(
    compared: Mapping[str, ComparedAudio], pairs: Iterable[Alike], forbidden: Mapping[str, ForbiddenSound]
) -> list[Objection]:
    """At most one objection to each recording: likeness to forbidden audio first, then to each other."""
    found: dict[str, Objection] = {}
    for item in (*_like_forbidden(compared, forbidden), *_like_each_other(compared, pairs)):
        found.setdefault(item.recording_id, item)
    return [found[key] for key in sorted(found)]


def _like_forbidden(
    items: Mapping[str, ComparedAudio], forbidden: Mapping[str, ForbiddenSound]
) -> Iterator[Objection]:
    for pair in find_like(dict(sorted(forbidden.items())), items):
        if pair.first == pair.second:
            continue
        known = forbidden[pair.first]
        yield _object(pair.second, known.rule, f"sounds like {known.detail} ({pair.how})")


def _like_each_other(items: Mapping[str, ComparedAudio], pairs: Iterable[Alike]) -> Iterator[Objection]:
    for pair in pairs:
        first, second = items[pair.first], items[pair.second]
        if first.audio_sha256 == second.audio_sha256:
            continue  # equal audio: exact.py decides
        if strictness(first) != strictness(second):
            strict, free = restrictive_first([first, second], key=lambda item: item.id)
            terms = f"{strict.family} {strict.preference}".strip()
            detail = f"sounds like {strict.id}, which is {terms} ({pair.how})"
            yield _object(free.id, "sounds_like_stricter", detail)
        elif with_disputed_author([first, second]):
            for one, other in ((first, second), (second, first)):
                detail = f"sounds like {other.id}, by another author ({pair.how})"
                yield _object(one.id, "sounds_like_other_author", detail)


def _object(recording_id: str, rule: str, detail: str) -> Objection:
    return Objection(recording_id=recording_id, stage=STAGE, verdict="review", rule=rule, detail=detail)
