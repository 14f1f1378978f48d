"""Asking the sources of a dataset again: what do they say now of the works that were taken from them?

A work whose raw row is the one kept as evidence says the same. Of the others the old reading is made from the
catalogue and compared with the new one (rights/changes.py). Nothing of the dataset is changed; the findings
go to OUT/recheck.csv.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import heapq
import io
import logging
import typing
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from sao_data import config, manifest, plugins
from sao_data.attribution.sheets import safe_cell
from sao_data.dataset.reader import Dataset
from sao_data.errors import MatchedNothing, UsageError
from sao_data.licences import Policy, Release, normalise_preference, parse_fields
from sao_data.plugins import Source
from sao_data.records import CatalogueRow, Offer, Recording, Rejection
from sao_data.rights.changes import StatedChange, action_for, changes_between
from sao_data.rights.credits import credited_as_asked, read_credits
from sao_data.stages import listing
from sao_data.storage import delimited, layout
from sao_data.storage.backend import Storage, write_if_changed

COLUMNS = ("id", "kind", "before", "after", "restricts", "then")
NOT_KEPT = "not kept"

log = logging.getLogger(__name__)
Tick = Callable[[int], None]


@runtime_checkable
class LookUpSource(Protocol):
    """A source that can be asked for single recordings, which spares listing all it has."""

    def look_up(self, ids: Iterable[str]) -> Iterator[Offer]:
        """What is offered now of these ids; withdrawn ones and those of other sources are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckInput:
    """Whom to ask, and against what to hold the answers."""

    sources: tuple[Source, ...]
    policy: Policy
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One change of a recording, and what is to become of the recording by all of its changes."""

    change: StatedChange
    then: str  # drop, keep or ask; NOT_KEPT: it is not in the dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckReport:
    """What a recheck found."""

    compared: int
    same: int
    findings: tuple[Finding, ...]  # by id
    unreadable: tuple[str, ...]  # ids whose row is there and can no longer be read: not compared

    @property
    def num_by_kind(self) -> Counter[str]:
        """Recordings by kind of change; one may have several."""
        return Counter(kind for _, kind in {(f.change.id, f.change.kind) for f in self.findings})


def from_manifest(
    path: Path, assignments: list[str], dataset: Dataset, *, cwd: Path | None = None
) -> RecheckInput:
    """The sources of a manifest file; UsageError if it is another dataset's."""
    chosen = manifest.load(path, assignments, cwd=cwd)
    name = dataset.facts["name"]
    if chosen.name != name:
        raise UsageError(f"{path}: the manifest of {chosen.name!r}, this is {name!r}; give its own manifest")
    sources = (plugins.load("sources", source.plugin).build(source.config) for source in chosen.source)
    return RecheckInput(sources=tuple(sources), policy=chosen.policy, release=chosen.release)


def from_dataset(dataset: Dataset, assignments: list[str], *, cwd: Path | None = None) -> RecheckInput:
    """The sources as dataset.json describes them; where data lie it does not say, so that must be set."""
    where, described = f"{dataset.storage.url}/dataset.json", dataset.facts["manifest"]
    items: list[dict[str, Any]] = [{"plugin": s["plugin"], **s["config"]} for s in described["source"]]
    table: config.Table = {
        "source": items,
        "policy": dict(described["policy"]),
        "release": dict(described["release"]),
    }
    for key in config.apply_set(table, assignments):
        if key.split(".")[0] not in ("source", "policy", "release"):
            raise UsageError(f"--set {key}: a recheck has source.N.…, policy.… and release.… only")
    sources = (_source(n, item, where, cwd or Path.cwd()) for n, item in enumerate(items))
    return RecheckInput(
        sources=tuple(sources),
        policy=config.parse(Policy, table["policy"], where=f"{where}: [policy]"),
        release=config.parse(Release, table["release"], where=f"{where}: [release]"),
    )


