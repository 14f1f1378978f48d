"""The journal of a change in place (work/rewrite.json): the state to reach, however much has been done."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sao_data.dataset.facts import DatasetFacts
from sao_data.forms import Digest, ShardName
from sao_data.ids import bucket_of
from sao_data.records import CatalogueRow, Sample
from sao_data.storage import documents, layout
from sao_data.storage.backend import Storage

_FIX = "delete it and run the ingest, which builds the same from the sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of one recording."""

    row: CatalogueRow  # as it will be
    remove: bool = False  # nothing that is known of it stays, but for the row
    samples: dict[str, Sample] = field(default_factory=dict)  # by key, as they will be


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done."""

    facts: dict[str, Any]  # dataset.json as it was
    shards: tuple[str, ...]  # those that hold a changed recording
    evidence: tuple[str, ...]  # digests of the raw rows that go
    changes: dict[str, Change]  # by recording id

    @property
    def removed(self) -> frozenset[str]:
        return frozenset(key for key, change in self.changes.items() if change.remove)

    def buckets(self, ids: Iterable[str]) -> frozenset[int]:
        num_buckets = int(self.facts["manifest"]["num_buckets"])
        return frozenset(bucket_of(key, num_buckets) for key in ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    facts: dict[str, Any]
    shards: tuple[ShardName, ...]
    evidence: tuple[Digest, ...]
    changes: tuple[Change, ...]


def write(storage: Storage, job: Job) -> None:
    """From here on the job is done, if not by this run then by the next."""
    changes = [dataclasses.asdict(change) for change in job.changes.values()]
    plain = {"facts": job.facts, "shards": job.shards, "evidence": job.evidence, "changes": changes}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False)
    storage.write(layout.JOURNAL, text.encode())


def read(storage: Storage) -> Job | None:
    """The job that a killed run left; None if there is none."""
    if not storage.exists(layout.JOURNAL):
        return None
    where = f"{storage.url}/{layout.JOURNAL}"
    found = documents.read(_Stored, storage.read(layout.JOURNAL), where=where, fix=_FIX)
    documents.checked(DatasetFacts, json.dumps(found.facts).encode(), where=f"{where}: facts", fix=_FIX)
    return Job(
        facts=found.facts,
        shards=found.shards,
        evidence=found.evidence,
        changes={change.row.id: change for change in found.changes},
    )
