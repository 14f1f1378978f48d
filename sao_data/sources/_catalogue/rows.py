"""Rows of a catalogue, whatever its format: JSON lines, CSV with a header, or Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow
import pyarrow.parquet as parquet

from sao_data.errors import UsageError
from sao_data.sources._common import fields, rows
from sao_data.sources._common.archive import Archive
from sao_data.sources._common.columns import Csv
from sao_data.storage import inputs

SUFFIXES = (".csv", ".jsonl", ".parquet")
_BATCH = 256  # rows of a Parquet file held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueLine:
    """One row; `problem` is '' if it could be read."""

    where: str  # "works.csv:7"
    raw: str  # canonical JSON of the row
    row: rows.Row = field(default_factory=dict)
    problem: str = ""
    num_missing: int = 0  # cells that a CSV row has fewer than the header


def columns(path: str, plugin: str) -> list[str] | None:
    """Names of the columns; None where every row has its own (JSON lines)."""
    if path.endswith(".csv"):
        return _csv(path, plugin).header()
    if not path.endswith(".parquet"):
        return None
    with _parquet(path, plugin) as table:
        names: list[str] = table.schema_arrow.names
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if twice is not None:
        raise UsageError(f"{plugin}: {path}: the column {twice[:80]!r} stands there twice")
    return names


def read(path: str, plugin: str) -> Iterator[CatalogueLine]:
    """Every row that is not blank, in the file's order."""
    name = os.path.basename(path)
    if path.endswith(".csv"):
        for line in _csv(path, plugin).rows():
            row: rows.Row = dict(line.cells)
            raw = rows.canonical_json(row)
            yield CatalogueLine(
                where=line.where, raw=raw, row=row, problem=line.problem, num_missing=line.num_missing
            )
    elif path.endswith(".parquet"):
        yield from _parquet_lines(path, name, plugin)
    else:
        yield from _json_lines(path, name)


def _csv(path: str, plugin: str) -> Csv:
    folder, name = os.path.split(path)
    archive = Archive(path=folder or ".", key="path", plugin=plugin)
    return Csv(archive=archive, name=name, is_name=fields.is_known)


def _json_lines(path: str, name: str) -> Iterator[CatalogueLine]:
    for number, raw in rows.numbered_lines(path):
        where = f"{name}:{number}"
        try:
            row = rows.parse_object(raw)
        except rows.BadRow as error:
            yield CatalogueLine(where=where, raw=raw.decode("utf-8", "backslashreplace"), problem=str(error))
        else:
            yield CatalogueLine(where=where, raw=rows.canonical_json(row), row=row)


def _parquet_lines(path: str, name: str, plugin: str) -> Iterator[CatalogueLine]:
    number = 0
    with _parquet(path, plugin) as table:
        for batch in _batches(table, path, plugin):
            for cells in batch.to_pylist():
                number += 1
                row = {key: fields.as_json(cell) for key, cell in cells.items()}
                yield CatalogueLine(where=f"{name}:{number}", raw=rows.canonical_json(row), row=row)


def _batches(table: Any, path: str, plugin: str) -> Iterator[Any]:
    """Its rows by the batch. UsageError for pages that cannot be read (pyarrow: OSError without a number)."""
    try:
        yield from table.iter_batches(batch_size=_BATCH)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UsageError(
            f"{plugin}: {path}: damaged Parquet file ({' '.join(str(error).split())}); fetch it again"
        ) from error


def _parquet(path: str, plugin: str) -> Any:
    try:
        return parquet.ParquetFile(inputs.open_file(path) if inputs.is_url(path) else path)
    except pyarrow.ArrowInvalid as error:
        raise UsageError(f"{plugin}: {path}: no whole Parquet file ({error})") from error
