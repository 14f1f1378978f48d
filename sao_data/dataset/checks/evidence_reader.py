"""Readings: raw rows kept as evidence, read again by the sources of the dataset.

Every raw row is read once, by every source; the files are gone through one after the other, and the catalogue
once for each few of them. What is kept of one recording (its row, other offers of it, earlier readings) lies
in one file.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sao_data import config, plugins
from sao_data.errors import UsageError
from sao_data.licences import normalise_preference, parse_fields
from sao_data.records import CatalogueRow, Recording
from sao_data.rights.credits import Credits, credited_as_asked, read_credits
from sao_data.stages.listing import merge_requests, strictest_wish, utf8_only
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import Storage

Facts = dict[str, Any]  # dataset.json
T = TypeVar("T")

# Columns of the catalogue that are a field of the recording, under the same name.
_COPIED = (
    "title", "author", "author_id", "author_url", "page_url", "copyright_notice", "requested_credit",
    "category", "is_explicit", "is_remix", "md5", "retrieved_at",
)  # fmt: skip
_FROM_TAG = re.compile(r"license_claim \(the file's own (.*)\)")  # as licences.policy says it
_MOST_OTHERS = 6  # readings of one work of which every selection is tried
_MOST_CHARS = 64 << 20  # characters of raw rows held at once; the catalogue is read once for each such group


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReader:
    """One source of a manifest, as far as it reads its own raw rows."""

    source: str  # the plugin's name
    read: Callable[[str], Recording]  # ValueError: no row of this source


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A catalogue row, and what its evidence says."""

    row: CatalogueRow
    recording: Recording | None  # credited as its author asked to be since; None: no reader gives it
    stated: Recording | None  # as the source credits it
    why: str  # no reader gives it
    others: tuple[tuple[Recording, ...], ...]  # readings of each other raw row of this id
    asked: Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedEvidence:
    """Raw rows of which no row of the catalogue speaks: the ids that their readers give."""

    ids: tuple[str, ...]


def readers(facts: Facts, *, foreign: bool = False) -> tuple[tuple[EvidenceReader, ...], tuple[str, ...]]:
    """The sources of dataset.json that can be replayed here, and one sentence on each that cannot.

    Plugins that are not ours are imported only with `foreign`: a stranger's dataset must not choose what
    code runs where it is checked.
    """
    found, notes = [], []
    for number, described in enumerate(facts["manifest"]["source"]):
        try:
            found.append(_reader(described, foreign, f"dataset.json: source.{number}"))
        except UsageError as error:
            notes.append(f"cannot be replayed: {error}")
    return tuple(found), tuple(notes)


def config_from(cls: type[T], described: config.Table, *, where: str) -> T:
    """The Config that dataset.json describes; the locations, which it leaves out, are ''."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = dataclasses.fields(typing.cast("Any", cls))
    absent = {
        f.name: "" for f in fields if f.default is dataclasses.MISSING and config.is_location(hints[f.name])
    }
    return config.parse(cls, absent | described, where=where)


def replayed(
    storage: Storage, facts: Facts, using: Sequence[EvidenceReader]
) -> Iterator[Replayed | OrphanedEvidence]:
    """Each catalogue row with evidence; then what evidence there is of works that are not in the catalogue.

    Evidence that is missing or damaged is passed over: whoever checks the files names it.
    """
    asked = read_credits(storage)
    fills = facts["manifest"].get("rights", {}).get("embedded_tags") == "fill"
    for group in _groups(storage, facts, using):
        unseen = set(group.by_id)
        for row in tables.iterate(storage, layout.CATALOGUE, CatalogueRow):
            unseen.discard(row.id)
            if row.evidence in group.readings:
                yield _replay(row, group, asked, fills=fills)
        yield from _orphans(group, unseen)


def recording_columns(recording: Recording) -> dict[str, object]:
    """What the catalogue copies from a recording, by column."""
    copied = {name: getattr(recording, name) for name in _COPIED}
    claim = recording.license_url or recording.license_claim
    return copied | {"license_claim": claim, "media_seconds": recording.media.seconds}


def differing(row: CatalogueRow, values: dict[str, object]) -> list[tuple[str, object]]:
    """The values that a row has otherwise."""
    return [(name, value) for name, value in values.items() if getattr(row, name) != value]


def _orphans(group: _Group, unseen: set[str]) -> Iterator[OrphanedEvidence]:
    """Rows all of whose readings are of ids that no catalogue row has; each such set of ids once."""
    told = {frozenset(r.recording.id for r in each if r.recording) for each in group.readings.values()}
    for ids in sorted(told, key=sorted):
        if ids and ids <= unseen:
            yield OrphanedEvidence(ids=tuple(sorted(ids)))


def _reader(described: config.Table, foreign: bool, where: str) -> EvidenceReader:
    name = described["plugin"]
    if "." in name and not foreign:
        why = "is not one of our sources, and its code is not run unasked (--trust-plugins runs it)"
        raise UsageError(f"{where}: {name} {why}")
    module = plugins.load("sources", name, where=where)
    read = getattr(module, "recording", None)
    if read is None:
        raise UsageError(f"{where}: the source {name} has no recording()")
    there, here = described["version"], getattr(module, "VERSION", 1)
    if there != here:
        raise UsageError(f"{where}: made by version {there} of {name}, this is version {here}")
    made = config_from(module.Config, described["config"], where=where)
    return EvidenceReader(source=name, read=lambda raw: read(raw, made))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What one source makes of a raw row; a raw row does not say whose it is."""

    source: str
    recording: Recording | None
    why: str = ""  # it is none of its rows


