"""From what the sources offer to what is decided upon, in one order for the run and the dry run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sao_data.ids import bucket_of
from sao_data.ingest import prior_terms, standing_requests
from sao_data.ingest.fill_from_tags import fill
from sao_data.manifest import Manifest
from sao_data.plugins import Source
from sao_data.records import Objection
from sao_data.rights.credits import read_credits
from sao_data.rights.takedowns import Tombstones
from sao_data.stages import refresh
from sao_data.stages.listing import Listing
from sao_data.storage.backend import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialCases:
    """What is to be known of the listed works before they are judged."""

    under_earlier_terms: tuple[
        Objection, ...
    ]  # works that stay, or wait, although their rights were narrowed
    taken_down: frozenset[str]


def apply_updates(
    listed: Listing, sources: Sequence[Source], manifest: Manifest, storage: Storage, taken: Tombstones
) -> SpecialCases:
    """Bring a fresh listing, in place, to what holds now: newer readings, what files' own tags fill in,
    earlier terms, other credits; of what was taken down only the id is left."""
    refresh.apply_newer_readings(listed, storage)
    fill(listed, sources, manifest)
    under_earlier_terms = prior_terms.keep_or_ask(listed, storage, manifest, taken)
    standing_requests.apply_credits(listed, read_credits(storage))
    return SpecialCases(
        under_earlier_terms=under_earlier_terms, taken_down=standing_requests.remove_taken_down(listed, taken)
    )


def nums_by_bucket(listed: Listing, num_buckets: int) -> list[int]:
    """How many recordings each bucket has."""
    nums = [0] * num_buckets
    for recording_id in listed.rows:
        nums[bucket_of(recording_id, num_buckets)] += 1
    return nums
