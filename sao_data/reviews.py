"""The review queue: what waits for a person, and what persons have answered (OUT/reviews.csv).

Columns id, verdict, who, when, note. An empty verdict waits; "allow" and "deny" are answers. The file is the
user's: answered lines are never changed, lines are only added for what newly waits and removed when nothing
waits any more.
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
    if not storage.exists(FILE):
        return {}
    where = f"{storage.url}/{FILE}"
    reader = csv.DictReader(io.StringIO(storage.read(FILE).decode("utf-8-sig"), newline=""))
    if reader.fieldnames is None or any(column not in reader.fieldnames for column in COLUMNS):
        raise UsageError(f"{where}: want the columns {','.join(COLUMNS)}; found {reader.fieldnames}")
    answers = {}
    for row in reader:
        verdict = (row["verdict"] or "").strip()
        if verdict in ("allow", "deny"):
            answers[row["id"]] = Answer(
                id=row["id"],
                verdict="allow" if verdict == "allow" else "deny",
                who=row["who"] or "",
                when=row["when"] or "",
                note=row["note"] or "",
            )
        elif verdict:
            message = (
                f"verdict {verdict!r} is not known; write allow or deny, or leave it empty to let it wait"
            )
            raise UsageError(f"{where}: line {reader.line_num}: {message}")
    return answers


def write(storage: Storage, answers: dict[str, Answer], waiting: Iterable[tuple[str, str]]) -> None:
    """Write answered lines, then what waits as (id, why); sorted by id."""
    rows = {a.id: [a.id, a.verdict, a.who, a.when, a.note] for a in answers.values()}
    for recording_id, why in waiting:
        rows.setdefault(recording_id, [recording_id, "", "", "", why])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows[key] for key in sorted(rows))
    write_if_changed(storage, FILE, text.getvalue().encode())
