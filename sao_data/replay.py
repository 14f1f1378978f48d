"""Replay: from the raw rows kept as evidence to the recordings, and from these to the decisions, offline.

A dataset says of each recording what its source stated and what was decided. Both follow from the row that
the source gave (`recording(raw, config)` of its plugin) and the manifest in dataset.json. Nothing else is
read: no audio, no input folder, no network.
"""

from __future__ import annotations

import dataclasses
import typing
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sao_data import catalogue, clusters, config, evidence, plugins, tables
from sao_data.clusters import Candidate, Matching, candidate
from sao_data.credits import Credits
from sao_data.credits import apply as credited
from sao_data.credits import read as read_credits
from sao_data.errors import UsageError
from sao_data.licences import Policy, Release, decide
from sao_data.records import CatalogueRow, Decision, Recording
from sao_data.stages.listing import utf8_only
from sao_data.storage import Storage

Facts = dict[str, Any]  # dataset.json
Explain = Callable[[CatalogueRow, Decision], str | None]
T = TypeVar("T")

# Columns of the catalogue that are a field of the recording, under the same name.
_COPIED = (
    "title", "author", "author_id", "author_url", "page_url", "copyright_notice", "requested_credit",
    "category", "is_explicit", "is_remix", "md5", "retrieved_at",
)  # fmt: skip
# Rules of licences.decide: a catalogue row that names one of them must be what the evidence alone gives.
_OWN = frozenset((
    "allowed", "no_license", "unknown_license", "license_not_allowed", "license_conflict",
    "license_needs_review", "license_noncommercial", "sampling_plus_review", "blocked_id", "blocked_author",
    "blocked_category", "ai_preference_unknown", "ai_preference_not_understood", "ai_preference_forbids",
    "ai_preference_not_met", "explicit", "remix", "description_contradicts",
))  # fmt: skip
_ANSWERED = {"allowed_by_review": "allow", "denied_by_review": "deny"}
_MOST_HELD = 64 << 20  # characters of raw rows held at once; the catalogue is read once for each such group


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One source of a manifest, as far as it reads its own raw rows."""

    source: str  # the plugin's name
    read: Callable[[str], Recording]  # ValueError: no row of this source


def readers(facts: Facts, *, foreign: bool = False) -> tuple[tuple[Reader, ...], tuple[str, ...]]:
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


def rules(facts: Facts) -> tuple[Policy, Release]:
    """The policy and the declared release that the decisions were made under."""
    manifest = facts["manifest"]
    return (
        config.parse(Policy, manifest["policy"], where="dataset.json: policy"),
        config.parse(Release, manifest["release"], where="dataset.json: release"),
    )


def replayed(
    storage: Storage, facts: Facts, using: Sequence[Reader]
) -> Iterator[tuple[CatalogueRow, Recording | None, str]]:
    """(catalogue row, recording, '') for each row with evidence; (row, None, why) where no reader gives it.

    Evidence that is missing or damaged is passed over: whoever checks the files names it.
    """
    asked = read_credits(storage)
    for group in _groups(storage, facts):
        for row in tables.iterate(storage, catalogue.FILE, CatalogueRow):
            if row.evidence in group:
                yield row, *_read(row, group[row.evidence], using, asked)


def explained(row: CatalogueRow, decision: Decision) -> str | None:
    """Why a row's verdict may differ from what its evidence alone gives; None: nothing explains it.

    Persons, take-downs and likeness to other works only ever take away from what the evidence allows; a
    person may also allow what was up for review, never what was denied.
    """
    if row.rule in ("denied_by_review", "taken_down"):
        return "taken out at a person's word"
    if row.rule == "allowed_by_review":
        return None if decision.verdict == "deny" else "a person allowed what was up for review"
    if decision.verdict == "allow" and row.rule not in _OWN:
        return f"objected to for its likeness to other works ({row.rule})"
    return None


def findings(
    storage: Storage, facts: Facts, using: Sequence[Reader], explain: Explain = explained
) -> Iterator[str]:
    """What the catalogue says and its evidence does not give, one sentence each."""
    policy, release = rules(facts)
    answers: dict[str, str] = facts["answers"]
    judged: list[tuple[CatalogueRow, Candidate]] = []
    complete = len(using) == len(facts["manifest"]["source"])  # else a note says who cannot be replayed
    for row, recording, why in replayed(storage, facts, using):
        if recording is None:
            if complete:
                yield f"{row.id}: cannot be read back from its evidence: {why}"
            continue
        decision = decide(recording, policy, release)
        judged.append((row, _candidate(row, recording, decision)))
        for name, value in _differing(row, _said(recording) | _judged(decision)):
            yield f"{row.id}: {name} is {getattr(row, name)!r}, its evidence gives {value!r}"
        same = (row.verdict, row.rule) == (decision.verdict, decision.rule)
        if row.rule in _ANSWERED and answers.get(row.id) != _ANSWERED[row.rule]:
            yield f"{row.id}: {row.rule}, and dataset.json has no such answer"
        if not same and explain(row, decision) is None:
            by_evidence = f"{decision.verdict} ({decision.rule})"
            yield f"{row.id}: verdict {row.verdict} ({row.rule}), its evidence gives {by_evidence}"
    if complete:
        yield from _copies(
            judged, config.parse(Matching, facts["manifest"]["matching"], where="dataset.json")
        )


def _candidate(row: CatalogueRow, recording: Recording, decision: Decision) -> Candidate:
    """A work as it is compared with others: what a person denied counts as denied."""
    if row.rule == "denied_by_review":
        decision = dataclasses.replace(decision, verdict="deny", rule=row.rule)
    return candidate(recording, decision)


def _copies(judged: list[tuple[CatalogueRow, Candidate]], matching: Matching) -> Iterator[str]:
    """Works that were allowed although they are copies of denied ones, and objections that nothing bears
    out. Hashes that only the files could give are not in the evidence: objections for the same file may rest
    on them."""
    objections = {item.recording_id: item for item in clusters.objections((c for _, c in judged), matching)}
    for row, _ in judged:
        objection = objections.get(row.id)
        if objection and row.verdict == "allow" and row.rule != "allowed_by_review":
            yield f"{row.id}: allowed, though it has {objection.detail} ({objection.rule})"
        if row.rule == "same_title_as_denied" and (objection is None or objection.rule != row.rule):
            yield f"{row.id}: {row.rule}, and no denied work of that title and length is in the evidence"


def _reader(described: config.Table, foreign: bool, where: str) -> Reader:
    name = described["plugin"]
    if "." in name and not foreign:
        raise UsageError(f"{where}: {name} is not one of our sources, and its code is not run unasked")
    module = plugins.load("sources", name, where=where)
    read = getattr(module, "recording", None)
    if read is None:
        raise UsageError(f"{where}: the source {name} has no recording()")
    there, here = described["version"], getattr(module, "VERSION", 1)
    if there != here:
        raise UsageError(f"{where}: made by version {there} of {name}, this is version {here}")
    made = config_from(module.Config, described["config"], where=where)
    return Reader(source=name, read=lambda raw: read(raw, made))


def _groups(storage: Storage, facts: Facts) -> Iterator[dict[str, str]]:
    """Raw rows by their sha256, a few evidence files at a time."""
    group: dict[str, str] = {}
    held = 0
    for name in sorted(facts["files"]):
        if not name.startswith(f"{evidence.FOLDER}/"):
            continue
        try:
            rows = evidence.read_rows(storage, name)
        except (ValueError, OSError, EOFError, zlib.error):
            continue
        group |= rows
        held += sum(map(len, rows.values()))
        if held >= _MOST_HELD:
            yield group
            group, held = {}, 0
    if group:
        yield group


def _read(
    row: CatalogueRow, raw: str, using: Sequence[Reader], asked: Credits
) -> tuple[Recording | None, str]:
    """A raw row does not say whose it is: every source reads it, and the one that gives this id is right.
    Authors are named as they asked to be since.

    Two sources may give one id (the same sounds in two folders); then the reading that fits the row counts.
    """
    fitting, problems = [], []
    for reader in using:
        try:
            recording = credited(utf8_only(reader.read(raw)), asked)
        except ValueError as error:
            problems.append(f"{reader.source}: {error}")
            continue
        if recording.id == row.id:
            fitting.append(recording)
        else:
            problems.append(f"{reader.source}: it is the row of {recording.id}")
    if not fitting:
        return None, "; ".join(problems)[:300]
    return min(fitting, key=lambda each: len(_differing(row, _said(each)))), ""


def _said(recording: Recording) -> dict[str, object]:
    """What the catalogue copies from a recording, by column."""
    copied = {name: getattr(recording, name) for name in _COPIED}
    claim = recording.license_url or recording.license_claim
    return copied | {"license_claim": claim, "media_seconds": recording.media.seconds}


def _judged(decision: Decision) -> dict[str, object]:
    """What the catalogue copies from a decision, by column; verdict and rule stand apart."""
    return {
        "license": decision.license,
        "license_family": decision.family,
        "license_version": decision.version,
        "license_url": decision.license_url,
        "license_field": decision.evidence.field,
        "ai_preference": decision.ai_preference,
    }


def _differing(row: CatalogueRow, values: dict[str, object]) -> list[tuple[str, object]]:
    return [(name, value) for name, value in values.items() if getattr(row, name) != value]
