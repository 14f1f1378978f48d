"""Lists that the user has: CSV with named columns, and plain text."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from sao_data.errors import UsageError
from sao_data.storage import delimited


def text(path: str) -> str:
    """A text file; UsageError if there is none."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {delimited.not_utf8(error)}") from error


def rows(path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV that has at least these columns, and at least one row."""
    try:
        reader = delimited.named_rows(text(path))
        there = list(reader.fieldnames or [])
        found = [{str(key): str(value) for key, value in row.items()} for row in reader]
    except csv.Error as error:
        raise UsageError(f"{path}: {error}; close quotes, or save it again as CSV") from error
    missing = [name for name in columns if name not in there]
    if missing:
        raise UsageError(f"{path}: no column {missing[0]!r} (there are: {', '.join(there) or 'none'})")
    if not found:
        raise UsageError(f"{path}: nothing below its line of column names")
    return found
