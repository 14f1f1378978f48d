"""What a run would do: what would be allowed, which buckets would be made anew; nothing is written."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Sequence

from sao_data.dataset.summary import Summary
from sao_data.errors import UsageError
from sao_data.fetch.remote import SourceForecast
from sao_data.ingest import cost_estimate, decontaminate
from sao_data.ingest.cost_estimate import Size
from sao_data.ingest.global_steps import compare, compare_tags, match_candidates, screen
from sao_data.ingest.listing import apply_updates, nums_by_bucket
from sao_data.ingest.plan import Plan, Unit, make_units, to_pack, unfinished, with_dropped, with_objections
from sao_data.ingest.sides import with_sides
from sao_data.manifest import Manifest
from sao_data.matching import metadata
from sao_data.matching.metadata import most_severe
from sao_data.records import Objection
from sao_data.rights import reviews, takedowns
from sao_data.screening import Screening
from sao_data.screening.music import build_tagger
from sao_data.stages import listing
from sao_data.stages.decide import final
from sao_data.stages.heard.describe import build_captioner
from sao_data.stages.judge import judge
from sao_data.storage.backend import Storage


def forecast(
    plan: Plan, storage: Storage, listed: listing.Listing, foreseen: Sequence[SourceForecast] = ()
) -> Summary:
    """Counts after listing and deciding; `warnings` say how much work a run would be.

    `foreseen`: what remote sources say of themselves without being listed (num_sounds, seconds, num_bytes,
    lines).
    """
    manifest = plan.manifest
    answers, taken = reviews.read(storage), takedowns.read_tombstones(storage)
    special = apply_updates(listed, plan.sources(), manifest, storage, taken)
    gone, under_earlier_terms = special.taken_down, special.under_earlier_terms
    judged = {key: judge(row, manifest.policy, manifest.release, gone) for key, row in listed.rows.items()}
    candidates = (metadata.candidate(row.recording, judged[key]) for key, row in listed.rows.items())
    held_out = decontaminate.by_id(manifest, [row.recording for row in listed.rows.values()])
    matched = most_severe(held_out, match_candidates(candidates, manifest, taken), under_earlier_terms)
    objections = {item.recording_id: item for item in matched}
    reasons: Counter[tuple[str, str]] = Counter()
    nums = nums_by_bucket(listed, manifest.num_buckets)
    seconds, num_unstated = 0.0, 0
    for row in listed.rows.values():
        key = row.recording.id
        decision = final(judged[key], objections.get(key), answers.get(key, ()), manifest.release)
        if decision.verdict == "allow":
            seconds += row.recording.media.seconds or 0.0
            num_unstated += row.recording.media.seconds is None
        else:
            reasons[("decide", decision.rule)] += 1
        if row.num_offers > 1:
            reasons[(listing.LIST, "duplicate_id")] += row.num_offers - 1
    for rejection in listed.rejections:
        reasons[(listing.LIST, rejection.reason)] += 1
    plan, note = _without_weights(plan)
    units = make_units(plan, listing.parts(listed, manifest.num_buckets), nums, answers, gone)
    units = with_objections(units, objections.values())
    todo = unfinished(units, storage)
    num_packed = "some" if todo else len(to_pack(_compared(units, storage, taken), storage))
    num_todo = sum(unit.num_rows for unit in todo)
    kept = listed.num_offered - reasons.total()
    size = Size(num_recordings=kept, seconds=seconds, num_bytes=0, num_unstated=num_unstated)
    return Summary(
        name=manifest.name,
        url=plan.url,
        version="not made",
        offered=listed.num_offered,
        kept=kept,
        rejected=tuple((*key, num) for key, num in sorted(reasons.items(), key=lambda i: (-i[1], i[0]))),
        seconds=seconds,
        num_samples=0,
        num_shards=0,
        num_bytes=0,
        warnings=(
            *_foreseen(manifest, size, foreseen),
            *note,
            *listed.remarks,
            f"{len(todo)} of {len(units)} buckets ({num_todo} recordings) would be prepared now.",
            f"Shards of {num_packed} of {len(units)} buckets would be written.",
            "Filters and duplicates need the audio: a run may leave out more than is counted here.",
        ),
        num_unstated=num_unstated,
        changed=bool(num_packed),
    )


def _without_weights(plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """A plan that can be made here: one without tagger or captioner if its weights are not, and a word."""
    manifest, lacking = plan.manifest, []
    if manifest.screening.needs_tagger:
        try:
            build_tagger(manifest.screening).check()
        except UsageError as error:
            manifest = dataclasses.replace(manifest, screening=Screening(provider="off"))
            lacking.append(f"A run would stop here: {error}")
    if manifest.captioner:
        try:
            build_captioner(manifest.captioner).check()
        except UsageError as error:
            manifest = dataclasses.replace(manifest, captioner=None)
            lacking.append(f"A run would stop here: {error}")
    return dataclasses.replace(plan, manifest=manifest), tuple(lacking)


def _foreseen(manifest: Manifest, here: Size, foreseen: Sequence[SourceForecast]) -> Iterator[str]:
    """What the sources hold and what a first run over them costs."""
    for item in foreseen:
        yield from item.lines()
    size = Size(
        num_recordings=here.num_recordings + sum(item.num_sounds for item in foreseen),
        seconds=here.seconds + sum(item.seconds for item in foreseen),
        num_bytes=sum(item.num_bytes for item in foreseen),
        num_unstated=here.num_unstated + sum(item.num_sounds for item in foreseen if not item.seconds),
    )
    yield from cost_estimate.lines(size, manifest, os.cpu_count() or 1)


def _compared(units: list[Unit], storage: Storage, taken: takedowns.Tombstones) -> list[Unit]:
    """Units that know what the comparison of their audio finds. Nobody outside is asked: without that the
    shards that a screening may change count as they are."""
    found, pairs = compare(units, storage, taken)
    found += decontaminate.by_sound(units, storage, found, is_kept=False)
    found += compare_tags(units, storage, found)
    hits: list[Objection] = []
    if units[0].plan.manifest.screening.provider in ("dry-run", "catalogue"):
        hits, _ = screen(units, storage, found)
    return with_sides(with_dropped(units, most_severe(hits, reversed(found))), pairs)[0]
