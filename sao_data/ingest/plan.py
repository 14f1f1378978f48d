"""The plan of a run: which parts every bucket will have, known from names alone before any work is done."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sao_data import plugins
from sao_data.ids import bucket_of
from sao_data.manifest import Manifest
from sao_data.plugins import Source
from sao_data.records import Decision, Objection
from sao_data.rights.reviews import Answer, Answers
from sao_data.stages import listing
from sao_data.stages.base import Bucket, Part, Stage, is_complete, part_of
from sao_data.stages.caption import WriteCaptions
from sao_data.stages.curate import Curate
from sao_data.stages.decide import Decide, by_id, final
from sao_data.stages.fetch import Fetch
from sao_data.stages.heard.describe import Describe
from sao_data.stages.judge import JUDGE, Judge
from sao_data.stages.normalise import Normalise
from sao_data.stages.pack import Pack
from sao_data.stages.screen import Screen
from sao_data.storage.backend import Storage, open_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a worker needs to know: where the dataset lies and what the manifest says."""

    url: str
    manifest: Manifest
    attached: tuple[
        tuple[int, Source], ...
    ] = ()  # remote sources with what they need, by place in the manifest

    def sources(self) -> tuple[Source, ...]:
        ready = dict(self.attached)
        return tuple(
            ready.get(place) or plugins.load("sources", source.plugin).build(source.config)
            for place, source in enumerate(self.manifest.source)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One bucket's share of the work, as it is sent to a worker."""

    plan: Plan
    listed: Part
    num_rows: int
    answers: tuple[Answer, ...] = ()
    taken_down: tuple[str, ...] = ()
    objections: tuple[Objection, ...] = ()  # before the audio is fetched
    dropped: tuple[Objection, ...] = ()  # after the audio was compared
    moved: tuple[str, ...] = ()  # recordings that lie on the other side of the split than their author

    def bucket(self) -> Bucket:
        bucket = Bucket(storage=open_storage(self.plan.url), index=self.listed.bucket)
        bucket.parts[listing.LIST] = self.listed
        return bucket

    def judge(self) -> Judge:
        manifest = self.plan.manifest
        return Judge(policy=manifest.policy, release=manifest.release, taken_down=self.taken_down)

    def stages(self) -> list[Stage]:
        """The per-recording stages, in order."""
        manifest, sources = self.plan.manifest, self.plan.sources()
        normalise = Normalise(sources=sources, audio=manifest.audio, cut=manifest.cut)
        stages: list[Stage] = [
            self.judge(),
            Decide(release=manifest.release, objections=self.objections, answers=self.answers),
            Fetch(sources=sources, max_bytes=manifest.audio.max_bytes),
            normalise,
            Curate(filters=manifest.filter, caption=manifest.caption),
            WriteCaptions(builder=manifest.caption),
        ]
        if manifest.captioner:
            stages.append(Describe(captioner=manifest.captioner, normalise=normalise))
        if manifest.screening.needs_tagger:
            stages.append(Screen(screening=manifest.screening, normalise=normalise))
        return stages

    def packing(self) -> Pack:
        manifest = self.plan.manifest
        return Pack(
            dataset=manifest.name,
            split=manifest.split,
            dropped=self.dropped,
            keep_blob=manifest.work.keep,
            moved=self.moved,
        )


def make_units(
    plan: Plan,
    parts: Iterable[Part],
    nums: Sequence[int],
    answers: Answers,
    taken_down: Iterable[str] = (),
) -> list[Unit]:
    """One unit a bucket, each with the answers and take-downs that concern it."""
    num_buckets = plan.manifest.num_buckets
    by_bucket: dict[int, list[Answer]] = defaultdict(list)
    for recording_id, said in answers.items():
        by_bucket[bucket_of(recording_id, num_buckets)] += said
    taken: dict[int, list[str]] = defaultdict(list)
    for recording_id in sorted(taken_down):
        taken[bucket_of(recording_id, num_buckets)].append(recording_id)
    return [
        Unit(
            plan=plan,
            listed=part,
            answers=tuple(by_bucket[part.bucket]),
            taken_down=tuple(taken[part.bucket]),
            num_rows=num,
        )
        for part, num in zip(parts, nums, strict=True)
    ]


def with_objections(units: list[Unit], objections: Iterable[Objection]) -> list[Unit]:
    """Units that know of the objections, from before the audio is fetched, to their recordings."""
    found = _by_bucket(objections, units)
    return [dataclasses.replace(u, objections=tuple(found[u.listed.bucket])) for u in units]


def with_dropped(units: list[Unit], objections: Iterable[Objection]) -> list[Unit]:
    """Units that know what the comparison of their audio found."""
    found = _by_bucket(objections, units)
    return [dataclasses.replace(u, dropped=tuple(found[u.listed.bucket])) for u in units]


def with_moved(units: list[Unit], moved: Iterable[str]) -> list[Unit]:
    """Units that know which of their recordings lie on another side than their author."""
    dealt: dict[int, list[str]] = defaultdict(list)
    for key in sorted(moved):
        dealt[bucket_of(key, units[0].plan.manifest.num_buckets)].append(key)
    return [dataclasses.replace(u, moved=tuple(dealt[u.listed.bucket])) for u in units]


def planned(unit: Unit) -> Bucket:
    """The bucket with all its parts named, whether or not they are there."""
    bucket = unit.bucket()
    for stage in unit.stages():
        bucket.parts[stage.name] = part_of(stage, bucket)
    return bucket


def decided(unit: Unit) -> list[Decision]:
    """What was decided about the unit's recordings, whether or not anything was done with them yet."""
    bucket = unit.bucket()
    bucket.parts[JUDGE] = part_of(unit.judge(), bucket)
    objections = {item.recording_id: item for item in unit.objections}
    answers, release = by_id(unit.answers), unit.plan.manifest.release
    return [
        final(d, objections.get(d.recording_id), answers.get(d.recording_id, ()), release)
        for d in bucket.rows(JUDGE, Decision)
    ]


def unjudged(units: list[Unit], storage: Storage) -> list[Unit]:
    """Units whose recordings have no judgement yet."""
    return [u for u in units if not is_complete(storage, part_of(u.judge(), u.bucket()))]


def unfinished(units: list[Unit], storage: Storage) -> list[Unit]:
    """Units some of whose per-recording parts are not there. Bucket by bucket, on names alone."""
    found = []
    for unit in units:
        bucket = planned(unit)
        parts = [part for name, part in bucket.parts.items() if name != listing.LIST]
        if not all(is_complete(storage, part) for part in parts):
            found.append(unit)
    return found


def to_pack(units: list[Unit], storage: Storage) -> list[Unit]:
    """Units whose shards are not those that they would write."""
    return [u for u in units if not u.packing().is_complete(storage, u.packing().part(planned(u)))]


def _by_bucket(objections: Iterable[Objection], units: list[Unit]) -> dict[int, list[Objection]]:
    dealt: dict[int, list[Objection]] = defaultdict(list)
    num_buckets = units[0].plan.manifest.num_buckets if units else 1
    for item in objections:
        dealt[bucket_of(item.recording_id, num_buckets)].append(item)
    return dealt
