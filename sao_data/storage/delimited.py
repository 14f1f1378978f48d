"""CSV as strangers write it, read in one way everywhere: whole cells, strict quotes, the usual delimiters.

Every CSV file is read here, so that no table is readable in one place and not in another.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable
from typing import Protocol, TextIO

MOST_CELL = 16 << 20  # characters; the csv module's own limit of 131,072 is less than some descriptions
DELIMITERS = (",", ";", "\t", "|")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_IS_UTF16 = "it is UTF-16"


class Rows(Protocol):
    """Rows of cells; `line_num` is the line that the last one ended on."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Rows: ...
    def __next__(self) -> list[str]: ...


def rows(lines: Iterable[str], delimiter: str = ",", *, blanks: bool = False) -> Rows:
    """The csv module's reader. strict: an unclosed quote must not swallow the rows after it unseen.
    `blanks`: there are some behind the delimiters, which belong to no cell."""
    csv.field_size_limit(MOST_CELL)  # of the whole process, so it is the same for all
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=blanks)


def named_rows(text: str) -> csv.DictReader[str]:
    """Rows by column name; a short row has '' for what is missing."""
    csv.field_size_limit(MOST_CELL)
    return csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True)


def sniffed(file: TextIO, is_name: Callable[[str], bool]) -> Rows:
    """The rows of a file; its delimiter gives the most known column names, or stands most often in line 1.

    Blanks behind it are taken for spacing where the first line has such.
    UnicodeDecodeError for UTF-16 without a BOM, which is UTF-8 with a NUL after each letter.
    """
    first = file.readline()
    if "\0" in first:
        raise UnicodeDecodeError("utf-8", first[:80].encode(), 0, 1, _IS_UTF16)
    best = max(DELIMITERS, key=lambda d: (_num_names(first, d, is_name), first.count(d)))
    blanks = any(name.startswith(" ") for name in _cells(first, best)[1:])
    return rows(itertools.chain([first] if first else [], file), best, blanks=blanks)


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is wrong with bytes that are no UTF-8, and what to do."""
    is_utf16 = error.reason == _IS_UTF16 or (error.start == 0 and error.object.startswith(_UTF16))
    what = _IS_UTF16 if is_utf16 else f"{error.reason} at byte {error.start}"
    return f"not UTF-8 ({what}); save it as CSV UTF-8"


def _num_names(line: str, delimiter: str, is_name: Callable[[str], bool]) -> int:
    return sum(map(is_name, _cells(line, delimiter)))


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
