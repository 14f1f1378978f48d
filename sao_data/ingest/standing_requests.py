"""What people asked since, applied to a fresh listing: other credits, and of works taken down nothing at all.

First `apply_credits`, then `remove_taken_down`.
"""

from __future__ import annotations

import dataclasses

from sao_data.rights.credits import Credits, credited_as_asked
from sao_data.rights.takedowns import Tombstones
from sao_data.stages.listing import Listed, Listing, id_only


def remove_taken_down(listing: Listing, tombstones: Tombstones) -> frozenset[str]:
    """Replace what was taken down by its bare id, so that nothing said of it is kept; return these ids."""
    taken = [key for key, row in listing.rows.items() if _is_taken_down(row, tombstones)]
    for key in taken:
        listing.rows[key] = id_only(listing.rows[key])
    return frozenset(taken)


def _is_taken_down(row: Listed, tombstones: Tombstones) -> bool:
    offered = (row.recording, *(offer.recording for offer in row.others))
    return any(tombstones.covers(recording) for recording in offered)


def apply_credits(listing: Listing, asked: Credits) -> None:
    """Credit every listed work as its author wants it; of what was taken down nobody is named."""
    for key, row in listing.rows.items() if asked.lines else ():
        if row.raw:
            others = (
                dataclasses.replace(o, recording=credited_as_asked(o.recording, asked)) for o in row.others
            )
            recording = credited_as_asked(row.recording, asked)
            listing.rows[key] = dataclasses.replace(row, recording=recording, others=tuple(others))