def recheck(
    dataset: Dataset, asked: RecheckInput, *, sample: int = 0, tick: Tick | None = None
) -> RecheckReport:
    """Compare all recordings ever offered, or a `sample` of so many kept ones, with what is said now."""
    ids = _wanted(dataset, sample)
    if not ids:
        raise MatchedNothing(f"{dataset.storage.url}: there is no recording to compare")
    asked_credits = read_credits(dataset.storage)
    found = {
        key: said and credited_as_asked(said, asked_credits)
        for key, said in current_readings(asked.sources, ids, tick).items()
    }
    findings: list[Finding] = []
    compared = same = 0
    for row in dataset.catalogue():
        if row.id in found:
            changes = changes_of(row, found[row.id], asked.policy, asked.release)
            compared, same = compared + 1, same + (not changes)
            then = action_for(changes, asked.policy.on_later_restriction) if row.kept else NOT_KEPT
            findings += [Finding(change=change, then=then) for change in changes]
    if not compared:
        raise MatchedNothing(f"{dataset.storage.url}: the sources' rows can no longer be read; update sao")
    unreadable = tuple(sorted(ids - found.keys()))
    return RecheckReport(compared=compared, same=same, findings=tuple(findings), unreadable=unreadable)


def current_readings(
    sources: Sequence[Source], ids: Collection[str], tick: Tick | None = None
) -> dict[str, Recording | None]:
    """What the sources say now of these ids; None: not offered. An id whose row cannot be read is left out.

    MatchedNothing if they offer nothing at all, which is a wrong path more often than an empty source.
    """
    wanted = frozenset(ids)
    questions = [
        _SelectedWorks(source=source, ids=wanted, tick=tick or (lambda _: None)) for source in sources
    ]
    answer = listing.ask(manifest.Manifest(name="recheck"), list(questions))
    silent = [n for n, question in enumerate(questions) if not question.num_offered]
    if len(silent) == len(questions) and not any(isinstance(source, LookUpSource) for source in sources):
        raise MatchedNothing("the sources offer nothing now; check their path and listing")
    for n in silent:
        log.warning("source.%d offers nothing of what was asked now", n)
    unreadable = {rejection.id for rejection in answer.rejections}
    said = {recording_id: _with_wish(row) for recording_id, row in answer.rows.items()}
    return {recording_id: said.get(recording_id) for recording_id in wanted - (unreadable - said.keys())}


def _with_wish(row: listing.Listed) -> Recording:
    """The recording with the strictest wish that any of its offers states."""
    wish = listing.strictest_wish(
        row.recording.ai_preference, (offer.recording.ai_preference for offer in row.others)
    )
    return dataclasses.replace(row.recording, ai_preference=wish)


def changes_of(
    row: CatalogueRow, after: Recording | None, policy: Policy, release: Release
) -> tuple[StatedChange, ...]:
    """Changes since the catalogue's reading; none where the raw row is the same as then."""
    if after is not None and row.evidence and row.evidence == after.evidence:
        return ()
    return changes_between(earlier_reading(row, after), after, policy, release)


def earlier_reading(row: CatalogueRow, after: Recording | None) -> Recording:
    """The recording as it was read then, as far as the catalogue tells and a comparison needs it."""
    url, claim = _said(row, after)
    return Recording(
        id=row.id,
        source=row.source,
        title=row.title,
        author=row.author,
        author_id=row.author_id,
        license_url=url,
        license_claim=claim,
        ai_preference=_wished(row, after),
        category=row.category,
        is_explicit=row.is_explicit,
        is_remix=row.is_remix,
    )


