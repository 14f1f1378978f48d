"""The review queue: what waits for a person, and what persons have answered (OUT/reviews.csv).

Columns id, verdict, who, when, note, and any that a person adds. An empty verdict waits; "allow" answers what
is up for review, "deny" keeps anything out. A line that a person touched is never changed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sao_data.errors import UsageError
from sao_data.storage import Storage, write_if_changed

FILE = "reviews.csv"
COLUMNS = ("id", "verdict", "who", "when", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's answer about one recording."""

    id: str
    verdict: Literal["allow", "deny"]
    who: str
    when: str
    note: str


def read(storage: Storage) -> dict[str, Answer]:
    """Answers by id; UsageError names the line and what is allowed there."""
    answers = {}
    for number, row in enumerate(_rows(storage)[1], 2):
        verdict = row["verdict"].strip()
        if verdict not in ("", "allow", "deny"):
            message = (
                f"verdict {verdict!r} is not known; write allow or deny, or leave it empty to let it wait"
            )
            raise UsageError(f"{storage.url}/{FILE}: line {number}: {message}")
        if verdict:
            answers[row["id"]] = Answer(
                id=row["id"],
                verdict="allow" if verdict == "allow" else "deny",
                who=row["who"],
                when=row["when"],
                note=row["note"],
            )
    return answers


def write(storage: Storage, waiting: Iterable[tuple[str, str]]) -> None:
    """Add lines for what waits as (id, why), sorted by id.

    Lines that a person touched stay as they are; untouched ones go when nothing waits any more.
    """
    columns, rows = _rows(storage)
    why = dict(waiting)
    kept = {
        row["id"]: row
        for row in rows
        if row["verdict"].strip() or row["who"].strip() or row["when"].strip() or row["id"] in why
    }
    for recording_id, note in why.items():
        kept.setdefault(recording_id, {"id": recording_id, "note": note})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept[key] for key in sorted(kept))
    write_if_changed(storage, FILE, text.getvalue().encode())


def _rows(storage: Storage) -> tuple[list[str], list[dict[str, str]]]:
    """Column names and lines of the file; the wanted columns and no lines where there is none."""
    if not storage.exists(FILE):
        return list(COLUMNS), []
    where = f"{storage.url}/{FILE}"
    try:
        text = storage.read(FILE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 ({error}); save it as CSV UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
    columns = list(reader.fieldnames or ())
    if any(column not in columns for column in COLUMNS):
        raise UsageError(
            f"{where}: want the columns {','.join(COLUMNS)}; found {','.join(columns) or 'none'}"
        )
    return columns, [{key: value for key, value in row.items() if key is not None} for row in reader]
