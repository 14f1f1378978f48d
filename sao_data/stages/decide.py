"""Decide: may each recording be used? The judgement, then what likeness to others says, then persons.

All decisions are kept as rows; what is not allowed is a rejection as well.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from sao_data.records import Decision, Objection
from sao_data.reviews import Answer
from sao_data.stage import Bucket, Sink
from sao_data.stages.judge import NAME as JUDGE

ALLOWED = "allowed_by_review"
DENIED = "denied_by_review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Judgement, objections and answers into the final verdict."""

    objections: tuple[Objection, ...] = ()  # those to recordings of this bucket
    answers: tuple[Answer, ...] = ()

    name: ClassVar[str] = "decide"
    version: ClassVar[int] = 2
    row: ClassVar[type] = Decision
    inputs: ClassVar[tuple[str, ...]] = (JUDGE,)
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return [self.objections, sorted((a.id, a.verdict) for a in self.answers)]

    def run(self, bucket: Bucket, sink: Sink) -> None:
        answers = {answer.id: answer for answer in self.answers}
        objections = {item.recording_id: item for item in self.objections}
        judged = bucket.rows(JUDGE, Decision)
        sink.expect(decision.recording_id for decision in judged)
        for judgement in judged:
            key = judgement.recording_id
            decision = final(judgement, objections.get(key), answers.get(key))
            sink.keep(key, decision)
            if decision.verdict != "allow":
                sink.reject(key, decision.rule, decision.detail)


def final(judgement: Decision, objection: Objection | None, answer: Answer | None) -> Decision:
    """The gravest of judgement and objection; a person may deny anything, and allow what is up for review."""
    if judgement.rule == "taken_down":
        return judgement
    decision = judgement
    if objection and judgement.verdict == "allow":
        decision = dataclasses.replace(
            judgement, verdict=objection.verdict, rule=objection.rule, detail=objection.detail
        )
    if answer is None or (answer.verdict == "allow" and decision.verdict != "review"):
        return decision
    rule = ALLOWED if answer.verdict == "allow" else DENIED
    detail = f"a person answered {answer.verdict} (was: {decision.rule})"
    return dataclasses.replace(decision, verdict=answer.verdict, rule=rule, detail=detail)
