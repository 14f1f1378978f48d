"""Replay: from the raw rows kept as evidence to the recordings, and from these to the decisions, offline.

A dataset says of each recording what its source stated and what was decided. Both follow from the row that
the source gave (`recording(raw, config)` of its plugin) and the manifest in dataset.json. Nothing else is
read: no audio, no input folder, no network.
"""

from __future__ import annotations

import dataclasses
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from sao_data import config
from sao_data.dataset.checks.evidence_reader import (
    EvidenceReader,
    Facts,
    OrphanedEvidence,
    Replayed,
    config_from,
    differing,
    readers,
    recording_columns,
    replayed,
)
from sao_data.licences import Policy, Release, decide
from sao_data.matching import metadata
from sao_data.matching.metadata import NARROWED, Candidate, Matching, candidate
from sao_data.records import CatalogueRow, Decision, Offer, Recording, Verdict
from sao_data.rights.credits import credited_as_asked
from sao_data.stages.judge import judge
from sao_data.stages.listing import Listed
from sao_data.storage import layout
from sao_data.storage.backend import Storage

__all__ = ["EvidenceReader", "config_from", "explained", "findings", "readers", "replayed", "rules"]

Explain = Callable[[CatalogueRow, Decision], str | None]

# Rules of licences.decide: a catalogue row that names one of them must be what the evidence alone gives.
_OWN = frozenset((
    "allowed", "no_license", "unknown_license", "license_not_allowed", "license_conflict",
    "license_needs_review", "license_noncommercial", "sampling_plus_review", "blocked_id", "blocked_author",
    "blocked_category", "ai_preference_unknown", "ai_preference_not_understood", "ai_preference_forbids",
    "ai_preference_not_met", "explicit", "remix", "description_contradicts",
))  # fmt: skip
ANSWERED = {"allowed_by_review": "allow", "denied_by_review": "deny"}
# Rules by which another offer of the same id counts.
_OFFERS = frozenset(("other_offer_denied", "other_offer_unclear", "offers_conflict"))
_GRAVITY = {"allow": 0, "review": 1, "deny": 2}


def rules(facts: Facts) -> tuple[Policy, Release]:
    """The policy and the declared release that the decisions were made under."""
    manifest = facts["manifest"]
    return (
        config.parse(Policy, manifest["policy"], where="dataset.json: policy"),
        config.parse(Release, manifest["release"], where="dataset.json: release"),
    )


def explained(row: CatalogueRow, decision: Decision) -> str | None:
    """Why a row's verdict may differ from what its evidence alone gives; None: nothing explains it.

    Persons, take-downs, other offers and likeness to other works only ever take away from what the evidence
    allows; a person may also allow what was up for review, never what was denied.
    """
    if row.rule in ("denied_by_review", "taken_down"):
        return "taken out at a person's word"
    if decision.verdict == "deny":
        return None
    if row.rule == "allowed_by_review":
        return "a person allowed what was up for review"
    if row.rule not in _OWN and (row.verdict != "allow" or decision.verdict == "allow"):
        return f"objected to for what others say or are ({row.rule})"
    return None


def findings(
    storage: Storage,
    facts: Facts,
    using: Sequence[EvidenceReader],
    explain: Explain = explained,
    tally: Counter[str] | None = None,  # counts the decisions that were derived again, as "replayed"
) -> Iterator[str]:
    """What the catalogue says and its evidence does not give, one sentence each."""
    policy, release = rules(facts)
    judged: list[tuple[CatalogueRow, Candidate]] = []
    complete = len(using) == len(facts["manifest"]["source"])  # else a note says who cannot be replayed
    for item in replayed(storage, facts, using):
        if isinstance(item, OrphanedEvidence):
            if complete:
                yield f"{' or '.join(item.ids)}: is in the evidence, and not in the catalogue"
        elif item.recording is None:
            if complete:
                yield f"{item.row.id}: cannot be read back from its evidence: {item.why}"
        else:
            decision = decide(item.recording, policy, release)
            judged.append((item.row, _candidate(item.row, item.recording, decision)))
            yield from _decided(item.row, item.recording, decision, facts["answers"], explain)
            yield from _offered(item, policy, release)
            if tally is not None:
                tally["replayed"] += 1
    if complete:
        matching = config.parse(Matching, facts["manifest"]["matching"], where=layout.DATASET)
        yield from _copies(judged, matching)


