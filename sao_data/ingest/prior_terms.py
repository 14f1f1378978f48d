"""Works whose rights were narrowed after they came into the dataset, or that their source no longer offers.

`policy.on_later_restriction` says what becomes of them: drop (as a fresh build would), keep (under the terms
they were taken under, of which the evidence is still here), or ask a person. What is kept stays with its old
reading and its old evidence; the catalogue says so with rule, both readings and reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from sao_data import plugins
from sao_data.licences.later import Action
from sao_data.manifest import Manifest
from sao_data.records import CatalogueRow, Objection, Recording, Verdict
from sao_data.rights.changes import StatedChange, action_for, changes_between
from sao_data.rights.takedowns import Tombstones
from sao_data.stages.listing import Listed, Listing
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import Storage

STAGE = "match"
KEPT = "allowed_under_earlier_terms"
ASKED = "restricted_since"


def keep_or_ask(
    listing: Listing, storage: Storage, manifest: Manifest, tombstones: Tombstones
) -> tuple[Objection, ...]:
    """Put earlier readings back into the listing where the manifest keeps or asks; say so of each."""
    rules = manifest.policy.on_later_restriction
    if {rules.withdrawn, rules.relicensed, rules.opted_out} == {"drop"} or not storage.exists(
        layout.CATALOGUE
    ):
        return ()
    found = []
    for row, raw in _changed(listing, storage, tombstones):
        read = _read(raw, row, manifest)
        if read is None:
            continue
        index, before = read
        now = listing.rows.get(row.id)
        changes = changes_between(before, now.recording if now else None, manifest.policy, manifest.release)
        action = action_for(changes, rules)
        if not any(change.restricts or change.kind == "withdrawn" for change in changes) or action == "drop":
            continue
        listing.rows[row.id] = _as_before(before, raw, row, now, index)
        found.append(_objection(row.id, changes, action))
    return tuple(found)


def _changed(
    listing: Listing, storage: Storage, tombstones: Tombstones
) -> Iterator[tuple[CatalogueRow, str]]:
    """Kept works that are gone or said otherwise now, with the raw rows they were decided on."""
    wanted: dict[str, CatalogueRow] = {}
    for row in tables.iterate(storage, layout.CATALOGUE, CatalogueRow):
        now = listing.rows.get(row.id)
        same = now is not None and now.recording.evidence == row.evidence
        if (row.kept or row.rule == ASKED) and row.evidence and not same:
            wanted[row.evidence] = row
    for name in storage.names(layout.EVIDENCE) if wanted else ():
        for digest, raw in evidence.checked_rows(storage, name).items():
            row_here = wanted.pop(digest, None)
            if row_here and row_here.id not in tombstones.ids:
                yield row_here, raw


def _read(raw: str, row: CatalogueRow, manifest: Manifest) -> tuple[int, Recording] | None:
    """The source that reads the row, and the recording; None if none can."""
    for index, source in enumerate(manifest.source):
        read: Any = getattr(plugins.load("sources", source.plugin), "recording", None)
        try:
            recording = read(raw, source.config) if read else None
        except ValueError:
            continue
        if recording is not None and recording.id == row.id:
            return index, recording
    return None


def _as_before(before: Recording, raw: str, row: CatalogueRow, now: Listed | None, index: int) -> Listed:
    """The old reading; its file is where the source has it now, or known by its hash."""
    audio_url = now.recording.audio_url if now else before.audio_url
    recording = dataclasses.replace(before, audio_url=audio_url, sha256=row.original_sha256)
    return Listed(
        recording=recording,
        raw=raw,
        source_index=now.source_index if now else index,
        num_offers=now.num_offers if now else 1,
    )


def _objection(recording_id: str, changes: tuple[StatedChange, ...], action: Action) -> Objection:
    said = "; ".join(
        f"{c.kind}: {c.before} → {c.after}" for c in changes if c.restricts or c.kind == "withdrawn"
    )
    verdict: Verdict = "allow" if action == "keep" else "review"
    rule = KEPT if action == "keep" else ASKED
    detail = f"{said} (policy.on_later_restriction: {action})"
    return Objection(recording_id=recording_id, stage=STAGE, verdict=verdict, rule=rule, detail=detail)
