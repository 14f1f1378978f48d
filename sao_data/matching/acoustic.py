"""Likeness by sound: recordings that sound the same under conflicting terms go before a person.

Fingerprints (Chromaprint) find one recording in another format, level or length. That is never proof, so
nothing is denied by it; what is alike under the same terms and name is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sao_data.matching.exact import ComparedAudio
from sao_data.matching.metadata import restrictive_first, strictness, with_disputed_author
from sao_data.records import Objection

STAGE = "match"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForbiddenFingerprint:
    """Audio that somebody forbids: its fingerprint, and why."""

    fingerprint: str
    rule: str
    detail: str


def objections(
    compared: Iterable[ComparedAudio], forbidden: Mapping[str, ForbiddenFingerprint]
) -> list[Objection]:
    """At most one objection to each recording: likeness to forbidden audio first, then to each other."""
    items = {item.id: item for item in compared if item.fingerprint}
    if not items:
        return []
    found: dict[str, Objection] = {}
    for item in (*_like_forbidden(items, forbidden), *_like_each_other(items)):
        found.setdefault(item.recording_id, item)
    return [found[key] for key in sorted(found)]


def _like_forbidden(
    items: dict[str, ComparedAudio], forbidden: Mapping[str, ForbiddenFingerprint]
) -> Iterator[Objection]:
    from sao_data.audio import chromaprint
    from sao_data.matching import fingerprint_index

    queries = {key: chromaprint.decode(known.fingerprint) for key, known in sorted(forbidden.items())}
    corpus = ((key, chromaprint.decode(item.fingerprint)) for key, item in sorted(items.items()))
    for pair in fingerprint_index.find_matches(queries, corpus):
        if pair.first == pair.second:
            continue
        known = forbidden[pair.first]
        detail = f"sounds like {known.detail} (bit error rate {pair.error:.3f})"
        yield _object(pair.second, known.rule, detail)


def _like_each_other(items: dict[str, ComparedAudio]) -> Iterator[Objection]:
    from sao_data.audio import chromaprint
    from sao_data.matching import fingerprint_index

    prints = ((key, chromaprint.decode(item.fingerprint)) for key, item in sorted(items.items()))
    for pair in fingerprint_index.find_pairs(prints):
        first, second = items[pair.first], items[pair.second]
        if first.audio_sha256 == second.audio_sha256:
            continue  # equal audio: exact.py decides
        if strictness(first) != strictness(second):
            strict, free = restrictive_first([first, second], key=lambda item: item.id)
            terms = f"{strict.family} {strict.preference}".strip()
            detail = f"sounds like {strict.id}, which is {terms} (bit error rate {pair.error:.3f})"
            yield _object(free.id, "sounds_like_stricter", detail)
        elif with_disputed_author([first, second]):
            for one, other in ((first, second), (second, first)):
                detail = f"sounds like {other.id}, by another author (bit error rate {pair.error:.3f})"
                yield _object(one.id, "sounds_like_other_author", detail)


def _object(recording_id: str, rule: str, detail: str) -> Objection:
    return Objection(recording_id=recording_id, stage=STAGE, verdict="review", rule=rule, detail=detail)
