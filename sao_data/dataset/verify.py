"""Checking a finished dataset, offline: is every byte, number and decision as it says?"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sao_data import licences
from sao_data.attribution.info import BY_A_PERSON, EARLIER
from sao_data.dataset import catalogue
from sao_data.dataset.checks import (
    filter_check,
    measures_check,
    rendered,
    replay,
    requests_check,
    sample_check,
    shard_check,
)
from sao_data.dataset.commit import root_digest
from sao_data.dataset.reader import Dataset, read_owner
from sao_data.licences.table import table
from sao_data.records import Sample, SampleRow
from sao_data.stages.listing import LIST
from sao_data.storage import evidence, layout

_NO_ROOT = "dataset.json: the root digest does not follow from the manifest and files it lists"
_TABLES = (layout.SHARDS, layout.SAMPLES, layout.CATALOGUE, layout.MEASURES)
_ALLOWING = frozenset(("allowed", BY_A_PERSON, EARLIER))  # all other rules keep a recording out


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a check of a dataset found."""

    findings: tuple[str, ...]  # one sentence each; none: every byte and every number is as published
    notes: tuple[str, ...] = ()  # what is to be known of the check itself
    num_replayed: int = 0  # decisions derived from their evidence again
    num_not_replayed: int = 0


def verify(dataset: Dataset, tick: Callable[[str], None] | None = None) -> list[str]:
    """The findings of `check` on what can be replayed here; what cannot be is none of them."""
    return list(check(dataset, tick, allow_unreplayed=True).findings)


def check(
    dataset: Dataset,
    tick: Callable[[str], None] | None = None,
    *,
    trust_plugins: bool = False,  # import sources that are not ours, as the dataset names them
    allow_unreplayed: bool = False,  # decisions that cannot be derived here are a note, not a finding
    expect: str = "",  # the root digest that it should have, or its beginning
    quick: bool = False,  # digests only
) -> Verified:
    """Check all of a dataset, offline."""
    say = tick or (lambda _: None)
    say("files")
    findings = [*_unexpected(dataset, expect), *_verify_files(dataset)]
    if quick:
        findings += shard_check.digests(dataset.storage, dataset.shards())
        return Verified(findings=tuple(findings), notes=("digests only: nothing was derived again",))
    if any(name in finding for finding in findings for name in _TABLES):
        return Verified(findings=tuple(findings))  # the tables are damaged: what they say proves nothing
    say("shards")
    findings += _verify_shards(dataset, is_sealed=_NO_ROOT not in findings)
    say("evidence")
    findings += _verify_evidence(dataset)
    say("decisions")
    tally: Counter[str] = Counter(all=sum(row.evidence != "" for row in dataset.catalogue()))
    notes: tuple[str, ...] = ()
    if _NO_ROOT not in findings:  # else the rules by which was decided are not known
        using, notes = replay.readers(dataset.facts, foreign=trust_plugins)
        findings += replay.findings(dataset.storage, dataset.facts, using, tally=tally)
    num_lacking = tally["all"] - tally["replayed"]
    if not allow_unreplayed:
        lacking = f"{num_lacking} of {tally['all']} decisions were not replayed"
        findings += [f"{note}; {lacking} (--allow-unreplayed accepts that)" for note in notes]
        notes = ()
    findings += _verify_rules(dataset)
    findings += requests_check.findings(dataset)
    if _NO_ROOT not in findings:
        say("report and card")
        derived, more = _verify_derived(dataset)
        findings, notes = [*findings, *derived], (*notes, *more)
    say("numbers")
    findings += _verify_numbers(dataset)
    return Verified(
        findings=tuple(findings),
        notes=(*notes, *_other_table(dataset)),
        num_replayed=tally["replayed"],
        num_not_replayed=num_lacking,
    )


def _verify_derived(dataset: Dataset) -> tuple[list[str], tuple[str, ...]]:
    """Names, filters and what is rendered: findings, and notes on what another version rendered."""
    findings = [*_verify_names(dataset), *filter_check.findings(dataset)]
    pages = list(rendered.findings(dataset))
    if rendered.is_ours(dataset):
        return [*findings, *pages], ()
    return findings, tuple(rendered.notes(dataset)) if pages else ()


