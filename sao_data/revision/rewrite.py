"""Rewrite: change a published dataset in place, without its sources: recordings out, other words in shards.

Only the shards that hold a changed recording are written again; their FLACs are copied byte for byte. The
order makes it safe to kill: a journal (work/rewrite.json) says what is to become of what; dataset.json is
withdrawn; shards, work, tables and evidence are brought to that state, each step seeing for itself whether it
was done; commit.commit writes dataset.json last; then the journal is deleted. `resume` finishes what was
killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sao_data import config
from sao_data.dataset import catalogue, measured
from sao_data.dataset.checks import sample_check, shard_check
from sao_data.dataset.commit import Contents, commit
from sao_data.dataset.history import past
from sao_data.dataset.publish import answered, open_questions
from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError
from sao_data.licences import Release
from sao_data.measures import MeasuredClip
from sao_data.records import CatalogueRow, Recording, SampleRow, Shard
from sao_data.revision import journal, recheck
from sao_data.revision.journal import Change, Job
from sao_data.revision.purge_work import purge
from sao_data.revision.rewrite_shard import rewrite_shard
from sao_data.rights import known_audio, reviews
from sao_data.screening import audit
from sao_data.stages import amend
from sao_data.stages.decide import ALLOWED, DENIED
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import Storage

CREDIT = ("author", "author_id", "author_url", "page_url", "copyright_notice", "requested_credit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What was done."""

    before: str  # dataset versions
    after: str
    written: tuple[str, ...]  # shards
    deleted: tuple[str, ...]


def plan(dataset: Dataset, changes: Iterable[Change]) -> Job:
    """What is to be done. IntegrityError if a shard to rewrite is not exactly what its tables say, or a name
    is not that of its clip: better no take-down yet than a damaged dataset."""
    by_id = {change.row.id: change for change in changes}
    storage = dataset.storage
    concerned = {row.shard for row in dataset.samples() if row.recording_id in by_id}
    _examine(dataset, concerned)
    removed = {key for key, change in by_id.items() if change.remove}
    going = {row.evidence for row in dataset.catalogue() if row.id in removed} - {""}
    drop = tuple(sorted(going - _staying(dataset.catalogue(), removed)))
    for name in storage.names(layout.EVIDENCE) if drop else ():
        evidence.raw_rows(storage, name, storage.read(name))  # a damaged one stops it here
    return Job(facts=dataset.facts, shards=tuple(sorted(concerned)), evidence=drop, changes=by_id)


def rewrite(storage: Storage, job: Job) -> Rewritten:
    """Make the changes, under the storage's lock."""
    journal.write(storage, job)
    return _finish(storage, job)


@contextlib.contextmanager
def changing(storage: Storage) -> Iterator[Rewritten | None]:
    """The storage locked for a change in place; what a killed one had begun is finished first, and given."""
    with storage.lock():
        storage.remove_leftovers()
        yield resume(storage)


def _examine(dataset: Dataset, names: Collection[str]) -> None:
    lost = [
        n for n in dataset.facts["files"] if n.startswith(layout.EVIDENCE) and not dataset.storage.exists(n)
    ]
    where, fix = dataset.storage.url, "nothing was changed; `sao verify` lists all that is wrong"
    samples = [row for row in dataset.samples() if row.shard in names]
    problems = sample_check.misplaced(dataset.samples(), dataset.facts["manifest"]["num_buckets"])
    for shard in dataset.shards():
        if shard.name in names:
            rows = [row for row in samples if row.shard == shard.name]
            problems = itertools.chain(problems, shard_check.verify_shard(dataset.storage, shard, rows))
    for problem in itertools.chain((f"{name}: missing" for name in lost), problems):
        raise IntegrityError(f"{where}: {problem}; {fix}")


def resume(storage: Storage) -> Rewritten | None:
    """Finish what a killed run began, under the storage's lock; None if there is nothing to finish."""
    job = journal.read(storage)
    return None if job is None else _finish(storage, job)


