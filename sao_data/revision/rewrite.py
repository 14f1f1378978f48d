"""Rewrite: change a published dataset in place, without its sources: recordings out, other words in shards.

Only the shards that hold a changed recording are written again; their FLACs are copied byte for byte. The
order makes it safe to kill: a journal (work/rewrite.json) says what is to become of what; dataset.json is
withdrawn; shards, work, tables and evidence are brought to that state, each step seeing for itself whether it
was done; publish.commit writes dataset.json last; then the journal goes. `resume` finishes what was killed.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sao_data import config
from sao_data.dataset import catalogue
from sao_data.dataset.checks import samples as sample_check
from sao_data.dataset.checks import shards as shard_check
from sao_data.dataset.commit import FILE, JOURNAL, SAMPLES, SCREENING, SHARDS, Contents, commit
from sao_data.dataset.publish import answered, waiting
from sao_data.dataset.verify import Dataset
from sao_data.errors import IntegrityError
from sao_data.licences import Release
from sao_data.records import CatalogueRow, Recording, SampleRow, Shard
from sao_data.revision import journal, recheck
from sao_data.revision import purge_work as scrub
from sao_data.revision.journal import Change, Job
from sao_data.revision.rewrite_shard import reshard
from sao_data.rights import known_audio as held
from sao_data.rights import reviews
from sao_data.rights.known_audio import Held
from sao_data.screening import Sent
from sao_data.stages.decide import ALLOWED, DENIED
from sao_data.storage import delimited, evidence, tables
from sao_data.storage.backend import Storage, write_if_changed

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
    is not that of its clip: better no take-down yet than a dataset in pieces."""
    by_id = {change.row.id: change for change in changes}
    storage = dataset.storage
    concerned = {row.shard for row in dataset.samples() if row.recording_id in by_id}
    _examine(dataset, concerned)
    removed = {key for key, change in by_id.items() if change.remove}
    going = {row.evidence for row in dataset.catalogue() if row.id in removed} - {""}
    drop = tuple(sorted(going - _staying(dataset.catalogue(), removed)))
    for name in storage.names(evidence.FOLDER) if drop else ():
        _raw_rows(storage, name, storage.read(name))  # a damaged one stops it here
    return Job(facts=dataset.facts, shards=tuple(sorted(concerned)), evidence=drop, changes=by_id)


def rewrite(storage: Storage, job: Job) -> Rewritten:
    """Make the changes, under the storage's lock."""
    journal.write(storage, job)
    return _finish(storage, job)