def _other_table(dataset: Dataset) -> Iterator[str]:
    reader = dataset.facts["licence_reader"]
    if (reader["version"], reader["table"]) != (licences.VERSION, table().digest):
        yield "decided with another licence table; where this one reads a claim otherwise, a finding says so"


def _verify_files(dataset: Dataset) -> Iterator[str]:
    files: dict[str, str] = dataset.facts["files"]
    for name, wanted in files.items():
        if name.startswith(f"{layout.SHARD_FOLDER}/"):
            continue  # read once, by shard_check
        if not dataset.storage.exists(name):
            yield f"{name}: missing"
        elif hashlib.sha256(dataset.storage.read(name)).hexdigest() != wanted:
            yield f"{name}: content is not what dataset.json says"
    for folder in (layout.EVIDENCE, layout.FINGERPRINTS, layout.REPORT):
        for name in dataset.storage.names(folder):
            if name not in files:
                yield f"{name}: not in dataset.json"
    sealed = {name: sha for name, sha in files.items() if _is_sealed(name)}
    root = root_digest(sealed, dataset.facts["manifest"])
    if root != dataset.facts["root_digest"]:
        yield _NO_ROOT
    if dataset.facts["version"] != dataset.facts["root_digest"][:12]:
        yield f"dataset.json: version {dataset.facts['version']} is not the start of the root digest"


def _unexpected(dataset: Dataset, expect: str) -> Iterator[str]:
    """Is it the version that is known from elsewhere?"""
    wanted, root = expect.lower().removeprefix("sha256:"), str(dataset.facts["root_digest"])
    if wanted and not root.startswith(wanted):
        yield f"dataset.json: the root digest is {root}, expected is {wanted}"


def _is_sealed(name: str) -> bool:
    return name in _TABLES or name.startswith((f"{layout.SHARD_FOLDER}/", f"{layout.EVIDENCE}/"))


def _verify_evidence(dataset: Dataset) -> Iterator[str]:
    known: set[str] = set()
    names = [name for name in dataset.facts["files"] if name.startswith(f"{layout.EVIDENCE}/")]
    for name in names:
        try:
            known.update(evidence.read_rows(dataset.storage, name))
        except ValueError as error:
            yield f"{name}: {error}"
    leaves = sorted(evidence.digest_of(name) for name in names)
    if evidence.merkle_root(leaves) != dataset.facts["evidence"]["merkle_root"]:
        yield "evidence: the Merkle root in dataset.json is not that of its files"
    for row in dataset.catalogue():
        if row.evidence and row.evidence not in known:
            yield f"{row.id}: its evidence {row.evidence[:12]}… is in no evidence file"


def _verify_shards(dataset: Dataset, *, is_sealed: bool) -> Iterator[str]:
    """Every shard against its tables, and what every sample says against the catalogue and its own frames."""
    said = {
        row.id: sample_check.digest(sample_check.catalogue_fields(row))
        for row in dataset.catalogue()
        if row.kept
    }
    measures = measures_check.MeasuresCheck(dataset) if dataset.has_measures else None
    differing: dict[str, list[tuple[SampleRow, dict[str, object]]]] = {}
    underived: list[str] = []

    def on_sample(row: SampleRow, sample: Sample) -> None:
        if measures:
            measures.add(row, sample)
        wanted, named = said.get(row.recording_id), sample_check.sample_fields(sample)
        if is_sealed:  # else the cut is not known
            underived.extend(sample_check.inconsistent_fields(sample, row, dataset.facts))
        if wanted and sample_check.digest(named) != wanted:
            differing.setdefault(row.recording_id, []).append((row, named))

    if is_sealed:
        yield from sample_check.misplaced(dataset.samples(), dataset.facts["manifest"]["num_buckets"])
    yield from shard_check.verify(dataset.storage, dataset.shards(), dataset.samples(), on_sample)
    yield from underived
    yield from measures.findings() if measures else ()
    for work in dataset.catalogue() if differing else ():
        for row, named in differing.get(work.id, ()):
            for name, value in sample_check.catalogue_fields(work).items():
                if named[name] != value:
                    what = f"{name} is {named[name]!r}, the catalogue has {value!r}"
                    yield f"{row.shard}: {row.key}.json: {what}"


