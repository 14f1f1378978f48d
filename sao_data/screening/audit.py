"""The audit of a screening (screening.parquet): what was asked about which recording, and what came back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping

from sao_data.screening.rows import AuditRow
from sao_data.storage import layout, tables
from sao_data.storage.backend import Storage


def read(storage: Storage) -> list[AuditRow]:
    """Every line; none where nothing was screened."""
    return tables.read(storage, layout.SCREENING, AuditRow) if storage.exists(layout.SCREENING) else []


def without(
    rows: Iterable[AuditRow], ids: Collection[str], authors: Mapping[str, str]
) -> tuple[AuditRow, ...]:
    """The audit without these recordings; `authors`: by recording, the name it is credited to now."""
    kept = (row for row in rows if row.recording_id not in ids)
    return tuple(_asked_as(row, authors.get(row.recording_id)) for row in kept)


def forget_answers(storage: Storage, ids: Collection[str]) -> None:
    """Delete what services answered about these recordings."""
    for row in read(storage):
        if row.recording_id in ids:
            storage.delete(answer_name(row.provider, row.what))


def answer_name(provider: str, what: str) -> str:
    """Where the answer to a question is kept."""
    return f"{layout.ANSWERS}/{provider}/{hashlib.sha256(what.encode()).hexdigest()}.json"


def _asked_as(row: AuditRow, author: str | None) -> AuditRow:
    if author is None or row.status != "looked_up_locally":
        return row  # a service was sent the fingerprint, not the name
    asked = json.loads(row.what) | {"artist": author}
    return dataclasses.replace(row, what=json.dumps(asked, ensure_ascii=False))