def _examine(dataset: Dataset, names: Collection[str]) -> None:
    lost = [
        n for n in dataset.facts["files"] if n.startswith(evidence.FOLDER) and not dataset.storage.exists(n)
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
    storage.delete(FILE)  # from here on nothing is what it says
    packed, samples = _reshard_all(storage, job)
    _scrub(storage, job, packed, samples)
    known = tables.iterate(storage, catalogue.FILE, CatalogueRow)
    rows = [job.changes[row.id].row if row.id in job.changes else row for row in known]
    sent = _sent(storage, job)
    contents = Contents(
        described=job.facts["manifest"],
        rows=rows,
        shards=list(packed.values()),
        samples=[row for shard in samples.values() for row in shard],
        evidence=dict(_evidence(storage, frozenset(job.evidence), _staying(rows, job.removed))),
        held=dict(_held(storage, job)),
        sent=sent,
        undone=_undone(job, rows),
        answers=_answers(job, rows),
        warnings=tuple(job.facts.get("warnings", ())),
    )
    info, _ = commit(storage, contents)
    release = config.parse(Release, job.facts["manifest"]["release"], where=FILE)
    reviews.write(storage, waiting(rows, release), answered(rows))
    storage.delete(JOURNAL)
    return Rewritten(
        before=str(job.facts["version"]),
        after=info.version,
        written=tuple(name for name in job.shards if name in packed),
        deleted=tuple(name for name in job.shards if name not in packed),
    )


def _reshard_all(storage: Storage, job: Job) -> tuple[dict[str, Shard], dict[str, list[SampleRow]]]:
    """All shards and their samples, by name, the concerned ones brought to their new state."""
    packed = {shard.name: shard for shard in tables.iterate(storage, SHARDS, Shard)}
    samples: dict[str, list[SampleRow]] = {}
    for row in tables.iterate(storage, SAMPLES, SampleRow):
        samples.setdefault(row.shard, []).append(row)
    new = {key: sample for change in job.changes.values() for key, sample in change.samples.items()}
    for name in job.shards:
        packed.pop(name, None)
        shard, rows = reshard(storage, name, samples.pop(name, []), job.removed, new)
        if shard is not None:
            packed[name], samples[name] = shard, rows
    return packed, samples


def _scrub(
    storage: Storage, job: Job, packed: Mapping[str, Shard], samples: Mapping[str, list[SampleRow]]
) -> None:
    """Bring the work to the same state, and what a recheck found."""
    for bucket in sorted({_bucket_of(name) for name in job.shards}):
        names = [name for name in sorted(packed) if _bucket_of(name) == bucket]
        rows = [row for name in names for row in samples[name]]
        scrub.repack(storage, bucket, rows, [packed[name] for name in names])
    if job.removed:
        scrub.forget(storage, job.buckets(job.removed), job.removed)
        scrub.forget_listings(
            storage, [source["plugin"] for source in job.facts["manifest"]["source"]], job.removed
        )
        scrub.forget_answers(storage, [row for row in _all_sent(storage) if row.recording_id in job.removed])
    if others := job.changes.keys() - job.removed:
        scrub.recredit(storage, job.buckets(others), lambda recording: _credited(recording, job))
    if storage.exists(recheck.FILE):
        text = storage.read(recheck.FILE).decode()
        lines = delimited.rows(io.StringIO(text, newline=""))
        kept = io.StringIO(newline="")
        terminator = "\r\n" if "\r\n" in text else "\n"
        writer = csv.writer(kept, lineterminator=terminator)
        writer.writerows(line for line in lines if job.changes.keys().isdisjoint(line[:1]))
        write_if_changed(storage, recheck.FILE, kept.getvalue().encode())


def _credited(recording: Recording, job: Job) -> Recording:
    change = job.changes.get(recording.id)
    if change is None or change.remove:
        return recording
    return dataclasses.replace(recording, **{name: getattr(change.row, name) for name in CREDIT})


def _evidence(storage: Storage, going: frozenset[str], staying: set[str]) -> Iterator[tuple[str, bytes]]:
    """Every evidence file, without what was said of works that go.

    A work's own raw row is followed by other readings of it, whose digests are in no table: they go with it.
    """
    for name in storage.names(evidence.FOLDER):
        data = storage.read(name)
        kept, goes = [], False
        rows = _raw_rows(storage, name, data) if going else []
        for row in rows:
            digest = hashlib.sha256(row.encode()).hexdigest()
            goes = digest in going or (goes and digest not in staying)
            if not goes:
                kept.append(row)
        if len(kept) == len(rows):
            yield name, data
        elif kept:
            yield evidence.pack(kept)


def _raw_rows(storage: Storage, name: str, data: bytes) -> list[str]:
    try:
        return evidence.unpack(data)
    except ValueError as error:
        raise IntegrityError(f"{storage.url}/{name}: damaged ({error}); run `sao verify`") from error


def _held(storage: Storage, job: Job) -> Iterator[tuple[str, bytes]]:
    """Every table of fingerprints, without those of what is removed (its tombstone has it)."""
    concerned = {held.name_of(bucket) for bucket in job.buckets(job.changes)}
    for name in storage.names(held.FOLDER):
        if name not in concerned:
            yield name, storage.read(name)
            continue
        rows = [row for row in tables.iterate(storage, name, Held) if row.recording_id not in job.removed]
        if rows:
            yield name, tables.to_bytes(Held, [_held_as(row, job) for row in rows])


def _all_sent(storage: Storage) -> list[Sent]:
    return tables.read(storage, SCREENING, Sent) if storage.exists(SCREENING) else []


def _sent(storage: Storage, job: Job) -> tuple[Sent, ...]:
    """The audit of the screening without what is removed; names that were only looked up here, as they are
    now."""
    rows = []
    for row in _all_sent(storage):
        change = job.changes.get(row.recording_id)
        if change is None:
            rows.append(row)
        elif not change.remove:
            rows.append(_asked_as(row, change.row.author))
    return tuple(rows)


def _asked_as(row: Sent, author: str) -> Sent:
    if row.status != "looked_up_locally":
        return row  # only the audio was told
    asked = json.loads(row.what) | {"artist": author}
    return dataclasses.replace(row, what=json.dumps(asked, ensure_ascii=False))


def _held_as(row: Held, job: Job) -> Held:
    change = job.changes.get(row.recording_id)
    return row if change is None else dataclasses.replace(row, author_id=change.row.author_id)


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