def _finish(storage: Storage, job: Job) -> Rewritten:
    _keep_history(storage, job)
    storage.delete(layout.DATASET)  # from here on what dataset.json says is no longer true
    packed, samples = _rewrite_shards(storage, job)
    sent = audit.read(storage)
    _update_work(storage, job, packed, samples)
    known = tables.iterate(storage, layout.CATALOGUE, CatalogueRow)
    rows = [job.changes[row.id].row if row.id in job.changes else row for row in known]
    staying = {key: change.row for key, change in job.changes.items() if not change.remove}
    contents = Contents(
        described=job.facts["manifest"],
        rows=rows,
        shards=list(packed.values()),
        samples=[row for shard in samples.values() for row in shard],
        measures=_measures(storage, job),
        evidence=dict(evidence.without(storage, frozenset(job.evidence), _staying(rows, job.removed))),
        fingerprints=dict(
            known_audio.without(
                storage,
                job.buckets(job.changes),
                job.removed,
                {key: row.author_id for key, row in staying.items()},
            )
        ),
        audit=audit.without(sent, job.removed, {key: row.author for key, row in staying.items()}),
        undone=_undone(job, rows),
        answers=_answers(job, rows),
        warnings=tuple(job.facts.get("warnings", ())),
    )
    info, _ = commit(storage, contents)
    release = config.parse(Release, job.facts["manifest"]["release"], where=layout.DATASET)
    reviews.write(storage, open_questions(rows, release), answered(rows))
    storage.delete(layout.JOURNAL)
    return Rewritten(
        before=str(job.facts["version"]),
        after=info.version,
        written=tuple(name for name in job.shards if name in packed),
        deleted=tuple(name for name in job.shards if name not in packed),
    )


def _keep_history(storage: Storage, job: Job) -> None:
    """What checkpoints have heard of the version that ends here; nothing of those who go, or go by another
    name, but that they were there."""
    if storage.exists(layout.DATASET):
        past.keep(
            storage,
            str(job.facts["version"]),
            shards=tables.iterate(storage, layout.SHARDS, Shard),
            samples=tables.iterate(storage, layout.SAMPLES, SampleRow),
            rows=(),  # all others stay
            going=frozenset(job.shards),
            staying=frozenset(),
        )
    past.forget(storage, job.changes.keys())


def _measures(storage: Storage, job: Job) -> list[MeasuredClip] | None:
    """What was measured of the works that stay; None in a dataset of an earlier version, which has no such
    table."""
    known = Dataset(storage=storage, facts=job.facts)
    return measured.without(known.measures(), job.removed) if known.has_measures else None


def _rewrite_shards(storage: Storage, job: Job) -> tuple[dict[str, Shard], dict[str, list[SampleRow]]]:
    """All shards and their samples, by name, the concerned ones brought to their new state."""
    packed = {shard.name: shard for shard in tables.iterate(storage, layout.SHARDS, Shard)}
    samples: dict[str, list[SampleRow]] = {}
    for row in tables.iterate(storage, layout.SAMPLES, SampleRow):
        samples.setdefault(row.shard, []).append(row)
    new = {key: sample for change in job.changes.values() for key, sample in change.samples.items()}
    for name in job.shards:
        packed.pop(name, None)
        shard, rows = rewrite_shard(storage, name, samples.pop(name, []), job.removed, new)
        if shard is not None:
            packed[name], samples[name] = shard, rows
    return packed, samples


def _update_work(
    storage: Storage, job: Job, packed: Mapping[str, Shard], samples: Mapping[str, list[SampleRow]]
) -> None:
    """Bring the unfinished work, and what a recheck found, to the same state."""
    for bucket in sorted({_bucket_of(name) for name in job.shards}):
        names = [name for name in sorted(packed) if _bucket_of(name) == bucket]
        rows = [row for name in names for row in samples[name]]
        amend.repack(storage, bucket, rows, [packed[name] for name in names])
    if job.removed:
        plugin_names = [source["plugin"] for source in job.facts["manifest"]["source"]]
        purge(storage, job.buckets(job.removed), job.removed, plugin_names)
    if others := job.changes.keys() - job.removed:
        amend.change_credits(storage, job.buckets(others), lambda recording: _credited(recording, job))
        recheck.forget(storage, others)


def _credited(recording: Recording, job: Job) -> Recording:
    change = job.changes.get(recording.id)
    if change is None or change.remove:
        return recording
    return dataclasses.replace(recording, **{name: getattr(change.row, name) for name in CREDIT})


def _staying(rows: Iterable[CatalogueRow], removed: Collection[str]) -> set[str]:
    return {row.evidence for row in rows if row.id not in removed and row.evidence}


def _undone(job: Job, rows: Iterable[CatalogueRow]) -> dict[str, int]:
    """What the next run still has to do."""
    before: dict[str, int] = job.facts.get("undone", {})
    num = sum(row.reason == catalogue.NOT_YET for row in rows)
    return {"buckets": before.get("buckets", 0), "recordings": num}


def _answers(job: Job, rows: Iterable[CatalogueRow]) -> dict[str, str]:
    """Persons' answers that still decide something."""
    answers: dict[str, str] = job.facts["answers"]
    return {row.id: answers[row.id] for row in rows if row.rule in (ALLOWED, DENIED) and row.id in answers}


def _bucket_of(shard: str) -> int:
    return int(shard.removesuffix(".tar").rsplit("-", 1)[1])