def _decided(
    row: CatalogueRow, recording: Recording, decision: Decision, answers: dict[str, str], explain: Explain
) -> Iterator[str]:
    """Where a row says otherwise than its own evidence."""
    for name, value in differing(row, recording_columns(recording) | _judged(decision)):
        yield f"{row.id}: {name} is {getattr(row, name)!r}, its evidence gives {value!r}"
    if row.rule in ANSWERED and answers.get(row.id) != ANSWERED[row.rule]:
        yield f"{row.id}: {row.rule}, and dataset.json has no such answer"
    same = (row.verdict, row.rule) == (decision.verdict, decision.rule)
    if not same and explain(row, decision) is None:
        by_evidence = f"{decision.verdict} ({decision.rule})"
        yield f"{row.id}: verdict {row.verdict} ({row.rule}), its evidence gives {by_evidence}"


def _offered(item: Replayed, policy: Policy, release: Release) -> Iterator[str]:
    """What other offers of a work say must have been taken into account, and not invented.

    An earlier reading is evidence too, and may have said more: what is older than the row decides nothing.
    """
    row = item.row
    if row.rule in _OFFERS:
        single = [(reading,) for readings in item.others for reading in readings]
        judgements = [each for offers in single for each in _judgements(item, offers, policy, release)]
        if row.rule not in {decision.rule for decision in judgements}:
            yield f"{row.id}: {row.rule}, and no other offer of it in the evidence says so"
    elif row.rule == "allowed" and item.others:
        gravity = {r: _GRAVITY[decide(r, policy, release).verdict] for each in item.others for r in each}
        mildest = (min(readings, key=lambda r: gravity[r]) for readings in item.others)
        offers = tuple(r for r in mildest if not "" < r.retrieved_at < row.retrieved_at)
        judgements = _judgements(item, offers, policy, release)
        if all(decision.verdict != "allow" for decision in judgements):
            yield f"{row.id}: allowed, and {judgements[0].detail} ({judgements[0].rule})"


def _judgements(
    item: Replayed, offers: Sequence[Recording], policy: Policy, release: Release
) -> list[Decision]:
    """The judgement on all offers of a work, its author and theirs named as they were and as asked since."""
    assert item.stated is not None, item.row.id
    assert item.recording is not None, item.row.id
    named = [credited_as_asked(offer, item.asked) for offer in offers]
    found = []
    for own, others in ((item.stated, offers), (item.recording, offers), (item.recording, named)):
        told = tuple(Offer(recording=other, raw="") for other in others)
        listed = Listed(recording=own, raw="", source_index=0, num_offers=1 + len(told), others=told)
        found.append(judge(listed, policy, release, frozenset()))
    return found


def _candidate(row: CatalogueRow, recording: Recording, decision: Decision) -> Candidate:
    """A work as it is compared with others: what a person denied, another offer forbids or somebody narrowed
    since counts as that."""
    if row.rule == "denied_by_review" or row.rule in _OFFERS:
        verdict = typing.cast("Verdict", row.verdict)
        decision = dataclasses.replace(decision, verdict=verdict, rule=row.rule)
    elif row.rule in NARROWED or (row.rule in ANSWERED and "(was: restricted_since" in row.detail):
        rule = row.rule if row.rule in NARROWED else "restricted_since"
        decision = dataclasses.replace(decision, verdict="deny", rule=rule)
    return candidate(recording, decision)


def _copies(judged: list[tuple[CatalogueRow, Candidate]], matching: Matching) -> Iterator[str]:
    """Works that were allowed although they are copies of denied ones, and objections that nothing bears
    out. Hashes that only the files could give are not in the evidence: objections for the same file may rest
    on them."""
    objections = {item.recording_id: item for item in metadata.objections((c for _, c in judged), matching)}
    for row, _ in judged:
        objection = objections.get(row.id)
        if objection and row.verdict == "allow" and row.rule != "allowed_by_review":
            yield f"{row.id}: allowed, though it has {objection.detail} ({objection.rule})"
        if row.rule == "same_title_as_denied" and (objection is None or objection.rule != row.rule):
            yield f"{row.id}: {row.rule}, and no denied work of that title and length is in the evidence"


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
