"""Checking requests both ways: whom a tombstone names is not in, who is out as taken down has a tombstone.

The files of requests only grow: what stood there at publication still stands there, line by line.
"""

from __future__ import annotations

from collections.abc import Iterator

from sao_data.dataset.reader import Dataset
from sao_data.records import CatalogueRow, Recording
from sao_data.rights import request_log, takedowns
from sao_data.rights.takedowns import Tombstones
from sao_data.storage import layout


def findings(dataset: Dataset) -> Iterator[str]:
    """Works that are where a request says that they are not, and requests of which nothing is left."""
    for name, sealed in dataset.facts.get("requests", {}).items():
        if request_log.seal(dataset.storage, name, sealed["lines"]) != sealed:
            yield f"{name}: lines that stood there when this version was published were changed, or are gone"
    taken = takedowns.read_tombstones(dataset.storage)
    for row in dataset.catalogue():
        if row.kept and (how := _named(row, taken)):
            yield f"{row.id}: is in the dataset, and {layout.TAKEDOWNS} names {how}"
        if row.rule == "taken_down" and row.id not in taken.ids and not _may_be_meant(row, taken):
            yield f"{row.id}: taken_down, and {layout.TAKEDOWNS} has neither it nor its file"


def _named(row: CatalogueRow, taken: Tombstones) -> str:
    """How a kept work is named by a tombstone; '' = it is not."""
    if row.id in taken.ids:
        return "it"
    person = Recording(id=row.id, source=row.source, author=row.author, author_id=row.author_id)
    if taken.authors and taken.covers(person):
        return "its author"
    if not taken.checksums.isdisjoint({row.md5.lower(), row.original_sha256} - {""}):
        return "its file"
    return "its audio" if row.audio_sha256 and row.audio_sha256 in taken.audio else ""


def _may_be_meant(row: CatalogueRow, taken: Tombstones) -> bool:
    """Can a line without its id mean it? Lines name authors by a hash of what is no longer known."""
    if taken.authors:
        return True
    digests = {row.md5.lower(), row.original_sha256, row.audio_sha256} - {""}
    may_match_file = not row.original_sha256 and bool(taken.checksums)  # a hash that only the file could give
    return bool(row.evidence) and (may_match_file or not digests.isdisjoint(taken.checksums | taken.audio))
