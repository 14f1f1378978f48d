"""What is left of a published list of works: asked of the sources of a manifest, as they are today.

Of each work: is it still offered, under the licence that the list states, and does its uploader's wish allow
the release; and may it be used under the manifest's policy? Where a list gives a licence without its version
("ccby"), only the family is compared.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sao_data.attribution.sheets import safe_cell
from sao_data.errors import MatchedNothing
from sao_data.licences import Policy, Release, decide, meets, normalise_preference, parse, parse_fields
from sao_data.plugins import Source
from sao_data.records import Recording
from sao_data.revision.recheck import Tick, current_readings
from sao_data.sources._common.work_list import ListedWork

Status = Literal[
    "still_there", "relicensed", "opted_out", "withdrawn", "unreadable", "not_asked", "not_named"
]
COLUMNS = (
    "id", "status", "usable", "rule", "list_license", "license", "ai_preference", "title", "author", "url",
    "page_url", "where",
)  # fmt: skip
PREFIXES = {"freesound_api": "freesound", "freesound_pack": "freesound"}  # of ids, by plugin; else its name


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedWork:
    """One line of the list and what became of the work."""

    entry: ListedWork
    id: str  # '' = the line names no work
    status: Status  # the most severe, where there are several
    license: str = ""  # of today
    ai_preference: str = ""
    usable: str = ""  # allow, review, deny under the manifest's policy; '' = it is not there
    rule: str = ""
    page_url: str = ""

    @property
    def is_left(self) -> bool:
        """Can it be used today without asking anybody?"""
        return self.usable == "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReport:
    """All lines, in the order of the list."""

    lines: tuple[CheckedWork, ...]

    @property
    def num_by_status(self) -> Counter[str]:
        """Lines by what became of their works."""
        return Counter(line.status for line in self.lines)

    @property
    def num_usable(self) -> Counter[str]:
        """Lines by verdict, of works that are there."""
        return Counter(line.usable for line in self.lines if line.usable)


def check(
    entries: Sequence[ListedWork],
    sources: Sequence[Source],
    prefixes: Collection[str],
    policy: Policy,
    release: Release,
    tick: Tick | None = None,
) -> ListReport:
    """Ask the sources, whose ids begin with these prefixes, for every work on the list."""
    if not entries:
        raise MatchedNothing("the list names its columns and no work")
    ids = [_id_of(entry, prefixes) for entry in entries]
    asked = {each for each in ids if each and each.partition(":")[0] in prefixes}
    if not asked:
        raise MatchedNothing(
            "the list names no work of the manifest's sources "
            f"({', '.join(sorted(prefixes))}); it has works of {_owners(entries)}"
        )
    said = current_readings(sources, asked, tick)
    lines = (
        _line(entry, each, asked, said, policy, release) for entry, each in zip(entries, ids, strict=True)
    )
    return ListReport(lines=tuple(lines))


def to_csv(report: ListReport) -> bytes:
    """The lines for spreadsheets (RFC 4180, UTF-8)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in report.lines:
        writer.writerow([safe_cell(cell) for cell in _cells(line)])
    return text.getvalue().encode()


def _line(
    entry: ListedWork,
    recording_id: str,
    asked: Collection[str],
    said: dict[str, Recording | None],
    policy: Policy,
    release: Release,
) -> CheckedWork:
    if not recording_id:
        return CheckedWork(entry=entry, id="", status="not_named")
    if recording_id not in asked:
        return CheckedWork(entry=entry, id=recording_id, status="not_asked")
    if recording_id not in said:
        return CheckedWork(entry=entry, id=recording_id, status="unreadable")
    recording = said[recording_id]
    if recording is None:
        return CheckedWork(entry=entry, id=recording_id, status="withdrawn")
    decision = decide(recording, policy, release)
    return CheckedWork(
        entry=entry,
        id=recording_id,
        status=_status(entry, recording, release),
        license=decision.license,
        ai_preference=recording.ai_preference,
        usable=decision.verdict,
        rule=decision.rule,
        page_url=recording.page_url,
    )


def _status(entry: ListedWork, recording: Recording, release: Release) -> Status:
    preference = normalise_preference(recording.ai_preference)
    if preference is None or (preference and not meets(preference, release)):
        return "opted_out"
    before, after = parse(entry.license), parse_fields(recording.license_url, recording.license_claim)
    is_same_version = before.version in ("", after.version) or not after.version
    if not entry.license or (before.family == after.family and is_same_version):
        return "still_there"
    return "relicensed"


def _id_of(entry: ListedWork, prefixes: Collection[str]) -> str:
    """The recording's id; a bare number is the only source's, if there is but one."""
    owner = entry.source or (next(iter(prefixes)) if len(prefixes) == 1 else "")
    return f"{owner}:{entry.number}" if owner and entry.number else ""


def _owners(entries: Sequence[ListedWork]) -> str:
    named = Counter(entry.source or "nobody in particular" for entry in entries)
    return ", ".join(f"{owner} ({num:,})" for owner, num in named.most_common())


def _cells(line: CheckedWork) -> Iterator[str]:
    entry = line.entry
    yield from (line.id, line.status, line.usable, line.rule, entry.license, line.license, line.ai_preference)
    yield from (entry.title, entry.author, entry.url, line.page_url, entry.where)
