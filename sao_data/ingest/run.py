"""The pipeline from end to end: list, judge, match; prepare every bucket, compare them, pack each; publish.

Each step's finished units are on disk before the next begins, so the same command continues after any stop,
and a finished dataset is recognised without starting a worker.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sao_data.dataset import owner
from sao_data.dataset.history import past
from sao_data.dataset.publish import Finished, publish
from sao_data.dataset.summary import Summary
from sao_data.errors import Later, MatchedNothing, SourceChanged, TooManyRejects
from sao_data.execution.executor import Executor
from sao_data.ingest import decontaminate, nodes, remote_sources
from sao_data.ingest.global_steps import compare, compare_tags, match, screen
from sao_data.ingest.listing import apply_updates, nums_by_bucket
from sao_data.ingest.plan import (
    Plan,
    Unit,
    decided,
    make_units,
    planned,
    to_pack,
    unfinished,
    unjudged,
    with_dropped,
    with_objections,
)
from sao_data.ingest.sides import with_sides
from sao_data.manifest import Limits, Manifest
from sao_data.matching import decontamination
from sao_data.matching.metadata import most_severe
from sao_data.plugins import Source
from sao_data.records import Objection
from sao_data.revision import rewrite
from sao_data.rights import reviews, takedowns
from sao_data.rights.takedowns import Tombstones
from sao_data.screening import AuditRow, check_ready
from sao_data.stages import listing
from sao_data.stages.base import run_stage
from sao_data.stages.heard.describe import build_captioner
from sao_data.storage.backend import Storage, open_storage

log = logging.getLogger(__name__)
_MOST_READINGS = 3  # listings in one run; what changes under it more often than that is for the next one


class Progress(Protocol):
    """Shows how far a step is; sao_data/commands/progress.py has one for terminals and one for logs."""

    def start(self, step: str, total: int | None) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


def judge(unit: Unit) -> int:
    """Judge the recordings of one bucket by licence and wish; return how many it has."""
    run_stage(unit.judge(), unit.bucket())
    return unit.num_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How far a unit came."""

    num_rows: int
    later: str = ""  # why it is not done, if it is not
    read_again: bool = False  # a source says something else now: list again, and it can be done


def prepare(unit: Unit) -> Outcome:
    """Run the per-recording stages of one bucket."""
    bucket = unit.bucket()
    try:
        for stage in unit.stages():
            run_stage(stage, bucket)
    except (Later, SourceChanged) as error:
        return Outcome(num_rows=unit.num_rows, later=str(error), read_again=isinstance(error, SourceChanged))
    return Outcome(num_rows=unit.num_rows)


def pack(unit: Unit) -> int:
    """Write one bucket's shards; return how many recordings it has."""
    bucket = planned(unit)
    normalise = next(stage for stage in unit.stages() if stage.name == "normalise")
    unit.packing().run(bucket, normalise)
    return unit.num_rows


def ingest(
    manifest: Manifest, url: str, executor: Executor, progress: Progress, *, accept_terms: bool = False
) -> Summary:
    """Build the dataset at `url`, or continue or extend the one that is there; return what it holds.

    What could not be done now (`Summary.later` says why) is left for the next run; the rest is published.
    Raises UsageError (another owner, missing input), Locked, Stopped (run again to continue), MatchedNothing.
    """
    plan = Plan(url=url, manifest=manifest)
    sources = _checked_sources(plan)
    check_ready(manifest.screening)
    if manifest.captioner:
        build_captioner(manifest.captioner).check()
    storage = open_storage(url)
    owner.check(storage, manifest)
    with storage.lock():
        storage.remove_leftovers()
        rewrite.resume(storage)
        owner.claim(storage, manifest)
        plan = remote_sources.attached(plan, sources, executor, accept_terms=accept_terms)
        taken = takedowns.read_tombstones(storage)
        units, later, remarks = _prepared(plan, storage, executor, progress, taken)
        late = unfinished(units, storage)
        done = [unit for unit in units if unit not in late]
        if not done:
            raise Later(f"{manifest.name}: no bucket is complete yet. {later}")
        summary = _publish(done, late, later, remarks, storage, executor, progress, taken)
        storage.remove_leftovers()
    return summary


def _prepared(
    plan: Plan, storage: Storage, executor: Executor, progress: Progress, taken: Tombstones
) -> tuple[list[Unit], str, tuple[str, ...]]:
    """List, judge, match and prepare; again where a source says something else by then. The units, why some
    of them are not done, '' if all are, and what the sources want said."""
    for _ in range(_MOST_READINGS):
        units, under_earlier_terms, remarks = _list(plan, plan.sources(), storage, progress, taken)
        _map(executor, judge, unjudged(units, storage), units, "judge", progress)
        held_out = decontaminate.by_id(plan.manifest, decontaminate.listed_recordings(units))
        matched = match(units, taken, storage, under_earlier_terms)
        units = with_objections(units, most_severe(held_out, matched, under_earlier_terms))
        outcomes = _prepare_all(units, storage, executor, progress)
        late = [outcome for outcome in outcomes if outcome.later]
        if not any(outcome.read_again for outcome in late):
            break
    return units, next((outcome.later for outcome in late), ""), remarks