@dataclass(slots=True, kw_only=True)
class _Group:
    """A few evidence files. All that is kept of a recording lies in one of them."""

    readings: dict[str, tuple[_Reading, ...]] = field(default_factory=dict)  # by sha256 of the raw row
    by_id: dict[str, set[str]] = field(default_factory=dict)  # such sha256 by recording id
    num_chars: int = 0  # characters of raw rows

    def add(self, digest: str, raw: str, using: Sequence[EvidenceReader]) -> None:
        readings = tuple(_read(raw, reader) for reader in using)
        self.readings[digest] = readings
        self.num_chars += len(raw)
        for reading in readings:
            if reading.recording:
                self.by_id.setdefault(reading.recording.id, set()).add(digest)

    def of(self, digest: str, recording_id: str) -> tuple[Recording, ...]:
        """What the sources that take the raw row for this recording's read in it."""
        found = (reading.recording for reading in self.readings[digest])
        return tuple(recording for recording in found if recording and recording.id == recording_id)


def _groups(storage: Storage, facts: Facts, using: Sequence[EvidenceReader]) -> Iterator[_Group]:
    group = _Group()
    for name in sorted(facts["files"]):
        if not name.startswith(f"{layout.EVIDENCE}/"):
            continue
        try:
            rows = evidence.read_rows(storage, name)
        except (ValueError, FileNotFoundError):
            continue
        for digest, raw in rows.items():
            group.add(digest, raw, using)
        if group.num_chars >= _MOST_CHARS:
            yield group
            group = _Group()
    if group.readings:
        yield group


def _read(raw: str, reader: EvidenceReader) -> _Reading:
    try:
        return _Reading(source=reader.source, recording=utf8_only(reader.read(raw)))
    except ValueError as error:
        return _Reading(source=reader.source, recording=None, why=str(error))


def _replay(row: CatalogueRow, group: _Group, asked: Credits, *, fills: bool) -> Replayed:
    """Every source reads a raw row, and the one that gives this id is right. Two sources may give one id (the
    same sounds in two folders); then the reading that fits the row counts.

    `fills`: what a source leaves out is from the file's own tags; the row quotes them, and the quote counts.
    """
    digests = sorted(group.by_id.get(row.id, set()) - {row.evidence})
    others = [group.of(digest, row.id) for digest in digests]
    fitting = [v for each in group.of(row.evidence, row.id) for v in _merged_readings(each, others)]
    if fills:
        fitting = [_filled(each, row) for each in fitting]
    found = [(_num_differing(row, credited_as_asked(each, asked)), each) for each in fitting]
    stated = min(found, key=lambda pair: pair[0])[1] if found else None
    problems = []
    for reading in () if found else group.readings[row.evidence]:
        what = f"it is the row of {reading.recording.id}" if reading.recording else reading.why
        problems.append(f"{reading.source}: {what}")
    return Replayed(
        row=row,
        recording=credited_as_asked(stated, asked) if stated else None,
        stated=stated,
        why="; ".join(problems)[:300],
        others=tuple(others),
        asked=asked,
    )


def _filled(recording: Recording, row: CatalogueRow) -> Recording:
    """A reading with licence and author as the row quotes them from the file's tags, where it is silent."""
    tag = _FROM_TAG.fullmatch(row.license_field)
    if tag and parse_fields(recording.license_url, recording.license_claim).silent:
        taken = f"license_claim: {tag[1]}"
        recording = dataclasses.replace(
            recording, license_url="", license_claim=row.license_claim, from_tags=(taken,)
        )
    return recording if recording.author.strip() else dataclasses.replace(recording, author=row.author)


def _num_differing(row: CatalogueRow, recording: Recording) -> int:
    wish = normalise_preference(recording.ai_preference) or ""
    return len(differing(row, recording_columns(recording) | {"ai_preference": wish}))


def _merged_readings(own: Recording, others: Sequence[tuple[Recording, ...]]) -> Iterator[Recording]:
    """The reading alone, then with what other readings of the work ask for. Which of these were offers of the
    same run, and which earlier readings, the evidence does not tell."""
    yield own
    mildest = [readings[0] for readings in others if readings]
    if len(mildest) > _MOST_OTHERS:
        yield from _with_wish(own, mildest)
        return
    for num in range(1, len(mildest) + 1):
        for some in itertools.combinations(mildest, num):
            yield from _with_wish(own, some)


def _with_wish(own: Recording, others: Sequence[Recording]) -> Iterator[Recording]:
    """With their credit lines, notices and marks; then with the strictest wish too."""
    together = merge_requests(own, others)
    yield together
    wish = strictest_wish(own.ai_preference, (other.ai_preference for other in others))
    yield dataclasses.replace(together, ai_preference=wish)
