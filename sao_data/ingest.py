"""The data road from end to end: list, prepare every bucket, compare across buckets, pack every bucket,
publish.

Each step's finished units are on disk before the next begins, so the same command continues after any stop,
and a finished dataset is recognised without starting a worker.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sao_data import owner, plugins, reviews
from sao_data.dedupe import Fingerprint, find_duplicates
from sao_data.errors import MatchedNothing, TooManyRejects, UsageError
from sao_data.executor import Executor
from sao_data.ids import bucket_of
from sao_data.manifest import Limits, Manifest
from sao_data.plugins import Source
from sao_data.publish import FILE as DATASET
from sao_data.publish import publish
from sao_data.records import Clip, Decision, Rejection
from sao_data.reviews import Answer
from sao_data.stage import Bucket, Part, Stage, is_complete, part_of, run_stage
from sao_data.stages import listing
from sao_data.stages.caption import WriteCaptions
from sao_data.stages.curate import Curate
from sao_data.stages.decide import Decide
from sao_data.stages.fetch import Fetch
from sao_data.stages.normalise import Normalise
from sao_data.stages.pack import Pack
from sao_data.storage import Storage, open_storage
from sao_data.summary import Summary

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Shows how far a step is; sao_data/progress.py has one for terminals and one for logs."""

    def start(self, step: str, total: int | None) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a worker needs to know: where the dataset lies and what the manifest says."""

    url: str
    manifest: Manifest

    def sources(self) -> tuple[Source, ...]:
        return tuple(plugins.load("sources", s.plugin).build(s.config) for s in self.manifest.source)

    def stages(self, answers: tuple[Answer, ...]) -> list[Stage]:
        """The per-recording stages, in order."""
        manifest, sources = self.manifest, self.sources()
        return [
            Decide(policy=manifest.policy, release=manifest.release, answers=answers),
            Fetch(sources=sources, max_bytes=manifest.audio.max_bytes),
            Normalise(sources=sources, audio=manifest.audio, cut=manifest.cut),
            Curate(filters=manifest.filter),
            WriteCaptions(builder=manifest.caption),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One bucket's share of the work, as it is sent to a worker."""

    plan: Plan
    listed: Part
    answers: tuple[Answer, ...]
    num_rows: int
    dropped: tuple[Rejection, ...] = ()

    def bucket(self) -> Bucket:
        bucket = Bucket(storage=open_storage(self.plan.url), index=self.listed.bucket)
        bucket.parts[listing.NAME] = self.listed
        return bucket

    def stages(self) -> list[Stage]:
        return self.plan.stages(self.answers)

    def packing(self) -> Pack:
        manifest = self.plan.manifest
        return Pack(
            dataset=manifest.name, split=manifest.split, dropped=self.dropped, keep_blob=manifest.work.keep
        )


def prepare(unit: Unit) -> int:
    """Run the per-recording stages of one bucket; return how many recordings it has."""
    bucket = unit.bucket()
    for stage in unit.stages():
        run_stage(stage, bucket)
    return unit.num_rows


def pack(unit: Unit) -> int:
    """Write one bucket's shards; return how many recordings it has."""
    bucket = planned(unit)
    normalise = next(stage for stage in unit.stages() if stage.name == "normalise")
    unit.packing().run(bucket, normalise)
    return unit.num_rows


def planned(unit: Unit) -> Bucket:
    """The bucket with all its parts named, whether or not they are there."""
    bucket = unit.bucket()
    for stage in unit.stages():
        bucket.parts[stage.name] = part_of(stage, bucket)
    return bucket


def run(manifest: Manifest, url: str, executor: Executor, progress: Progress) -> Summary:
    """Build the dataset at `url`, or continue or extend the one that is there; return what it holds.

    Raises UsageError (another owner, missing input), Locked, Stopped (run again to continue), MatchedNothing.
    """
    plan = Plan(url=url, manifest=manifest)
    sources = _checked_sources(plan)
    storage = open_storage(url)
    owner.check(storage, manifest)
    with storage.lock():
        storage.sweep()
        owner.claim(storage, manifest)
        units = _list(plan, sources, storage, progress)
        units = _prepare_all(units, storage, executor, progress)
        progress.start("compare", None)
        units = drop_duplicates(units)
        progress.finish()
        _pack_all(units, storage, executor, progress)
        progress.start("publish", None)
        summary = publish(storage, manifest, [_finished(unit) for unit in units])
        storage.sweep()
        progress.finish()
    return summary


def check_limits(summary: Summary, limits: Limits) -> None:
    """Raise TooManyRejects if a larger share was rejected than the manifest allows."""
    if summary.reject_share > limits.max_reject_share:
        raise TooManyRejects(
            f"{summary.name}: {summary.reject_share:.1%} of the recordings were rejected for their audio or "
            f"metadata, limits.max_reject_share is {limits.max_reject_share:.1%}; see catalogue.parquet"
        )


