"""Decide: may each recording be used? All decisions are kept as rows; what is not allowed is a rejection as
well."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from sao_data.licences import Policy, Release, decide
from sao_data.records import Decision, Recording
from sao_data.reviews import Answer
from sao_data.stage import Bucket, Sink
from sao_data.stages.listing import NAME as LIST
from sao_data.stages.listing import Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Licence and preference against the policy; a person's answer settles what is up for review."""

    policy: Policy
    release: Release
    answers: tuple[Answer, ...] = ()  # those for this bucket

    name: ClassVar[str] = "decide"
    version: ClassVar[int] = 1
    row: ClassVar[type] = Decision
    inputs: ClassVar[tuple[str, ...]] = (LIST,)
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return [self.policy, self.release, sorted((a.id, a.verdict) for a in self.answers)]

    def run(self, bucket: Bucket, sink: Sink) -> None:
        answers = {answer.id: answer for answer in self.answers}
        listed = bucket.rows(LIST, Listed)
        sink.expect(row.recording.id for row in listed)
        for row in listed:
            decision = self.decision(row.recording, answers.get(row.recording.id))
            sink.keep(row.recording.id, decision)
            if decision.verdict != "allow":
                sink.reject(row.recording.id, decision.rule, decision.detail)

    def decision(self, recording: Recording, answer: Answer | None) -> Decision:
        """The policy's decision; a person may deny anything, and allow what is up for review."""
        decision = decide(recording, self.policy, self.release)
        if answer is None or (answer.verdict == "allow" and decision.verdict != "review"):
            return decision
        rule = "allowed_by_review" if answer.verdict == "allow" else "denied_by_review"
        detail = f"a person answered {answer.verdict} (was: {decision.rule})"
        return dataclasses.replace(decision, verdict=answer.verdict, rule=rule, detail=detail)
