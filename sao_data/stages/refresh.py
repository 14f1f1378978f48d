"""Refresh: before a file is transferred, what its source says of the work is read again if the listing is
old.

A licence may change between the listing and the transfer, which for a large dataset lie weeks apart. A
reading that says the same is noted; one that says otherwise goes to work/readings/, takes the place of the
listed one in the next listing, and the work is decided anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sao_data import config
from sao_data.fetch.remote import RemoteSource
from sao_data.plugins import Source
from sao_data.records import Offer, Recording, Rejection
from sao_data.stages import text_limits
from sao_data.stages.base import RowSink
from sao_data.stages.listing import LIST, Listed, Listing, merge_offers
from sao_data.storage import documents, layout
from sao_data.storage.backend import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshResult:
    """What a second look found."""

    confirmed: dict[str, str]  # by recording id: the raw row that says the same; '' = it was read just now
    num_changed: int  # said otherwise now


def look_up_again(
    rows: Sequence[Listed], sources: Sequence[Source], storage: Storage, bucket: int, sink: RowSink
) -> RefreshResult:
    """Look again at what is to be transferred and was read too long ago; reject what is withdrawn."""
    confirmed: dict[str, str] = {}
    changed: list[Offer] = []
    for index, source in enumerate(sources):
        mine = [row for row in rows if row.source_index == index]
        stale = [row for row in mine if isinstance(source, RemoteSource) and source.is_stale(row.recording)]
        confirmed |= {row.recording.id: "" for row in mine if row not in stale}
        if not stale or not isinstance(source, RemoteSource):
            continue
        offers = {o.recording.id: o for o in source.look_up(row.recording.id for row in stale)}
        for row in stale:
            key = row.recording.id
            offer = offers.get(key)
            if offer is None:
                sink.reject(key, "withdrawn", "no longer offered when its file was to be fetched")
            elif _same(row.recording, merge_offers(offer.recording, row.others)):
                confirmed[key] = offer.raw
            else:
                changed.append(offer)
    _store(storage, bucket, changed)
    return RefreshResult(confirmed=confirmed, num_changed=len(changed))


def apply_newer_readings(listing: Listing, storage: Storage) -> int:
    """Put newer readings in the place of the listed ones, which stay as evidence; return how many."""
    num = 0
    for name in storage.names(layout.READINGS):
        for offer in _read(storage, name):
            row = listing.rows.get(offer.recording.id)
            if row and (problem := text_limits.problem(offer.recording)):
                del listing.rows[offer.recording.id]
                listing.rejections += [
                    Rejection(id=offer.recording.id, stage=LIST, reason="bad_metadata", detail=problem)
                ] * row.num_offers
            elif row and row.recording.retrieved_at < offer.recording.retrieved_at:
                earlier = row.raw if row.raw != offer.raw else row.earlier_raw
                recording = merge_offers(offer.recording, row.others)
                listing.rows[offer.recording.id] = dataclasses.replace(
                    row, recording=recording, raw=offer.raw, earlier_raw=earlier
                )
                num += 1
    return num


def forget(storage: Storage, bucket: int, ids: Collection[str]) -> None:
    """Take these recordings out of what sources said on a second look."""
    name = f"{layout.READINGS}/{bucket:06d}.jsonl"
    if not storage.exists(name):
        return
    lines = storage.read(name).decode().splitlines()
    kept = [line for line in lines if json.loads(line)["recording"]["id"] not in ids]
    if not kept:
        storage.delete(name)
    elif len(kept) < len(lines):
        storage.write(name, ("\n".join(kept) + "\n").encode())


def _same(before: Recording, now: Recording) -> bool:
    """What was said, not when or in which bytes."""
    then, now = (dataclasses.replace(r, retrieved_at="", evidence="") for r in (before, now))
    return then == now


def _store(storage: Storage, bucket: int, offers: list[Offer]) -> None:
    """Add readings to the bucket's; a later one of the same work takes the place of an earlier one."""
    if not offers:
        return
    name = f"{layout.READINGS}/{bucket:06d}.jsonl"
    known = {o.recording.id: o for o in (*(_read(storage, name) if storage.exists(name) else ()), *offers)}
    lines = [json.dumps(config.canonical(known[key]), sort_keys=True) for key in sorted(known)]
    storage.write(name, ("\n".join(lines) + "\n").encode())


def _read(storage: Storage, name: str) -> list[Offer]:
    where = f"{storage.url}/{name}"
    fix = "delete it and run the same ingest again"
    lines = storage.read(name).splitlines()
    return [documents.read(Offer, line, where=f"{where}:{n}", fix=fix) for n, line in enumerate(lines, 1)]


def digest_of(raw: str) -> str:
    """How evidence names a raw row: sha256 of its bytes, '' of nothing."""
    return hashlib.sha256(raw.encode()).hexdigest() if raw else ""
