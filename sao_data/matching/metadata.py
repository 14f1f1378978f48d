"""Laundering: one work offered twice, once under terms that forbid it. The denied go on being compared.

A second upload of the same file under a freer licence makes nothing free. Before any download, works are
compared by what the sources state: the same file (md5 or sha256), or the same title and length.

- same file as a work that was denied for its licence or its uploader's wish: denied as well;
- same file as a work whose rights are unclear, or the same title and length as a denied one: a person looks;
- same file, named authors that differ, and a licence that asks for credit: a person says whose it is.

Which of several allowed copies stays is decided once the audio is there (exact.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from sao_data.licences.later import num_met
from sao_data.licences.words import comparable
from sao_data.records import Decision, Objection, Recording, Verdict

STAGE = "match"

# Rules that deny because somebody forbids the use; the others say that nothing could be told.
FORBIDDEN = frozenset(
    {
        "license_not_allowed",
        "ai_preference_forbids",
        "ai_preference_not_met",
        "blocked_id",
        "blocked_author",
        "denied_by_review",
        "other_offer_denied",
        "taken_down",
    }
)
_RESTRICTIVE = {"SAMPLING+": 0, "BY": 1, "CC0": 2}  # lower asks more
# Rules that say: a person forbade it since; what is kept or waits is no leave for others' copies.
NARROWED = frozenset({"restricted_since", "allowed_under_earlier_terms"})
_CREDITED = ("BY", "SAMPLING+")  # families whose works name their author
_GRAVITY = {"allow": 0, "review": 1, "deny": 2}
_WORD = re.compile(r"[^\W_]+")
_EXTENSION = re.compile(r"\.(?:wav|aiff?|flac|mp3|ogg|m4a|wv|opus)$")
_FEW = 20  # works of one length that are no reason to distrust it
_TENTHS = 10  # lengths are compared by the tenth of a second, and by the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Whether works are compared with those that were denied."""

    file: Literal["on", "off"] = "on"  # md5 or sha256, as the sources state them
    title: Literal["review", "off"] = "review"  # title of two words or more, and length within 0.1 s
    # how the audio sounds: against what was denied or taken down while it was held, and among those allowed
    fingerprint: Literal["review", "off"] = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the comparison sees of one offered work."""

    id: str
    author: str
    files: tuple[str, ...]  # checksums
    title: str  # comparable form; '' = too common to say anything
    tenths: int  # length in tenths of a second; -1 = not stated
    verdict: Verdict
    rule: str
    family: str
    preference: str = ""


class LicensedWork(Protocol):
    """Somebody's work under a family of licences."""

    @property
    def author(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def preference(self) -> str: ...


W = TypeVar("W", bound=LicensedWork)


def strictness(work: LicensedWork) -> tuple[int, int]:
    """How much a work's licence and its uploader's wish ask: smaller asks more."""
    return _RESTRICTIVE.get(work.family, 1), num_met(work.preference)


def restrictive_first(works: Iterable[W], *, key: Callable[[W], Any]) -> list[W]:
    """Works by how much they ask, most first; equals by `key`."""
    return sorted(works, key=lambda work: (*strictness(work), key(work)))


def with_disputed_author(works: list[W]) -> list[W]:
    """Of copies of one work: those that ask most, if they ask for credit and their named authors differ. A
    freer copy does not matter: the stricter one, with its credit, stays."""
    strictest = min(map(strictness, works))
    top = [work for work in works if strictness(work) == strictest]
    differ = len({work.author for work in top if work.author}) > 1
    return top if differ and top[0].family in _CREDITED else []


def forbids(decision: Decision) -> str:
    """The rule by which somebody forbids the use of a work; '' if nobody does."""
    forbidden = decision.verdict == "deny" and decision.rule in FORBIDDEN
    return decision.rule if forbidden or decision.rule in NARROWED else ""


def candidate(recording: Recording, decision: Decision) -> Candidate:
    """The comparable form of a work and of what was decided about it."""
    seconds = recording.media.seconds
    return Candidate(
        id=recording.id,
        author=author_key(recording.author),
        files=tuple(digest for digest in (recording.md5.lower(), recording.sha256) if digest),
        title=title_key(recording.title),
        tenths=-1 if seconds is None else round(seconds * _TENTHS),
        verdict=decision.verdict,
        rule=decision.rule,
        family=decision.family,
        preference=decision.ai_preference,
    )


def objections(
    candidates: Iterable[Candidate],
    matching: Matching,
    *,
    taken_down: frozenset[str] = frozenset(),  # checksums of files
    blocked: frozenset[str] = frozenset(),  # checksums that the policy blocks
) -> tuple[Objection, ...]:
    """At most one objection to each work that is not denied, the most severe, sorted by id."""
    works = list(candidates)
    found: dict[str, Objection] = {}
    _keep_severest(found, _by_checksum(works, taken_down, "taken_down", "the file of a work taken down"))
    _keep_severest(found, _by_checksum(works, blocked, "blocked_fingerprint", "the policy blocks this file"))
    if matching.file == "on":
        for group in _groups((digest, work) for work in works for digest in work.files):
            _keep_severest(found, _same_file(group))
    if matching.title == "review":
        common = _common_lengths(works)
        for group in _groups(_title_keys(works)):
            _keep_severest(found, _same_title(group, common))
    return tuple(found[key] for key in sorted(found))


def title_key(title: str) -> str:
    """A title's words without spelling; '' if fewer than two words or eight letters: too common to match."""
    words = _WORD.findall(comparable(_EXTENSION.sub("", title.casefold().strip())))
    letters = sum(c.isalpha() for word in words for c in word)
    return " ".join(words) if len(words) >= 2 and letters >= 8 else ""


def author_key(author: str) -> str:
    """A name without its spelling; '' = not named."""
    return " ".join(unicodedata.normalize("NFKC", author).casefold().split())


def most_severe(*objections: Iterable[Objection]) -> tuple[Objection, ...]:
    """At most one objection to each work: deny before review before allow, then the first."""
    found: dict[str, Objection] = {}
    for more in objections:
        _keep_severest(found, more)
    return tuple(found[key] for key in sorted(found))


def _keep_severest(found: dict[str, Objection], more: Iterable[Objection]) -> None:
    for item in more:
        known = found.get(item.recording_id)
        if known is None or _GRAVITY[item.verdict] > _GRAVITY[known.verdict]:
            found[item.recording_id] = item


def _by_checksum(
    works: list[Candidate], checksums: frozenset[str], rule: str, detail: str
) -> Iterator[Objection]:
    for work in works:
        if work.verdict != "deny" and not checksums.isdisjoint(work.files):
            yield _object(work, "deny", rule, detail)


def _groups(keyed: Iterable[tuple[object, Candidate]]) -> Iterator[list[Candidate]]:
    """Groups of two or more, each in the order of the ids."""
    by_key: dict[object, list[Candidate]] = {}
    for key, work in keyed:
        by_key.setdefault(key, []).append(work)
    for group in by_key.values():
        if len(group) > 1:
            yield sorted(group, key=lambda work: work.id)


def _same_file(group: list[Candidate]) -> Iterator[Objection]:
    forbidden = next((w for w in group if _is_forbidden(w)), None)
    usable = [w for w in group if w.verdict == "allow"]
    unsure = with_disputed_author(usable) if usable else []
    for work in group:
        if work.verdict == "deny":
            continue
        rest = (w for w in group if w is not work and not _is_about_contents(w))
        unclear = next((w for w in rest if w.verdict != "allow"), None)
        if forbidden:
            detail = f"the same file as {forbidden.id}, which is denied ({forbidden.rule})"
            yield _object(work, "deny", "same_file_as_denied", detail)
        elif unclear:
            detail = f"the same file as {unclear.id}, whose rights are unclear ({unclear.rule})"
            yield _object(work, "review", "same_file_as_unclear", detail)
        elif work in unsure:
            others = ", ".join(other.id for other in unsure if other is not work)[:200]
            detail = f"the same file as {others}, by another author: a person says whose it is"
            yield _object(work, "review", "authors_differ", detail)


def _title_keys(works: list[Candidate]) -> Iterator[tuple[object, Candidate]]:
    """Each work under its own tenth of a second and the next: within a tenth two of them meet."""
    for work in works:
        if work.title and work.tenths >= 0:
            yield (work.title, work.tenths), work
            yield (work.title, work.tenths + 1), work


def _common_lengths(works: list[Candidate]) -> frozenset[int]:
    """Lengths that so many works share (a corpus of excerpts, say) that they say nothing of any."""
    nums = Counter(work.tenths for work in works)
    return frozenset(tenths for tenths, num in nums.items() if num > max(_FEW, len(works) / 20))


def _same_title(group: list[Candidate], common: frozenset[int]) -> Iterator[Objection]:
    """A title and a length are a hint: the freer works go before a person, the stricter ones stay."""
    for work in group:
        if work.verdict == "deny":
            continue
        others = [w for w in group if w is not work and (w.author != work.author or not w.author)]
        forbidden = next((w for w in group if _is_forbidden(w)), None)
        unclear = next((w for w in others if w.verdict != "allow" and not _is_about_contents(w)), None)
        usable = (w for w in others if w.verdict == "allow")
        stricter = next((w for w in usable if strictness(w) < strictness(work)), None)
        if forbidden:
            detail = f"title and length of {forbidden.id}, which is denied ({forbidden.rule})"
            yield _object(work, "review", "same_title_as_denied", detail)
        elif work.verdict != "allow" or work.tenths in common:
            continue
        elif unclear:
            detail = f"title and length of {unclear.id}, whose rights are unclear ({unclear.rule})"
            yield _object(work, "review", "same_title_as_unclear", detail)
        elif stricter:
            detail = f"title and length of {stricter.id}, which asks for more ({stricter.family})"
            yield _object(work, "review", "same_title_as_stricter", detail)


def _is_about_contents(work: Candidate) -> bool:
    """Denied or up for review for what it is, not for its rights."""
    return work.rule in ("explicit", "blocked_category", "remix")


def _is_forbidden(work: Candidate) -> bool:
    return work.verdict == "deny" and (work.rule in FORBIDDEN or work.rule in NARROWED)


def _object(work: Candidate, verdict: Verdict, rule: str, detail: str) -> Objection:
    return Objection(recording_id=work.id, stage=STAGE, verdict=verdict, rule=rule, detail=detail)
