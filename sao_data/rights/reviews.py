"""The review queue: what waits for a person, and what persons have answered (OUT/reviews.csv).

Columns id, verdict, who, when, note, question, and any that a person adds. An empty verdict waits; "deny"
keeps a recording out whatever is asked; "allow" answers one question: the rule that asks, with a digest of
the licence, wish, words and declared release that it asks about. When any of these changes, it is asked
anew. An "allow" without a question answers the first one there is, and is given its name. Nothing else in a
line that a person touched is ever changed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sao_data import config
from sao_data.errors import UsageError
from sao_data.storage import delimited, layout
from sao_data.storage.backend import Storage, write_if_changed

COLUMNS = ("id", "verdict", "who", "when", "note")
QUESTION = "question"

_ANSWERED = re.compile(r"answered allow \(was: (\w+ [0-9a-f]{8})\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's answer about one recording."""

    id: str
    verdict: Literal["allow", "deny"]
    question: str = ""  # "RULE DIGEST"; '' = not bound to one yet
    who: str = ""
    when: str = ""
    note: str = ""


Answers = Mapping[str, tuple[Answer, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """A question that no answer fits."""

    id: str
    question: str
    note: str


def question(*, rule: str, license_id: str, preference: str, detail: str, release: object) -> str:
    """What is asked about a recording, so that an answer to it answers nothing else."""
    return f"{rule} {config.digest([rule, license_id, preference, detail, release])[:8]}"


def answer_to(answers: Sequence[Answer], asked: str, *, used: bool = False) -> Answer | None:
    """The answer to a question. `used`: an unbound one has answered another question already."""
    fitting = ("",) if not used else ()
    return next((a for a in answers if a.verdict == "allow" and a.question in (asked, *fitting)), None)


def denial(answers: Sequence[Answer]) -> Answer | None:
    """A person's no, which wins over everything."""
    return next((answer for answer in answers if answer.verdict == "deny"), None)


def allowed_words(asked: str) -> str:
    """How a decision says that a person answered; `questions_in` reads it back."""
    return f"a person answered allow (was: {asked})"


def questions_in(detail: str) -> list[str]:
    """The questions that a decision says were answered."""
    return _ANSWERED.findall(detail)


def read(storage: Storage) -> dict[str, tuple[Answer, ...]]:
    """Answers by id; UsageError names the line and what is allowed there."""
    answers: dict[str, tuple[Answer, ...]] = {}
    lines: dict[tuple[str, str], tuple[int, str]] = {}
    where = f"{storage.url}/{layout.REVIEWS}"
    for number, row in _rows(storage)[1]:
        verdict, key = row["verdict"].strip(), row["id"].strip()
        if verdict not in ("", "allow", "deny"):
            raise UsageError(
                f"{where}: line {number}: verdict {verdict[:80]!r} is not known; write allow or "
                "deny, or leave it empty to let it wait"
            )
        if not verdict:
            continue
        asked = row.get(QUESTION, "").strip()
        before, said = lines.setdefault((key, asked), (number, verdict))
        if said != verdict:
            raise UsageError(f"{where}: lines {before} and {number} answer {key} differently; keep one")
        answer = Answer(
            id=key,
            verdict="allow" if verdict == "allow" else "deny",
            question=asked,
            who=row["who"],
            when=row["when"],
            note=row["note"],
        )
        answers[key] = (*answers.get(key, ()), answer)
    return answers


def write(
    storage: Storage, waiting: Iterable[OpenQuestion], answered: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Add lines for what waits, sorted by id; bind answers to the questions they have answered.

    Lines that a person touched stay; untouched ones go when nothing waits any more.
    """
    columns, numbered = _rows(storage)
    asked = {(item.id, item.question): item for item in waiting}
    kept: list[dict[str, str]] = []
    for _, row in numbered:
        key = row["id"].strip()
        if _is_touched(row):
            _bind(row, (answered or {}).get(key, ()), [r for _, r in numbered])
            kept.append(row)
            asked = {k: w for k, w in asked.items() if k != (key, row.get(QUESTION, "").strip())}
        elif item := asked.pop((key, row.get(QUESTION, "").strip()), None):
            kept.append(row | {"note": item.note})
    for item in asked.values():
        kept.append({"id": item.id, "note": item.note, QUESTION: item.question})
    _store(storage, columns, kept)


def denials(data: bytes, *, where: str) -> dict[str, str]:
    """Notes by id of the denials in a file with the columns of reviews.csv, as pages export it; UsageError
    for what is none, or says anything else."""
    found = {}
    for number, row in _parsed(data, where)[1]:
        if row["verdict"].strip() != "deny":
            raise UsageError(
                f"{where}: line {number}: verdict {row['verdict'][:80]!r}; want deny, or no such line"
            )
        found[row["id"].strip()] = row["note"]
    return found


def deny(storage: Storage, notes: Mapping[str, str]) -> int:
    """Add a person's denials, each with its note; how many are new. UsageError for a work that is allowed."""
    columns, numbered = _rows(storage)
    rows = [row for _, row in numbered]
    said = {(row["id"].strip(), row["verdict"].strip()) for row in rows if not row.get(QUESTION, "").strip()}
    for key in sorted(notes):
        if (key, "allow") in said:
            raise UsageError(
                f"{storage.url}/{layout.REVIEWS}: allows {key}; take that line out, or leave {key} alone"
            )
    new = [key for key in sorted(notes) if (key, "deny") not in said]
    if new:
        _store(
            storage, columns, [*rows, *({"id": key, "verdict": "deny", "note": notes[key]} for key in new)]
        )
    return len(new)


def _store(storage: Storage, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    names = columns if QUESTION in columns else [*columns, QUESTION]
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: (row["id"], row.get(QUESTION, ""))))
    write_if_changed(storage, layout.REVIEWS, text.getvalue().encode())


def num_waiting(storage: Storage) -> int:
    """Lines without an answer."""
    return sum(not row["verdict"].strip() for _, row in _rows(storage)[1])


def _is_touched(row: dict[str, str]) -> bool:
    return any(row[name].strip() for name in ("verdict", "who", "when"))


def _bind(row: dict[str, str], questions: Sequence[str], rows: list[dict[str, str]]) -> None:
    """Give an unbound allow the name of the question it has answered."""
    if row["verdict"].strip() != "allow" or row.get(QUESTION, "").strip():
        return
    taken = {r.get(QUESTION, "").strip() for r in rows if r["id"].strip() == row["id"].strip()}
    free = [asked for asked in questions if asked not in taken]
    if free:
        row[QUESTION] = free[0]


def _rows(storage: Storage) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and lines with the number each ends on; none where there is no file."""
    if not storage.exists(layout.REVIEWS):
        return list(COLUMNS), []
    return _parsed(storage.read(layout.REVIEWS), f"{storage.url}/{layout.REVIEWS}")


def _parsed(data: bytes, where: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and lines with the number each ends on."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 ({error}); save it as CSV UTF-8") from error
    reader = delimited.named_rows(text)
    try:
        columns = list(reader.fieldnames or ())
        if any(column not in columns for column in COLUMNS) or len(set(columns)) < len(columns):
            raise UsageError(
                f"{where}: want the columns {','.join(COLUMNS)}, each once; found "
                f"{','.join(columns)[:200] or 'none'}"
            )
        rows = [
            (reader.line_num, {key: value for key, value in row.items() if key is not None}) for row in reader
        ]
    except csv.Error as error:
        message = f"line {reader.line_num}: {error}; mend the quotes around that cell"
        raise UsageError(f"{where}: {message}") from error
    return columns, rows