def dry_run(manifest: Manifest, url: str, progress: Progress) -> Summary:
    """What a run would do, from the listing and the decisions alone; nothing is written."""
    from sao_data.dryrun import forecast

    plan = Plan(url=url, manifest=manifest)
    sources = _checked_sources(plan)
    storage = open_storage(url)
    owner.check(storage, manifest)
    progress.start("list", None)
    listed = listing.ask(manifest, list(sources))
    progress.finish()
    return forecast(plan, storage, listed)


def make_units(plan: Plan, parts: Iterable[Part], nums: list[int], answers: dict[str, Answer]) -> list[Unit]:
    """One unit a bucket, each with the answers that concern it."""
    by_bucket: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers.values():
        by_bucket[bucket_of(answer.id, plan.manifest.num_buckets)].append(answer)
    return [
        Unit(plan=plan, listed=part, answers=tuple(by_bucket[part.bucket]), num_rows=num)
        for part, num in zip(parts, nums, strict=True)
    ]


def unfinished(units: list[Unit], storage: Storage) -> list[Unit]:
    """Units some of whose per-recording parts are not there. Bucket by bucket, on names alone."""
    found = []
    for unit in units:
        bucket = planned(unit)
        parts = [part for name, part in bucket.parts.items() if name != listing.NAME]
        if not all(is_complete(storage, part) for part in parts):
            found.append(unit)
    return found


def _checked_sources(plan: Plan) -> tuple[Source, ...]:
    sources = plan.sources()
    for source in sources:
        source.check()
    return sources


def _list(plan: Plan, sources: tuple[Source, ...], storage: Storage, progress: Progress) -> list[Unit]:
    progress.start("list", None)
    listed = listing.ask(plan.manifest, list(sources), progress.advance)
    if not listed.num_offered:
        raise MatchedNothing(
            f"{plan.manifest.name}: the sources offer no recordings; check their path and listing"
        )
    num_buckets = plan.manifest.num_buckets
    parts = listing.publish(storage, listed, num_buckets)
    progress.finish()
    nums = [0] * num_buckets
    for recording_id in listed.rows:
        nums[bucket_of(recording_id, num_buckets)] += 1
    return make_units(plan, parts, nums, reviews.read(storage))


def _prepare_all(units: list[Unit], storage: Storage, executor: Executor, progress: Progress) -> list[Unit]:
    todo = unfinished(units, storage)
    _check_nodes(todo, executor, storage)
    _map(executor, prepare, todo, units, "prepare", progress)
    return units


def drop_duplicates(units: list[Unit]) -> list[Unit]:
    """The global stage: every bucket learns which of its recordings another bucket (or it) has already."""
    fingerprints = (item for unit in units for item in _fingerprints(planned(unit)))
    duplicates = find_duplicates(fingerprints, units[0].plan.manifest.dedupe)
    by_bucket: dict[int, list[Rejection]] = defaultdict(list)
    for rejection in duplicates:
        by_bucket[bucket_of(rejection.id, len(units))].append(rejection)
    return [dataclasses.replace(u, dropped=tuple(by_bucket[u.listed.bucket])) for u in units]


def to_pack(units: list[Unit], storage: Storage) -> list[Unit]:
    """Units whose shards are not those that they would write."""
    return [u for u in units if not u.packing().is_complete(storage, u.packing().part(planned(u)))]


def _fingerprints(bucket: Bucket) -> Iterable[Fingerprint]:
    families = {d.recording_id: d.family for d in bucket.rows("decide", Decision)}
    audio = {clip.recording_id: clip.audio_sha256 for clip in bucket.rows("curate", Clip)}
    for recording_id, sha256 in audio.items():
        yield Fingerprint(recording_id=recording_id, audio_sha256=sha256, family=families[recording_id])


def _pack_all(units: list[Unit], storage: Storage, executor: Executor, progress: Progress) -> None:
    todo = to_pack(units, storage)
    if todo:
        storage.delete(DATASET)  # from here on the shards are not what it says
    _map(executor, pack, todo, units, "pack", progress)


def _finished(unit: Unit) -> tuple[Bucket, tuple[Rejection, ...]]:
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
    total = sum(unit.num_rows for unit in units)
    progress.start(step, total)
    progress.advance(total - sum(unit.num_rows for unit in todo))
    for num_rows in executor.map(work, todo):
        progress.advance(num_rows)
    progress.finish()
    log.info(
        "%s: %d of %d buckets done now, %d were done", step, len(todo), len(units), len(units) - len(todo)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeesEverything:
    """Runs on each node of a cluster: can it see the output and the inputs?"""

    plan: Plan
    marker: bytes = field(repr=False)

    def __call__(self) -> None:
        storage = open_storage(self.plan.url)
        if not storage.exists("lock") or storage.read("lock") != self.marker:
            raise UsageError(
                f"cannot see {self.plan.url}; give --out a folder that every node mounts at the same path, "
                "or an object store (s3://…)"
            )
        _checked_sources(self.plan)


def _check_nodes(todo: list[Unit], executor: Executor, storage: Storage) -> None:
    if todo:
        executor.on_every_node(_SeesEverything(plan=todo[0].plan, marker=storage.read("lock")))
