"""Before work is sent out: does every node of the cluster see the output and the inputs?"""

from __future__ import annotations

from dataclasses import dataclass, field

from sao_data.errors import UsageError
from sao_data.execution.executor import Executor
from sao_data.ingest.plan import Plan
from sao_data.storage import layout
from sao_data.storage.backend import Storage, open_storage


def check(plan: Plan, executor: Executor, storage: Storage) -> None:
    """UsageError names the first that a node cannot see. The run's lock marks the folder."""
    executor.on_every_node(_CheckInputs(plan=plan, marker=storage.read(layout.LOCK)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _CheckInputs:
    """Runs on each node."""

    plan: Plan
    marker: bytes = field(repr=False)

    def __call__(self) -> None:
        storage = open_storage(self.plan.url)
        if not storage.exists(layout.LOCK) or storage.read(layout.LOCK) != self.marker:
            raise UsageError(
                f"cannot see {self.plan.url}; give --out a folder that every node mounts at the same path, "
                "or an object store (s3://…)"
            )
        for source in self.plan.sources():
            source.check()
        self.plan.manifest.audio.check()
