"""manifests/licences.toml, read once and checked: units, ports, words, hosts, preferences."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from sao_data import config
from sao_data.licences.words import normalise, tokens
from sao_data.records import Family, Verdict
from sao_data.shipped import manifests_folder

T = TypeVar("T")

Kind = Literal[
    "cc", "attribution", "translated", "by", "zero", "mark", "dedication", "sampling_plus", "sampling",
    "devnations", "public_domain", "nc", "nd", "sa", "compact", "label", "grant", "prose", "empty",
    "placeholder", "outside",
]  # fmt: skip

_WORD_KINDS: tuple[Kind, ...] = (
    "cc", "attribution", "translated", "by", "zero", "mark", "dedication", "sampling_plus", "sampling",
    "devnations", "public_domain", "nc", "nd", "sa",
)  # fmt: skip
_FILLERS: tuple[Kind, ...] = ("label", "grant", "prose")


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceText:
    """One Creative Commons licence text family, named by the word in its deed URL."""

    slug: str
    family: Family
    stem: str
    name: str
    versions: tuple[str, ...]
    category: str = "licenses"
    id: str = ""  # a fixed id; '' = built from stem, version and port
    ported: tuple[str, ...] = ()
    ports: dict[str, tuple[str, ...]] = field(default_factory=dict)
    review: str = ""  # why a person must look at every claim of it; '' = no need
    review_ports: bool = False

    def exists(self, version: str, jurisdiction: str) -> bool:
        """Was this text ever published?"""
        if jurisdiction:
            return jurisdiction in self.ports.get(version, ())
        return version in self.versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Known words that are no licence we may use."""

    why: str
    phrases: tuple[str, ...]
    id: str = "UNKNOWN"
    family: Family = "UNKNOWN"  # OTHER: it is a licence
    version: str = ""
    verdict: Verdict = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnclearAddress:
    """URLs of statements that a person can make something of."""

    why: str
    addresses: tuple[str, ...]
    verdict: Verdict = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Words that take back a grant, and substrings without which the pattern cannot match."""

    needs: tuple[str, ...]
    regex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """What a phrase means."""

    words: tuple[str, ...]
    kind: Kind
    unit: str = ""  # compact spellings: the unit's slug
    outside: Outside | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Everything the parser knows."""

    units: dict[str, LicenceText]  # by slug
    spdx: frozenset[str]
    phrases: dict[str, tuple[Phrase, ...]]  # by first word, longest first
    joined: tuple[str, ...]  # words of scripts that put no blanks between them
    jurisdictions: dict[str, tuple[str, ...]]  # code -> names, the shown one first
    places: dict[str, tuple[tuple[tuple[str, ...], str], ...]]  # first word -> (words, code), longest first
    deed_hosts: frozenset[str]
    badge_hosts: frozenset[str]
    addresses: dict[str, UnclearAddress]
    boilerplate: tuple[str, ...]
    preference_names: dict[str, str]  # value or alias -> value
    preference_wants: dict[str, dict[str, bool]]
    contradictions: tuple[Pattern, ...]
    digest: str  # of all of this, comments apart: other words, other decisions


@functools.cache
def table() -> Table:
    """The licence table of this installation."""
    return read((manifests_folder() / "licences.toml").read_bytes())


def read(raw: bytes) -> Table:
    """Build the table from TOML; a malformed table raises, because nothing can be decided without it."""
    data: dict[str, Any] = tomllib.loads(raw.decode())
    units = _units(data)
    outside = (*_group(Outside, data["outside"]["claim"]), *_reserved(data["translations"]["language"]))
    values = data["preference"]["values"]
    names = data["jurisdictions"]["names"]
    phrases = _phrases(_translated(data["words"], data["translations"]["language"]), outside)
    return Table(
        units={unit.slug: unit for unit in units},
        spdx=frozenset(data["spdx"]["ids"]),
        phrases=phrases,
        joined=_joined(phrases, names),
        jurisdictions={code: tuple(spelt) for code, spelt in names.items()},
        places=_places(names),
        deed_hosts=frozenset(data["hosts"]["deeds"]),
        badge_hosts=frozenset(data["hosts"]["badges"]),
        addresses={
            a: item for item in _group(UnclearAddress, data["outside"]["address"]) for a in item.addresses
        },
        boilerplate=tuple(data["words"]["boilerplate"]["sentences"]),
        preference_names={a: value for value, more in values.items() for a in (value, *more)},
        preference_wants=data["preference"]["wants"],
        contradictions=_group(Pattern, data["contradiction"]["pattern"]),
        digest=config.digest(data),
    )


