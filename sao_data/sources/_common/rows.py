"""What every source that reads rows needs: strict JSON objects, typed cells, names for rows without an id.

Rows come from strangers. A row that cannot be read becomes a Rejection that says where; a cell of the wrong
type is '' or None, never a guess. Strings stay verbatim.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator

from sao_data.records import Rejection
from sao_data.storage import inputs

Row = dict[str, object]

_MOST_INT = 2**63 - 1  # what a Parquet int64 column can hold
_URL = re.compile(r"\s*(?:(?:https?:)?//|(?:www\.|i\.)?creativecommons\.org/)", re.IGNORECASE)


class BadRow(ValueError):
    """A row that cannot be understood; the message says why."""


def numbered_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Every line of a file that is not blank, with its number from 1, without line end and BOM."""
    with inputs.open_file(path) as file:
        for number, line in enumerate(file, start=1):
            raw = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).rstrip(b"\r\n")
            if raw.strip():
                yield number, raw


def parse_object(raw: bytes) -> Row:
    """The JSON object in `raw`; BadRow: bad UTF-8 or JSON, duplicate keys, nesting bomb, other value."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except RecursionError as error:
        raise BadRow("nested too deeply") from error
    except (
        ValueError
    ) as error:  # JSONDecodeError, UnicodeDecodeError, BadRow, integers of thousands of digits
        raise BadRow(f"no JSON object: {error}") from error
    if not isinstance(value, dict):
        raise BadRow(f"want a JSON object, got {type(value).__name__}")
    return value


def canonical_json(row: Row) -> str:
    """One spelling per row, sorted, readable; lone surrogates as the JSON escapes they came from."""
    return json_text(row)


def json_text(value: object) -> str:
    """A JSON value, spelled as in `canonical_json`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def text(row: Row, key: str) -> str:
    """The cell as a string, verbatim; a number as its digits; '' for anything else or nothing."""
    return _text(row.get(key))


def texts(row: Row, key: str, *, separators: str) -> tuple[str, ...]:
    """A list cell's strings verbatim; a string cell split at any of `separators` and stripped."""
    value = row.get(key)
    if isinstance(value, list):
        return tuple(_text(item) for item in value if _text(item))
    parts = re.split(f"[{re.escape(separators)}]", _text(value))
    return tuple(part.strip() for part in parts if part.strip())


def whole(row: Row, key: str) -> int | None:
    """The cell if it is a whole number from 0 to 2^63-1 (44100, 44100.0; not "44100", true), else None."""
    value = real(row, key)
    if value is None or value != int(value):
        return None
    exact = row[key]
    return exact if isinstance(exact, int) else int(value)


def real(row: Row, key: str) -> float | None:
    """The cell if it is a number from 0 to 2^63-1, else None."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MOST_INT and math.isfinite(value) else None


def split_licence(cell: str) -> tuple[str, str]:
    """(license_claim, license_url): what looks like a URL is one, all else are words; verbatim either way."""
    return ("", cell) if _URL.match(cell) else (cell, "")


def sha256_of(raw: str) -> str:
    """Evidence hash of a raw row: sha256 (hex) of its UTF-8 bytes."""
    return hashlib.sha256(raw.encode()).hexdigest()


def reject_row(source: str, raw: bytes, reason: str, detail: str) -> Rejection:
    """Reject a row that has no usable id: its hash names it, so equal rows are one entry of the catalogue."""
    row_id = f"{source}:row-{hashlib.sha256(raw).hexdigest()[:12]}"
    return Rejection(id=row_id, stage="list", reason=reason, detail=detail[:300])


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return str(value) if is_number else ""


def _no_duplicates(pairs: list[tuple[str, object]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRow(f"duplicate key {twice[:80]!r}")
    return row
