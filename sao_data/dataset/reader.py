"""Reading a finished dataset: what it says of itself, and its tables.

This stands alone: it needs the storage and the records, and nothing of what makes datasets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sao_data.dataset.facts import DatasetFacts, Owner
from sao_data.errors import Stopped, UsageError
from sao_data.measures import MeasuredClip
from sao_data.records import CatalogueRow, SampleRow, Shard
from sao_data.storage import documents, layout, tables
from sao_data.storage.backend import Storage, open_storage

FORMAT = "sao-dataset"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A published dataset: dataset.json and the tables it commits to."""

    storage: Storage
    facts: dict[str, Any]  # dataset.json

    def shards(self) -> list[Shard]:
        return tables.read(self.storage, layout.SHARDS, Shard)

    def samples(self) -> Iterator[SampleRow]:
        return tables.iterate(self.storage, layout.SAMPLES, SampleRow)

    def catalogue(self) -> Iterator[CatalogueRow]:
        return tables.iterate(self.storage, layout.CATALOGUE, CatalogueRow)

    @property
    def has_measures(self) -> bool:
        """Was it made by a version that published what was measured?"""
        return layout.MEASURES in self.facts["files"]

    def measures(self) -> Iterator[MeasuredClip]:
        """Every clip that was measured, by id; none from a dataset that an earlier version made."""
        if self.has_measures:
            yield from tables.iterate(self.storage, layout.MEASURES, MeasuredClip)


def open_dataset(url: str) -> Dataset:
    """The published dataset at a path or URL; UsageError if there is none or it is not finished."""
    storage = open_storage(url)
    read_owner(storage)
    if storage.exists(layout.JOURNAL):
        raise Stopped(
            f"{storage.url}: a take-down or another credit was begun here and not finished; run it again "
            "with --apply: it finishes"
        )
    if not storage.exists(layout.DATASET):
        raise UsageError(
            f"{storage.url}: not finished (no {layout.DATASET}); run the same ingest again to continue"
        )
    where = f"{storage.url}/{layout.DATASET}"
    facts = documents.checked(
        DatasetFacts, storage.read(layout.DATASET), where=where, fix="run the ingest again"
    )
    return Dataset(storage=storage, facts=facts)


def read_owner(storage: Storage) -> dict[str, object]:
    """The owner of a dataset directory; UsageError if it is none, or of a format unknown here."""
    if not storage.exists(layout.OWNER):
        raise UsageError(f"{storage.url}: no dataset here (no {layout.OWNER}); is the path right?")
    where, fix = f"{storage.url}/{layout.OWNER}", "is this a sao dataset? If so, restore the file from a copy"
    data = storage.read(layout.OWNER)
    owner = documents.plain(data, where=where, fix=fix, error=UsageError)
    if owner.get("format") != FORMAT or owner.get("format_version") != FORMAT_VERSION:
        raise UsageError(
            f"{storage.url}: format {owner.get('format')} {owner.get('format_version')}, this reads {FORMAT} "
            f"{FORMAT_VERSION}; use the version of sao that made it, or build into another --out"
        )
    return documents.checked(Owner, data, where=where, fix=fix, error=UsageError)
