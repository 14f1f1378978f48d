"""Rows of a metadata file, CSV or JSON lines, each with where it stands and what is wrong with it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TextIO

from sao_data.errors import UsageError
from sao_data.sources import _rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row; `problem` is '' if it could be read."""

    where: str  # "metadata.csv:7", the line it ends on
    raw: bytes
    row: _rows.Row = field(default_factory=dict)
    problem: str = ""


def read(path: Path) -> Iterator[Line]:
    """Every row of a .csv or .jsonl file; UsageError: no `file_name`, not UTF-8, or another kind of file."""
    if path.suffix == ".csv":
        return _read_csv(path)
    if path.suffix == ".jsonl":
        return _read_jsonl(path)
    raise UsageError(f"{path}: want metadata as .csv or .jsonl")


def _read_csv(path: Path) -> Iterator[Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _csv_lines(path, file)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error


def _csv_lines(path: Path, file: TextIO) -> Iterator[Line]:
    reader = csv.reader(
        file, strict=True
    )  # strict: an unclosed quote must not swallow the rows after it unseen
    header: list[str] | None = None
    while True:
        problem = ""
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            problem, cells = str(error), []
        if header is None:
            header = cells
            _check_header(path, header)
        elif cells or problem:  # else a blank line
            yield _csv_line(f"{path.name}:{reader.line_num}", header, cells, problem)
    if header is None:
        _check_header(path, [])


def _csv_line(where: str, header: list[str], cells: list[str], problem: str) -> Line:
    """A row as an object; cells missing at its end are '', cells too many are a problem."""
    if len(cells) > len(header):
        problem = f"{len(cells)} cells, but the header names {len(header)} columns"
    if problem:
        return Line(
            where=where, raw=_rows.canonical_json({"cells": cells, "where": where}).encode(), problem=problem
        )
    row: _rows.Row = dict(zip_longest(header, cells, fillvalue=""))
    return Line(where=where, raw=_rows.canonical_json(row).encode(), row=row)


def _check_header(path: Path, header: list[str]) -> None:
    there = ", ".join(repr(name[:80]) for name in header) or "nothing"
    if "file_name" not in header:
        raise UsageError(
            f"{path}:1: no column 'file_name'; there is: {there} (want file_name,title,author,license,url)"
        )
    if len(set(header)) < len(header):
        raise UsageError(f"{path}:1: a column is named twice: {there}")


def _read_jsonl(path: Path) -> Iterator[Line]:
    missing, num_rows = [], 0
    for number, raw in _rows.numbered_lines(path):
        where = f"{path.name}:{number}"
        try:
            row = _rows.parse_object(raw)
        except _rows.BadRow as error:
            yield Line(where=where, raw=raw, problem=str(error))
            continue
        num_rows += 1
        if "file_name" not in row:
            missing.append(", ".join(repr(name[:80]) for name in row) or "nothing")
        yield Line(where=where, raw=raw, row=row)
    if missing and len(missing) == num_rows:
        raise UsageError(f"{path}: no row has 'file_name'; there is: {missing[0]}")
