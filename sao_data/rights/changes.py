"""What a source said of a work then, against what it says now: has it been withdrawn, relicensed, opted out?

Each change is judged alone: the old reading with only that one thing replaced is held against the policy. So
a harmless 3.0 to 4.0 is not blamed for the opt-out that came with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from sao_data.licences import Policy, Release, decide, meets, normalise_preference
from sao_data.licences.later import Action, OnLaterRestriction
from sao_data.records import Recording

Kind = Literal["withdrawn", "relicensed", "opted_out", "renamed"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_VERDICTS = ("allow", "review", "deny")  # from the mildest
_ACTIONS: tuple[Action, ...] = ("keep", "ask", "drop")  # from the mildest


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedChange:
    """One thing that a source says otherwise than it did."""

    id: str
    kind: Kind
    before: str
    after: str
    restricts: bool  # the policy's verdict on this reading is stricter than on the old one


def changes_between(
    before: Recording, after: Recording | None, policy: Policy, release: Release
) -> tuple[StatedChange, ...]:
    """Every change between two readings of a recording; `after` is None where it is no longer offered."""
    if after is None:
        was = decide(before, policy, release).license or "no licence"
        return (_change(before, "withdrawn", f"offered under {was}", "not offered", restricts=False),)
    changes = [*_relicensed(before, after, policy, release), *_opted_out(before, after, policy, release)]
    return (*changes, *_renamed(before, after))


def action_for(changes: Iterable[StatedChange], rules: OnLaterRestriction) -> Action:
    """What the rules make of a recording's changes: the strictest of them; a change that takes nothing away
    is none."""
    asked: dict[str, Action] = {
        "withdrawn": rules.withdrawn,
        "relicensed": rules.relicensed,
        "opted_out": rules.opted_out,
    }
    actions = [asked[c.kind] for c in changes if c.kind == "withdrawn" or (c.restricts and c.kind in asked)]
    return max(actions, key=_ACTIONS.index, default="keep")


def _relicensed(
    before: Recording, after: Recording, policy: Policy, release: Release
) -> Iterator[StatedChange]:
    """Another licence, or words about the same one that the policy no longer takes as they are."""
    said = dataclasses.replace(before, license_url=after.license_url, license_claim=after.license_claim)
    was, now = decide(before, policy, release), decide(said, policy, release)
    restricts = _is_stricter(was.verdict, now.verdict)
    if was.license != now.license:
        yield _change(before, "relicensed", was.license, now.license, restricts=restricts)
    elif restricts:
        yield _change(before, "relicensed", was.license, f"{now.license} ({now.detail})", restricts=True)


def _opted_out(
    before: Recording, after: Recording, policy: Policy, release: Release
) -> Iterator[StatedChange]:
    """A preference that this release met and no longer meets; one that is still met is no change."""
    if _is_met(before.ai_preference, policy, release) and not _is_met(after.ai_preference, policy, release):
        said = dataclasses.replace(before, ai_preference=after.ai_preference)
        was, now = decide(before, policy, release).verdict, decide(said, policy, release).verdict
        words = _in_words(before.ai_preference), _in_words(after.ai_preference)
        yield _change(before, "opted_out", *words, restricts=_is_stricter(was, now))


def _renamed(before: Recording, after: Recording) -> Iterator[StatedChange]:
    """Credit is due under the names of today; one change for each field."""
    for name in ("author", "title"):
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            yield _change(before, "renamed", f"{name}: {was}", f"{name}: {now}", restricts=False)


def _change(recording: Recording, kind: Kind, before: str, after: str, *, restricts: bool) -> StatedChange:
    return StatedChange(id=recording.id, kind=kind, before=before, after=after, restricts=restricts)


def _is_stricter(before: str, after: str) -> bool:
    """From review to deny too: what a person let in was up for review."""
    return _VERDICTS.index(after) > _VERDICTS.index(before)


def _is_met(raw: str, policy: Policy, release: Release) -> bool:
    preference = normalise_preference(raw)
    if preference is None:  # a value that this version does not know
        return False
    return meets(preference, release) if preference else policy.unknown_preference == "keep"


def _in_words(raw: str) -> str:
    preference = normalise_preference(raw)
    return f"not understood: {raw[:80]}" if preference is None else preference or "unknown"
