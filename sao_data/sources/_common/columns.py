"""CSV tables of published datasets, read by the names of their columns and never by position, row by row."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from sao_data.errors import UsageError
from sao_data.sources._common.archive import Archive, DamagedFile
from sao_data.storage import delimited

Cells = dict[str, str]


def plain(name: str) -> str:
    """A column's name as letters and digits alone: without case, blanks, hyphens, underscores, BOM."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _no_name(name: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLine:
    """One row by column name; `problem` is '' if it could be read."""

    where: str  # "tracks.csv:7", the line it ends on
    cells: Cells = field(default_factory=dict)
    problem: str = ""
    num_missing: int = 0  # cells that the row has fewer than the header


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv:
    """One CSV file of an archive. Of several header lines the parts of a name are joined by dots."""

    archive: Archive
    name: str
    header_lines: int = 1
    names: tuple[str, ...] = ()  # as they are published: columns of nearly these names are called so
    is_name: Callable[[str], bool] = _no_name  # is it a usual name of a column? tells the delimiter

    def header(self) -> list[str]:
        """Names of the columns, in their order."""
        with contextlib.closing(self._read()) as rows:
            return next(rows)[1]

    def rows(self) -> Iterator[TableLine]:
        """Every row that is not blank; UsageError if the file is cut, damaged or not UTF-8."""
        rows = self._read()
        header = next(rows)[1]
        for number, cells, problem in rows:
            where = f"{self.name}:{number}"
            if len(cells) > len(header):
                problem = f"{len(cells)} cells, but the header names {len(header)} columns"
            if problem:
                yield TableLine(
                    where=where, cells={"where": where, "cells": " | ".join(cells)}, problem=problem
                )
            else:
                missing = len(header) - len(cells)
                padded = cells + [""] * missing
                yield TableLine(
                    where=where, cells=dict(zip(header, padded, strict=True)), num_missing=missing
                )

    def require(
        self, columns: Iterable[str], *, known_as: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        """UsageError that names the first column that is missing, the file, and what was found."""
        header = self.header()
        there = {plain(name) for name in header}
        for column in columns:
            names = (known_as or {}).get(column, (column,))
            if there.isdisjoint(map(plain, names)):
                also = f" (nor {', '.join(map(repr, names[1:]))})" if len(names) > 1 else ""
                found = ", ".join(repr(name[:80]) for name in header) or "nothing"
                raise UsageError(
                    f"{self._where}: no column {column!r}{also}; there is: {found}. "
                    "Is it the file as published? Download it again"
                )

    @property
    def _where(self) -> str:
        return f"{self.archive.plugin}: {self.archive.path}: {self.name}"

    def _read(self) -> Generator[tuple[int, list[str], str], None, None]:
        """(line number, cells, problem) of the header, then of every row that is not blank."""
        try:
            with io.TextIOWrapper(self.archive.open(self.name), encoding="utf-8-sig", newline="") as file:
                yield from self._parse(file)
        except FileNotFoundError as error:
            raise UsageError(f"{self._where}: not there; download it again") from error
        except DamagedFile as error:
            raise UsageError(f"{self._where}: damaged ({error}); download it again") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{self._where}: {delimited.not_utf8(error)}, or download it again") from error

    def _parse(self, file: TextIO) -> Iterator[tuple[int, list[str], str]]:
        reader = delimited.sniffed(file, self.is_name)
        try:
            header = self._join([next(reader, []) for _ in range(self.header_lines)])
        except csv.Error as error:
            raise UsageError(f"{self._where}: its header cannot be read ({error})") from error
        yield reader.line_num, header, ""
        while True:
            try:
                cells, problem = next(reader), ""
            except StopIteration:
                return
            except csv.Error as error:
                cells, problem = [], str(error)
            if cells or problem:
                yield reader.line_num, cells, problem

    def _join(self, lines: list[list[str]]) -> list[str]:
        """One name a column: "track" over "title" is "track.title"."""
        width = max(map(len, lines))
        padded = [line + [""] * (width - len(line)) for line in lines]
        header = [
            ".".join(part.strip() for part in parts if part.strip()) for parts in zip(*padded, strict=True)
        ]
        if self.header_lines == 1:
            header = [parts for (parts,) in zip(*padded, strict=True)]
        published = {plain(name): name for name in self.names}
        header = [published.get(plain(name), name) for name in header]
        twice = next((name for n, name in enumerate(header) if name in header[:n]), None)
        if twice is not None:
            raise UsageError(f"{self._where}: the column {twice[:80]!r} stands there twice")
        return header