def _group(cls: type[T], rows: list[dict[str, Any]]) -> tuple[T, ...]:
    return tuple(config.parse(cls, row, where="licences.toml") for row in rows)


def _units(data: dict[str, Any]) -> tuple[LicenceText, ...]:
    """Units with the shared ports filled in."""
    shared = {version: ports for version, ports in data["ports"].items() if version[0].isdigit()}
    rows = []
    for row in data["units"]["unit"]:
        common = {version: shared[version] for version in row.get("ported", ())}
        rows.append({**row, "ports": {**common, **row.get("ports", {})}})
    return _group(LicenceText, rows)


def _translated(words: dict[str, Any], languages: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """The words with those of all languages."""

    def of(kind: str) -> list[str]:
        return [phrase for language in languages.values() for phrase in language.get(kind, ())]

    filler = {**words["filler"], "label": [*words["filler"]["label"], *of("label")]}
    more = {kind: [*words[kind], *of(kind)] for kind in ("cc", "nc", "nd", "sa")}
    return {**words, **more, "translated": of("by"), "filler": filler}


def _joined(phrases: dict[str, tuple[Phrase, ...]], places: dict[str, list[str]]) -> tuple[str, ...]:
    """Words of several characters in scripts without blanks, whichever phrase or place they belong to."""
    said = {word for entries in phrases.values() for entry in entries for word in entry.words}
    said |= {word for spelt in places.values() for name in spelt for word in _split(name)}
    return tuple(sorted(word for word in said if not word.isascii() and min(word) > "\u2fff"))


def _reserved(languages: dict[str, dict[str, list[str]]]) -> tuple[Outside, ...]:
    """ "All rights reserved" in all languages."""
    phrases = tuple(phrase for language in languages.values() for phrase in language["reserved"])
    return (Outside(why="all rights are kept: no licence", phrases=phrases),)


def _phrases(words: dict[str, Any], outside: Iterable[Outside]) -> dict[str, tuple[Phrase, ...]]:
    entries = [Phrase(words=_split(p), kind=kind) for kind in _WORD_KINDS for p in words[kind]]
    entries += [Phrase(words=(p,), kind="compact", unit=unit) for p, unit in words["compact"].items()]
    entries += [Phrase(words=_split(p), kind=kind) for kind in _FILLERS for p in words["filler"][kind]]
    entries += [Phrase(words=_split(p), kind="empty") for p in words["placeholder"]["empty"]]
    entries += [Phrase(words=_split(p), kind="placeholder") for p in words["placeholder"]["phrases"]]
    entries += [Phrase(words=_split(p), kind="outside", outside=o) for o in outside for p in o.phrases]
    by_first: dict[str, list[Phrase]] = {}
    for entry in entries:  # the first of two equal phrases wins, so that licence words beat filler
        by_first.setdefault(entry.words[0], []).append(entry)
    return {first: tuple(sorted(found, key=_longest_first)) for first, found in by_first.items()}


def _places(names: dict[str, list[str]]) -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for code, spelt in names.items():
        for words in [(code,), *(_split(name) for name in spelt)]:
            by_first.setdefault(words[0], []).append((words, code))
    return {first: tuple(sorted(found, key=lambda f: -len(f[0]))) for first, found in by_first.items()}


def _split(phrase: str) -> tuple[str, ...]:
    return tuple(tokens(normalise(phrase)))


def _longest_first(entry: Phrase) -> int:
    return -len(entry.words)
