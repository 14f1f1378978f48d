"""Which works of a dataset are meant: by author, id or licence; and what is near where nothing is meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sao_data.errors import MatchedNothing
from sao_data.ids import named_by
from sao_data.licences import Policy, Release, decide, parse
from sao_data.records import CatalogueRow
from sao_data.stages.listing import Listed

_NUM_NEAR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for; the union is meant."""

    authors: tuple[str, ...] = ()  # "freesound:77", "77", or a name in full
    ids: tuple[str, ...] = ()  # recording ids or sample keys
    licences: tuple[str, ...] = ()  # SPDX id or LicenseRef, family, or deed URL


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectableWork:
    """What a selection sees of one work."""

    id: str
    source: str
    author: str
    author_id: str
    license: str
    family: str


@dataclass(slots=True, kw_only=True)
class Selected:
    """Ids of the works meant, and what was not found."""

    by_author: set[str] = field(default_factory=set)
    by_id: set[str] = field(default_factory=set)
    by_licence: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)  # of what was asked for, in that order
    near: dict[str, list[str]] = field(default_factory=dict)  # missing -> what there is
    sources: set[str] = field(default_factory=set)  # of all works

    @property
    def ids(self) -> set[str]:
        return self.by_author | self.by_id | self.by_licence


def select(works: Iterable[SelectableWork], wanted: Wanted) -> Selected:
    """Look at every work once."""
    found, hit, pools = Selected(), set[str](), _Pools()
    meant = {text: named_by(text) for text in wanted.ids}
    licences = {text: _licence_names(text) for text in wanted.licences}
    for work in works:
        found.sources.add(work.source)
        pools.add(work)
        by_author = {text for text in wanted.authors if text in author_names(work)}
        by_id = {text for text, ids in meant.items() if work.id in ids}
        by_licence = {text for text, names in licences.items() if names & {work.license, work.family}}
        for texts, ids in (
            (by_author, found.by_author),
            (by_id, found.by_id),
            (by_licence, found.by_licence),
        ):
            if texts:
                ids.add(work.id)
                hit |= texts
    asked = ((wanted.authors, pools.authors), (wanted.ids, pools.ids), (wanted.licences, pools.licences))
    for given, pool in asked:
        for text in given:
            if text not in hit:
                found.missing.append(text)
                found.near[text] = difflib.get_close_matches(text, sorted(pool), _NUM_NEAR)
    return found


def refuse(where: str, found: Selected, missing: Iterable[str], num_taken: int = 0) -> None:
    """MatchedNothing if anything asked for is missing, with what is near."""
    for text in missing:
        near = found.near[text]
        hint = f"; near: {', '.join(near)}" if near else ""
        taken = f"; of the {num_taken} works taken down before only the ids are known" if num_taken else ""
        raise MatchedNothing(f"{where}: nothing here is {text!r}{hint}{taken}. Nothing was changed.")


def author_names(work: SelectableWork) -> set[str]:
    """All that a work's author may be called."""
    names = {work.author} if work.author else set()
    return names | {work.author_id, f"{work.source}:{work.author_id}"} if work.author_id else names


def of_row(row: CatalogueRow) -> SelectableWork:
    """A published work."""
    return SelectableWork(
        id=row.id,
        source=row.source,
        author=row.author,
        author_id=row.author_id,
        license=row.license,
        family=row.license_family,
    )


def of_listed(rows: Iterable[Listed]) -> Iterator[SelectableWork]:
    """Works that are only listed so far; their licences are read again."""
    for row in rows:
        recording = row.recording
        decision = decide(recording, Policy(), Release())
        yield SelectableWork(
            id=recording.id,
            source=recording.source,
            author=recording.author,
            author_id=recording.author_id,
            license=decision.license,
            family=decision.family,
        )


@dataclass(slots=True, kw_only=True)
class _Pools:
    """All that might have been meant."""

    authors: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    licences: set[str] = field(default_factory=set)

    def add(self, work: SelectableWork) -> None:
        self.authors |= author_names(work)
        self.ids.add(work.id)
        self.licences |= {work.license, work.family} - {""}


def _licence_names(text: str) -> set[str]:
    """A licence as the catalogue may spell it: its id, its family, or what a deed's URL or a name names."""
    read = parse(text)
    return {text, text.upper()} | ({read.license_id} if read.status != "unknown" else set())
