"""What a run would do: what would be allowed, which buckets would be made anew; nothing is written."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sao_data import reviews
from sao_data.ids import bucket_of
from sao_data.stages import listing
from sao_data.stages.decide import Decide
from sao_data.storage import Storage
from sao_data.summary import Summary

if TYPE_CHECKING:
    from sao_data.ingest import Plan


def forecast(plan: Plan, storage: Storage, listed: listing.Listing) -> Summary:
    """Counts after listing and deciding; `warnings` say how much work a run would be."""
    from sao_data.ingest import drop_duplicates, make_units, to_pack, unfinished

    manifest = plan.manifest
    answers = reviews.read(storage)
    decide = Decide(policy=manifest.policy, release=manifest.release, answers=tuple(answers.values()))
    reasons: Counter[tuple[str, str]] = Counter()
    nums = [0] * manifest.num_buckets
    seconds = 0.0
    for row in listed.rows.values():
        nums[bucket_of(row.recording.id, manifest.num_buckets)] += 1
        decision = decide.decision(row.recording, answers.get(row.recording.id))
        if decision.verdict == "allow":
            seconds += row.recording.media.seconds or 0.0
        else:
            reasons[("decide", decision.rule)] += 1
        if row.num_offers > 1:
            reasons[(listing.NAME, "duplicate_id")] += row.num_offers - 1
    for rejection in listed.rejections:
        reasons[(listing.NAME, rejection.reason)] += 1
    units = make_units(plan, listing.parts(listed, manifest.num_buckets), nums, answers)
    todo = unfinished(units, storage)
    num_packed = "some" if todo else len(to_pack(drop_duplicates(units), storage))
    num_todo = sum(unit.num_rows for unit in todo)
    return Summary(
        name=manifest.name,
        url=plan.url,
        version="not made",
        offered=listed.num_offered,
        kept=listed.num_offered - reasons.total(),
        rejected=tuple((*key, num) for key, num in sorted(reasons.items(), key=lambda i: (-i[1], i[0]))),
        seconds=seconds,
        num_samples=0,
        num_shards=0,
        num_bytes=0,
        warnings=(
            f"{len(todo)} of {len(units)} buckets ({num_todo} recordings) would be prepared now.",
            f"Shards of {num_packed} of {len(units)} buckets would be written.",
            "Filters and duplicates need the audio: a run may leave out more than is counted here.",
        ),
        changed=bool(num_packed),
    )