def _verify_rules(dataset: Dataset) -> Iterator[str]:
    """What a row's verdict, rule, evidence and the take-downs must have to do with each other."""
    for row in dataset.catalogue():
        if (row.verdict == "allow") != (row.rule in _ALLOWING):
            yield f"{row.id}: the rule {row.rule} does not give the verdict {row.verdict}"
        if row.kept and not row.evidence:
            yield f"{row.id}: is in the dataset without evidence"
        elif row.verdict == "allow" and not row.evidence:
            yield f"{row.id}: is allowed without evidence"
        elif not row.evidence and row.rule != "taken_down" and row.stage != LIST:
            yield f"{row.id}: has no evidence, and was not taken down"


def _verify_names(dataset: Dataset) -> Iterator[str]:
    """Who owns the directory, and whose answers are spoken of."""
    described, known = dataset.facts["manifest"], read_owner(dataset.storage)
    plugins = [source["plugin"] for source in described["source"]]
    if (known["name"], known["sources"]) != (described["name"], plugins):
        given = f"{known['name']} of {known['sources']}"
        yield f"{layout.OWNER}: {given}, the manifest has {described['name']} of {plugins}"
    if dataset.facts["name"] != described["name"]:
        yield f"dataset.json: name is {dataset.facts['name']!r}, its manifest's is {described['name']!r}"
    answered = {row.id for row in dataset.catalogue() if row.rule in replay.ANSWERED}
    for key in sorted(dataset.facts["answers"].keys() - answered):
        yield f"dataset.json: {key} is among the answers, and no answer decided it"


def _verify_numbers(dataset: Dataset) -> Iterator[str]:
    """The catalogue, the sample index and dataset.json must agree."""
    packed: Counter[str] = Counter()
    places: dict[str, set[str]] = {}
    for sample in dataset.samples():
        packed[sample.recording_id] += 1
        places.setdefault(sample.recording_id, set()).add(sample.shard)
    found: Counter[str] = Counter(samples=packed.total(), shards=len(dataset.shards()))
    reasons: Counter[str] = Counter()
    for row in dataset.catalogue():
        num_samples = packed.pop(row.id, 0)
        found.update(offered=row.num_offers, kept=int(row.kept), clips=row.num_clips)
        found["milliseconds"] += round((row.seconds or 0.0) * 1000)
        reasons["duplicate_id"] += row.num_offers - 1
        reasons[row.reason] += not row.kept
        found["not_yet"] += row.reason == catalogue.NOT_YET
        if num_samples != row.num_clips or row.kept != (num_samples > 0):
            yield f"{row.id}: {row.num_clips} clips by the catalogue, {num_samples} in the shards"
        if set(row.shards) != places.get(row.id, set()):
            yield f"{row.id}: in {', '.join(row.shards) or 'no shard'} by the catalogue, not by the shards"
        if row.kept and row.verdict != "allow":
            yield f"{row.id}: is in the dataset, its verdict is {row.verdict}"
    for recording_id in sorted(packed):
        yield f"{recording_id}: is in a shard, not in the catalogue"
    yield from _verify_counts(dataset, found, {name: num for name, num in reasons.items() if num})


def _verify_counts(dataset: Dataset, found: Counter[str], reasons: dict[str, int]) -> Iterator[str]:
    counts = dataset.facts["counts"]
    found["rejected"] = sum(reasons.values())
    for what in ("offered", "kept", "rejected", "clips", "samples", "shards"):
        if counts.get(what) != found[what]:
            yield f"dataset.json: {counts.get(what)} {what}, the tables have {found[what]}"
    seconds = round(found["milliseconds"] / 1000, 3)
    if counts.get("seconds") != seconds:
        yield f"dataset.json: {counts.get('seconds')} seconds, the catalogue has {seconds}"
    if dataset.facts["undone"].get("recordings") != found["not_yet"]:
        yield f"dataset.json: undone is {dataset.facts['undone']}, the catalogue has {found['not_yet']}"
    if dataset.facts["rejected_by_reason"] != reasons:
        yield "dataset.json: rejected_by_reason is not what the catalogue says"
