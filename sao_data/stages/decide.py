"""Decide: may each recording be used? The judgement, then what likeness to others says, then persons.

All decisions are kept as rows; what is not allowed is a rejection as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sao_data.licences import Release
from sao_data.records import CatalogueRow, Decision, Objection
from sao_data.rights import reviews
from sao_data.rights.reviews import Answer
from sao_data.stages.base import Bucket, RowSink
from sao_data.stages.judge import JUDGE

ALLOWED = "allowed_by_review"
DENIED = "denied_by_review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Judgement, objections and answers into the final verdict."""

    release: Release
    objections: tuple[Objection, ...] = ()  # those to recordings of this bucket
    answers: tuple[Answer, ...] = ()

    name: ClassVar[str] = "decide"
    version: ClassVar[int] = 3
    row: ClassVar[type] = Decision
    inputs: ClassVar[tuple[str, ...]] = (JUDGE,)
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        said = sorted((a.id, a.verdict, a.question) for a in self.answers)
        return [self.objections, said, self.release if said else None]

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        answers = by_id(self.answers)
        objections = {item.recording_id: item for item in self.objections}
        judged = bucket.rows(JUDGE, Decision)
        sink.expect(decision.recording_id for decision in judged)
        for judgement in judged:
            key = judgement.recording_id
            decision = final(judgement, objections.get(key), answers.get(key, ()), self.release)
            sink.keep(key, decision)
            if decision.verdict != "allow":
                sink.reject(key, decision.rule, decision.detail)


def by_id(answers: Iterable[Answer]) -> dict[str, tuple[Answer, ...]]:
    """Answers of each recording."""
    found: dict[str, tuple[Answer, ...]] = {}
    for answer in answers:
        found[answer.id] = (*found.get(answer.id, ()), answer)
    return found


def final(
    judgement: Decision, objection: Objection | None, answers: Sequence[Answer], release: Release
) -> Decision:
    """The most severe of judgement and objection; a person may deny anything, and allow what is up for
    review, each question by its own answer."""
    if judgement.rule == "taken_down":
        return judgement
    if reviews.denial(answers):
        detail = f"a person answered deny (was: {judgement.rule})"
        return dataclasses.replace(judgement, verdict="deny", rule=DENIED, detail=detail)
    if judgement.verdict == "deny" or (objection and objection.verdict == "deny"):
        return judgement if judgement.verdict == "deny" else objected(judgement, objection)
    settled = apply_answer(judgement, answers, release)
    if settled.verdict != "allow" or objection is None:
        return settled
    if objection.verdict == "allow":
        return objected(settled, objection) if settled.rule != ALLOWED else settled
    return apply_answer(objected(settled, objection), answers, release, before=settled)


def objected(decision: Decision, objection: Objection | None) -> Decision:
    """The decision with the verdict, the rule and the words of an objection."""
    assert objection is not None
    return dataclasses.replace(
        decision, verdict=objection.verdict, rule=objection.rule, detail=objection.detail
    )


def apply_answer(
    decision: Decision, answers: Sequence[Answer], release: Release, *, before: Decision | None = None
) -> Decision:
    """What is up for review and answered is allowed. `before`: the decision that stood before this question
    came up; an answer that it used up is not used twice."""
    if decision.verdict != "review":
        return decision
    asked = question_of(decision, release)
    earlier = before.detail if before and before.rule == ALLOWED else ""
    if not reviews.answer_to(answers, asked, used=bool(earlier)):
        return decision
    detail = "; ".join(part for part in (earlier, reviews.allowed_words(asked)) if part)
    return dataclasses.replace(decision, verdict="allow", rule=ALLOWED, detail=detail)


def question_of(decision: Decision | CatalogueRow, release: Release) -> str:
    """What is asked about a recording that is up for review."""
    return reviews.question(
        rule=decision.rule,
        license_id=decision.license,
        preference=decision.ai_preference,
        detail=decision.detail,
        release=release,
    )
