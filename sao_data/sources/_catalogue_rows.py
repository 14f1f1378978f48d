"""Rows of a catalogue, whatever its format: JSON lines, CSV with a header, or Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet

from sao_data.errors import UsageError
from sao_data.sources import _fields, _rows
from sao_data.sources._archive import Archive
from sao_data.sources._columns import Csv

SUFFIXES = (".csv", ".jsonl", ".parquet")
_BATCH = 256  # rows of a Parquet file held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row; `problem` is '' if it could be read."""

    where: str  # "works.csv:7"
    raw: str  # canonical JSON of the row
    row: _rows.Row = field(default_factory=dict)
    problem: str = ""


def columns(path: str) -> list[str] | None:
    """Names of the columns; None where every row has its own (JSON lines)."""
    if path.endswith(".csv"):
        return _csv(path).header()
    if not path.endswith(".parquet"):
        return None
    with _parquet(path) as table:
        names: list[str] = table.schema_arrow.names
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if twice is not None:
        raise UsageError(f"catalogue: {path}: the column {twice[:80]!r} stands there twice")
    return names


def read(path: str) -> Iterator[Line]:
    """Every row that is not blank, in the file's order."""
    name = os.path.basename(path)
    if path.endswith(".csv"):
        for line in _csv(path).rows():
            row: _rows.Row = dict(line.cells)
            yield Line(where=line.where, raw=_rows.canonical_json(row), row=row, problem=line.problem)
    elif path.endswith(".parquet"):
        yield from _parquet_lines(path, name)
    else:
        yield from _json_lines(path, name)


def _csv(path: str) -> Csv:
    folder, name = os.path.split(path)
    return Csv(archive=Archive(path=folder or ".", key="path", plugin="catalogue"), name=name)


def _json_lines(path: str, name: str) -> Iterator[Line]:
    for number, raw in _rows.numbered_lines(Path(path)):
        where = f"{name}:{number}"
        try:
            row = _rows.parse_object(raw)
        except _rows.BadRow as error:
            yield Line(where=where, raw=raw.decode("utf-8", "backslashreplace"), problem=str(error))
        else:
            yield Line(where=where, raw=_rows.canonical_json(row), row=row)


def _parquet_lines(path: str, name: str) -> Iterator[Line]:
    number = 0
    with _parquet(path) as table:
        for batch in table.iter_batches(batch_size=_BATCH):
            for cells in batch.to_pylist():
                number += 1
                row = {key: _fields.plain(cell) for key, cell in cells.items()}
                yield Line(where=f"{name}:{number}", raw=_rows.canonical_json(row), row=row)


def _parquet(path: str) -> Any:
    try:
        return parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise UsageError(f"catalogue: {path}: no whole Parquet file ({error})") from error
