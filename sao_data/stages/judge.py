"""Judge: what licence and wish alone say of each recording. Every one gets a row, allowed or not.

The verdict is final only after the recordings were compared with each other and persons have answered
(decide).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from sao_data import licences
from sao_data.licences import Policy, Release, decide, meets, normalise_preference, parse_fields
from sao_data.licences.table import table
from sao_data.matching.metadata import author_key
from sao_data.records import Decision, Recording
from sao_data.stages.base import Bucket, RowSink
from sao_data.stages.listing import LIST, Listed, strictest_wish

JUDGE = "judge"
_GRAVITY = {"allow": 0, "review": 1, "deny": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Licence and preference against the policy."""

    policy: Policy
    release: Release
    taken_down: tuple[str, ...] = ()  # recordings of this bucket that were taken down

    name: ClassVar[str] = JUDGE
    version: ClassVar[int] = 4
    row: ClassVar[type] = Decision
    inputs: ClassVar[tuple[str, ...]] = (LIST,)
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return [licences.VERSION, table().digest, self.policy, self.release, sorted(self.taken_down)]

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        taken = frozenset(self.taken_down)
        listed = bucket.rows(LIST, Listed)
        sink.expect(row.recording.id for row in listed)
        for row in listed:
            sink.keep(row.recording.id, judge(row, self.policy, self.release, taken))


def judge(row: Listed, policy: Policy, release: Release, taken_down: frozenset[str]) -> Decision:
    """The policy's decision on the strictest of a recording's offers; of what was taken down nothing is known
    but that."""
    own = _with_wish(row, release)
    decision = decide(own, policy, release)
    if row.recording.id in taken_down:
        detail = "taken down at request; see takedowns.jsonl"
        return dataclasses.replace(decision, verdict="deny", rule="taken_down", detail=detail)
    for offer in row.others:
        other = decide(_completed(offer.recording, own), policy, release)
        if _GRAVITY[other.verdict] > _GRAVITY[decision.verdict]:
            detail = f"another offer of it says so: {other.detail} ({other.rule})"
            rule = "other_offer_denied" if other.verdict == "deny" else "other_offer_unclear"
            decision = dataclasses.replace(decision, verdict=other.verdict, rule=rule, detail=detail)
        elif decision.verdict == "allow" and (names := _names(row.recording, offer.recording, decision)):
            decision = dataclasses.replace(decision, verdict="review", rule="offers_conflict", detail=names)
    return decision


def _with_wish(row: Listed, release: Release) -> Recording:
    """The recording with the strictest wish that any offer of it states, if the release meets it; if not,
    the offer that states it is denied."""
    own = row.recording
    wish = strictest_wish(own.ai_preference, (offer.recording.ai_preference for offer in row.others))
    meaning = normalise_preference(wish)
    is_met = bool(meaning) and meets(meaning or "", release)
    return dataclasses.replace(own, ai_preference=wish) if is_met else own


def _completed(recording: Recording, best: Recording) -> Recording:
    """An offer that states no wish, or no licence, says nothing against another's; all else counts."""
    if normalise_preference(recording.ai_preference) == "":
        recording = dataclasses.replace(recording, ai_preference=best.ai_preference)
    if parse_fields(recording.license_url, recording.license_claim).silent is False:
        return recording
    url, claim = best.license_url, best.license_claim
    return dataclasses.replace(recording, license_url=url, license_claim=claim)


def _names(one: Recording, other: Recording, decision: Decision) -> str:
    """Two names for the author of one work whose licence asks for credit, in words; '' if there is no such
    doubt."""
    first, second = author_key(one.author), author_key(other.author)
    doubt = first and second and first != second and decision.family != "CC0"
    return f"one offer of it names {one.author!r}, another {other.author!r}"[:300] if doubt else ""