def to_csv(report: RecheckReport) -> bytes:
    """The findings for spreadsheets (RFC 4180, UTF-8); same findings, same bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for finding in report.findings:
        change = finding.change
        restricts = "yes" if change.restricts else "no"
        cells = (change.id, change.kind, change.before, change.after, restricts, finding.then)
        writer.writerow([safe_cell(cell) for cell in cells])
    return text.getvalue().encode()


@dataclass(slots=True, kw_only=True)
class _SelectedWorks:
    """A source that says no more than what is asked for; it stands in the place of the one it asks."""

    source: Source
    ids: frozenset[str]
    tick: Tick
    num_offered: int = 0

    def check(self) -> None:
        self.source.check()

    def offers(self) -> Iterator[Offer | Rejection]:
        self.check()
        source = self.source
        for offer in (
            source.look_up(sorted(self.ids)) if isinstance(source, LookUpSource) else source.offers()
        ):
            self.num_offered += 1
            self.tick(1)
            if (offer.id if isinstance(offer, Rejection) else offer.recording.id) in self.ids:
                yield offer

    def open(self, recording: Recording) -> BinaryIO:
        return self.source.open(recording)


def _wanted(dataset: Dataset, sample: int) -> frozenset[str]:
    """Ids of what was offered as a recording; with a sample, those of the kept with the smallest hashes."""
    if not sample:
        return frozenset(row.id for row in dataset.catalogue() if row.stage != listing.LIST)
    salt = f"recheck:{dataset.facts['root_digest']}"
    kept = (row.id for row in dataset.catalogue() if row.kept)
    return frozenset(heapq.nsmallest(sample, kept, key=lambda key: _sha256(f"{salt}{key}")))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _said(row: CatalogueRow, after: Recording | None) -> tuple[str, str]:
    """Licence URL and words of then. The catalogue has one of them: where both were given, the words are
    those of now if these read as the same licence, else the id that was read."""
    fields = row.license_field.split(", ")
    if fields != ["license_url", "license_claim"]:
        return (row.license_claim, "") if "license_url" in fields else ("", row.license_claim)
    if after is not None and parse_fields(after.license_url, after.license_claim).license_id == row.license:
        return after.license_url, after.license_claim
    return (row.license_claim, row.license) if row.license != "UNKNOWN" else ("", "")


def _wished(row: CatalogueRow, after: Recording | None) -> str:
    """The preference of then. One that was not understood is '' in the catalogue, as an unknown one is."""
    if row.ai_preference:
        return row.ai_preference
    if row.rule == "ai_preference_not_understood":
        return row.rule  # as little understood as the value that stood there
    now_unknown = after is not None and normalise_preference(after.ai_preference) is None
    if after is not None and now_unknown and row.rule == "allowed_by_review":
        return after.ai_preference  # what a person let in
    return ""


def _source(number: int, item: dict[str, Any], where: str, cwd: Path) -> Source:
    """Build a source; UsageError if it needs a location that was not given."""
    name = item.pop("plugin")
    module = plugins.load("sources", name, where=where)
    config.resolve_locations(module.Config, item, cwd)
    for key in _locations(module.Config):
        if key not in item:
            raise UsageError(
                f"{where}: does not say where the source {name} lies; give --manifest FILE, or "
                f"--set source.{number}.{key}=…"
            )
    source: Source = module.build(config.parse(module.Config, item, where=f"{where}: source.{number}"))
    return source


def _locations(cls: type) -> list[str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = dataclasses.fields(cls)
    required = [item.name for item in fields if item.default is dataclasses.MISSING]
    return [name for name in required if config.is_location(hints[name])]


def forget(storage: Storage, ids: Collection[str]) -> None:
    """Take what was found of these recordings out of recheck.csv."""
    if not storage.exists(layout.RECHECK):
        return
    text = storage.read(layout.RECHECK).decode()
    lines = delimited.rows(io.StringIO(text, newline=""))
    kept = io.StringIO(newline="")
    writer = csv.writer(kept, lineterminator="\r\n" if "\r\n" in text else "\n")
    writer.writerows(line for line in lines if not line or line[0] not in ids)
    write_if_changed(storage, layout.RECHECK, kept.getvalue().encode())