def _publish(
    done: list[Unit],
    late: list[Unit],
    later: str,
    remarks: tuple[str, ...],
    storage: Storage,
    executor: Executor,
    progress: Progress,
    taken: Tombstones,
) -> Summary:
    """Compare, pack and publish what is complete."""
    plan = done[0].plan
    progress.start("compare", None)
    found, pairs = compare(done, storage, taken, late)
    found += decontaminate.by_sound(done, storage, found)
    progress.finish()
    found += compare_tags(done, storage, found)
    hits, sent = _screened(done, storage, found, progress)
    done = with_dropped(
        done, most_severe(hits, reversed(found))
    )  # of equal ones the last tells of all answers
    done, large = with_sides(done, pairs)
    _pack_all(done, storage, executor, progress)
    progress.start("publish", None)
    summary = publish(
        storage,
        plan.manifest,
        [_finished(unit) for unit in done],
        undone=[(unit.bucket(), decided(unit)) for unit in late],
        notes=(*_notes(plan.sources()), *remarks, *large),
        sent=sent,
    )
    progress.finish()
    return dataclasses.replace(summary, later=later)


def _screened(
    done: list[Unit], storage: Storage, found: list[Objection], progress: Progress
) -> tuple[list[Objection], tuple[AuditRow, ...]]:
    """Objections and audit of the screening, which may ask others and take its time; nothing if it is off."""
    if done[0].plan.manifest.screening.provider == "off":
        return [], ()
    progress.start("screen", None)
    answer = screen(done, storage, found)
    progress.finish()
    return answer


def check_limits(summary: Summary, limits: Limits) -> None:
    """Raise TooManyRejects if a larger share was rejected than the manifest allows."""
    if summary.reject_share > limits.max_reject_share:
        raise TooManyRejects(
            f"{summary.name}: {summary.reject_share:.1%} of the recordings were rejected for their audio or "
            f"metadata, limits.max_reject_share is {limits.max_reject_share:.1%}; see catalogue.parquet"
        )


def check_complete(summary: Summary) -> None:
    """Raise Later if some buckets wait for the next run."""
    if summary.later:
        raise Later(f"{summary.name}: not complete yet. {summary.later}")


def dry_run(manifest: Manifest, url: str, progress: Progress) -> Summary:
    """What a run would do, from the listing and the decisions alone; nothing is written."""
    from sao_data.ingest.dry_run import forecast

    plan = Plan(url=url, manifest=manifest)
    sources = _checked_sources(plan)
    storage = open_storage(url)
    owner.check(storage, manifest)
    progress.start("list", None)
    foreseen = dict(remote_sources.forecasts(plan, sources))
    here = [
        remote_sources.SkippedSource() if place in foreseen else source
        for place, source in enumerate(sources)
    ]
    listed = listing.ask(manifest, here)
    progress.finish()
    return forecast(plan, storage, listed, tuple(foreseen.values()))


def _checked_sources(plan: Plan) -> tuple[Source, ...]:
    sources = plan.sources()
    for source in sources:
        source.check()
    plan.manifest.audio.check()
    decontamination.check(plan.manifest.decontaminate)
    return sources


def _notes(sources: tuple[Source, ...]) -> tuple[str, ...]:
    """What sources want said of every dataset made from them."""
    return tuple(note for source in sources for note in getattr(source, "notes", tuple)())


def _list(
    plan: Plan, sources: tuple[Source, ...], storage: Storage, progress: Progress, taken: Tombstones
) -> tuple[list[Unit], tuple[Objection, ...], tuple[str, ...]]:
    """The units to do, what is to be said of works that stay under earlier terms, the sources' remarks."""
    progress.start("list", None)
    listed = listing.ask(plan.manifest, list(sources), progress.advance)
    if not listed.num_offered:
        raise MatchedNothing(
            f"{plan.manifest.name}: the sources offer no recordings; check their path and listing"
        )
    special = apply_updates(listed, sources, plan.manifest, storage, taken)
    num_buckets = plan.manifest.num_buckets
    parts = listing.publish(storage, listed, num_buckets)
    progress.finish()
    nums, answers = nums_by_bucket(listed, num_buckets), reviews.read(storage)
    units = make_units(plan, parts, nums, answers, special.taken_down)
    return units, special.under_earlier_terms, listed.remarks


def _prepare_all(
    units: list[Unit], storage: Storage, executor: Executor, progress: Progress
) -> list[Outcome]:
    todo = unfinished(units, storage)
    if todo:
        nodes.check(todo[0].plan, executor, storage)
    _start(progress, "prepare", todo, units)
    outcomes = []
    for outcome in executor.map(prepare, todo):
        outcomes.append(outcome)
        progress.advance(0 if outcome.later else outcome.num_rows)
    progress.finish()
    return outcomes


def _pack_all(units: list[Unit], storage: Storage, executor: Executor, progress: Progress) -> None:
    todo = to_pack(units, storage)
    if todo:
        past.withdraw(storage)  # from here on the shards are not what dataset.json says
    _map(executor, pack, todo, units, "pack", progress)


def _finished(unit: Unit) -> Finished:
    bucket = planned(unit)
    bucket.parts["pack"] = unit.packing().part(bucket)
    return bucket, unit.dropped


def _map(
    executor: Executor,
    work: Callable[[Unit], int],
    todo: list[Unit],
    units: list[Unit],
    step: str,
    progress: Progress,
) -> None:
    _start(progress, step, todo, units)
    for num_rows in executor.map(work, todo):
        progress.advance(num_rows)
    progress.finish()
    log.info(
        "%s: %d of %d buckets done now, %d were done", step, len(todo), len(units), len(units) - len(todo)
    )


def _start(progress: Progress, step: str, todo: list[Unit], units: list[Unit]) -> None:
    """Begin a step over the units that it has not been done for."""
    total = sum(unit.num_rows for unit in units)
    progress.start(step, total)
    progress.advance(total - sum(unit.num_rows for unit in todo))
