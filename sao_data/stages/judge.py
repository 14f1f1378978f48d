"""Judge: what licence and wish alone say of each recording. Every one gets a row, allowed or not.

The verdict is final only after the recordings were compared with each other and persons were heard (decide).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from sao_data import licences
from sao_data.licences import Policy, Release, decide
from sao_data.licences.table import table
from sao_data.records import Decision, Recording
from sao_data.stage import Bucket, Sink
from sao_data.stages.listing import NAME as LIST
from sao_data.stages.listing import Listed

NAME = "judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Licence and preference against the policy."""

    policy: Policy
    release: Release
    taken_down: tuple[str, ...] = ()  # recordings of this bucket that were taken down

    name: ClassVar[str] = NAME
    version: ClassVar[int] = 1
    row: ClassVar[type] = Decision
    inputs: ClassVar[tuple[str, ...]] = (LIST,)
    has_blob: ClassVar[bool] = False

    def settings(self) -> object:
        return [licences.VERSION, table().digest, self.policy, self.release, sorted(self.taken_down)]

    def run(self, bucket: Bucket, sink: Sink) -> None:
        taken = frozenset(self.taken_down)
        listed = bucket.rows(LIST, Listed)
        sink.expect(row.recording.id for row in listed)
        for row in listed:
            sink.keep(row.recording.id, judge(row.recording, self.policy, self.release, taken))


def judge(recording: Recording, policy: Policy, release: Release, taken_down: frozenset[str]) -> Decision:
    """The policy's decision; of what was taken down nothing is known but that."""
    decision = decide(recording, policy, release)
    if recording.id not in taken_down:
        return decision
    detail = "taken down at request; see takedowns.jsonl"
    return dataclasses.replace(decision, verdict="deny", rule="taken_down", detail=detail)
