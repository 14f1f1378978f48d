"""The policy: which licences and wishes a dataset accepts, and the decision about one recording.

A decision is allow, deny or review (kept out until a person answers), with a stable rule name, words, and
evidence. Denials come first: what no answer could change is not put before a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from sao_data.errors import UsageError
from sao_data.licences.claims import Licence, parse_fields
from sao_data.licences.contradiction import contradiction
from sao_data.licences.later import OnLaterRestriction
from sao_data.licences.names import license_name
from sao_data.licences.preference import NEVER, meets, normalise_preference
from sao_data.records import Decision, Evidence, Family, Recording, Verdict

FAMILIES = tuple(family for family in get_args(Family) if family not in ("OTHER", "UNKNOWN"))
# Freesound's Broad Sound Taxonomy v1.1 (2025-07-25): a class, or one of its own classes.
CATEGORIES = (
    "m", "m-sp", "m-si", "m-m", "m-other", "is", "is-p", "is-s", "is-w", "is-k", "is-e", "is-other",
    "sp", "sp-s", "sp-c", "sp-p", "sp-other", "fx", "fx-o", "fx-v", "fx-m", "fx-h", "fx-a", "fx-n", "fx-ex",
    "fx-el", "fx-other", "ss", "ss-n", "ss-i", "ss-u", "ss-s", "ss-other",
)  # fmt: skip


_CHECKSUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a dataset accepts. The defaults are those of Stable Audio Open."""

    families: tuple[str, ...] = ("CC0", "BY", "SAMPLING+")
    unknown_preference: Literal["keep", "drop"] = "keep"  # uploaders whose wish is not on record
    block_ids: tuple[str, ...] = ()  # recording ids
    block_author_ids: tuple[str, ...] = ()  # "12345", or with its source "freesound:12345"
    # Chromaprint as fpcalc prints it, md5 or sha256 of a file, or sha256 of normalised audio
    block_fingerprints: tuple[str, ...] = ()
    block_categories: tuple[str, ...] = ()  # "sp" and all below it, or "sp-s" alone (Freesound's BST codes)
    # Whole Sampling+ works may be shared non-commercially only (clause 3(d)(ii)). accept: in non-commercial
    # releases, review in others; review: always; accept-commercial-risk: in all.
    sampling_plus: Literal["accept", "review", "accept-commercial-risk"] = "accept"
    contradiction: Literal["keep", "review"] = "review"  # the description takes back what the licence grants
    explicit: Literal["keep", "drop"] = "keep"  # recordings the source marks as explicit
    # Works that contain others, which the API does not name and whose licences it does not state.
    remix_policy: Literal["keep-flagged", "review", "drop"] = "keep-flagged"
    on_later_restriction: OnLaterRestriction = field(default_factory=OnLaterRestriction)

    def __post_init__(self) -> None:
        """Refuse a policy that can allow nothing or names what does not exist."""
        there_are = f"there are {', '.join(FAMILIES)}"
        if not self.families:
            raise UsageError(f"policy: families is empty, so nothing would be allowed; {there_are}")
        for family in self.families:
            if family not in FAMILIES:
                raise UsageError(f"policy: no licence family {family!r}; {there_are}")
        for category in self.block_categories:
            if category not in CATEGORIES:
                raise UsageError(
                    f"policy.block_categories: no category {category!r}; there are {', '.join(CATEGORIES)}"
                )
        # md5sum and others print capitals too; a Chromaprint text tells them apart
        plain = tuple(t.casefold() if is_checksum(t.casefold()) else t for t in self.block_fingerprints)
        object.__setattr__(self, "block_fingerprints", plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What will become of the models trained on the dataset; uploaders' wishes are held against it."""

    open_source: bool = True
    freely_available: bool = True
    commercial_use: bool = False
    commercial_training: bool = False

    @property
    def commercial(self) -> bool:
        """Is any part of it commercial?"""
        return self.commercial_use or self.commercial_training


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    verdict: Verdict
    rule: str
    detail: str


def decide(recording: Recording, policy: Policy, release: Release) -> Decision:
    """May this recording be used?"""
    licence = parse_fields(recording.license_url, recording.license_claim)
    preference = normalise_preference(recording.ai_preference)
    findings = [
        *_blocked(recording, policy),
        judge(licence, policy, release),
        *_preference(recording.ai_preference, preference, policy, release),
        *_contents(recording, policy),
    ]
    found = next((f for v in ("deny", "review") for f in findings if f.verdict == v), None) or findings[0]
    return Decision(
        recording_id=recording.id,
        license=licence.license_id,
        family=licence.family,
        version=licence.version,
        license_url=licence.url,
        verdict=found.verdict,
        rule=found.rule,
        detail=found.detail,
        ai_preference=preference or "",
        evidence=_evidence(recording),
    )


def is_checksum(text: str) -> bool:
    """Is this entry of `block_fingerprints` an md5 or a sha256? Else it is a Chromaprint text."""
    return _CHECKSUM.fullmatch(text) is not None


def unused_author_blocks(policy: Policy, authors: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Entries of `block_author_ids` that no author offered, as (source, author id), answers to."""
    there = {name for source, author in authors if author for name in (author, f"{source}:{author}")}
    return tuple(entry for entry in policy.block_author_ids if entry not in there)


def judge(licence: Licence, policy: Policy, release: Release) -> _Finding:
    """Hold a licence alone against the policy."""
    name = license_name(licence.license_id)
    allowed = licence.family in policy.families
    if licence.status == "unknown":
        rules = {"no_license": "no_license", "outside_license": "license_not_allowed"}
        return _Finding(verdict="deny", rule=rules.get(licence.rule, "unknown_license"), detail=licence.why)
    if not allowed and licence.family not in ("PDM", "OTHER", "UNKNOWN"):
        return _not_allowed(name, policy)
    if licence.status == "repairable":
        rule = "license_conflict" if licence.rule == "license_conflict" else "license_needs_review"
        return _Finding(verdict="review", rule=rule, detail=licence.why)
    if licence.family == "PDM" and not allowed:
        detail = f"{name} is a label, not a grant"
        return _Finding(verdict="review", rule="license_needs_review", detail=detail)
    if not allowed:
        return _not_allowed(name, policy)
    return _conditions(licence, name, policy, release)


def _conditions(licence: Licence, name: str, policy: Policy, release: Release) -> _Finding:
    """An accepted family: do its own terms fit the release?"""
    if licence.family == "SAMPLING+" and policy.sampling_plus == "review":
        return _Finding(verdict="review", rule="sampling_plus_review", detail="the policy reviews Sampling+")
    at_risk = licence.family == "SAMPLING+" and policy.sampling_plus != "accept-commercial-risk"
    if release.commercial and (at_risk or "NC" in licence.family.split("-")):
        detail = f"the release is commercial; {name} lets whole works be shared non-commercially only"
        return _Finding(verdict="review", rule="license_noncommercial", detail=detail)
    note = f"; {licence.why}" if licence.why and licence.rule == "named" else ""
    return _Finding(verdict="allow", rule="allowed", detail=f"{name}{note}")


def _not_allowed(name: str, policy: Policy) -> _Finding:
    detail = f"{name} is not among the families the policy accepts ({', '.join(policy.families)})"
    return _Finding(verdict="deny", rule="license_not_allowed", detail=detail)


def _blocked(recording: Recording, policy: Policy) -> list[_Finding]:
    if recording.id in policy.block_ids:
        return [_Finding(verdict="deny", rule="blocked_id", detail=f"the policy blocks {recording.id}")]
    author = recording.author_id
    if author and not {author, f"{recording.source}:{author}"}.isdisjoint(policy.block_author_ids):
        return [_Finding(verdict="deny", rule="blocked_author", detail=f"the policy blocks author {author}")]
    return []


def _preference(raw: str, preference: str | None, policy: Policy, release: Release) -> list[_Finding]:
    if preference is None:
        detail = f"the uploader's preference {raw[:80]!r} is not known to this version"
        return [_Finding(verdict="review", rule="ai_preference_not_understood", detail=detail)]
    if not preference:
        detail = "the uploader's preference is not on record, and the policy drops such"
        dropped = policy.unknown_preference == "drop"
        return [_Finding(verdict="deny", rule="ai_preference_unknown", detail=detail)] if dropped else []
    if meets(preference, release):
        return []
    if preference == NEVER:
        detail = "the uploader wants no training of generative models"
        return [_Finding(verdict="deny", rule="ai_preference_forbids", detail=detail)]
    detail = f"the uploader's preference {preference} is not met by this release"
    return [_Finding(verdict="deny", rule="ai_preference_not_met", detail=detail)]


def _contents(recording: Recording, policy: Policy) -> list[_Finding]:
    """What the work is, rather than what its licence says."""
    findings = []
    if recording.is_explicit and policy.explicit == "drop":
        findings.append(_Finding(verdict="deny", rule="explicit", detail="the source marks it as explicit"))
    category = recording.category
    if category and {category, category.split("-")[0]} & set(policy.block_categories):
        detail = f"the policy blocks the category {category}"
        findings.append(_Finding(verdict="deny", rule="blocked_category", detail=detail))
    if recording.is_remix and policy.remix_policy != "keep-flagged":
        detail = "contains material from other works; the source does not say which"
        verdict: Verdict = "deny" if policy.remix_policy == "drop" else "review"
        findings.append(_Finding(verdict=verdict, rule="remix", detail=detail))
    if policy.contradiction == "review" and (words := contradiction(recording.description)):
        detail = f"the description says {words!r}"
        findings.append(_Finding(verdict="review", rule="description_contradicts", detail=detail))
    return findings


def _evidence(recording: Recording) -> Evidence:
    """The words judged, and where they stood: the URL first, the name too where both were given."""
    fields = {"license_url": recording.license_url, "license_claim": recording.license_claim}
    said = {name: text for name, text in fields.items() if text.strip()}
    return Evidence(
        claim=" | ".join(said.values()),
        field=", ".join(_place(name, recording) for name in said),
        response_sha256=recording.evidence,
        retrieved_at=recording.retrieved_at,
    )


def _place(name: str, recording: Recording) -> str:
    """Where a claim stood: a field of the source's, or a tag of the file's own."""
    tag = next((t.removeprefix(f"{name}: ") for t in recording.from_tags if t.startswith(f"{name}: ")), "")
    return f"{name} (the file's own {tag})" if tag else name
