"""A licence claim, in any spelling, into the one licence it names, or into the reason why it names none.

Nothing is allowed by resemblance: every word must be known, every URL must be a deed of an existing text, and
one licence must remain. What is left over, contradicts or had to be repaired goes to a person. No version is
invented.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sao_data.licences import phrases, urls
from sao_data.licences.notice import without_notices
from sao_data.licences.table import LicenceText, Outside, Table, table
from sao_data.licences.words import reorders, visible
from sao_data.records import Family

Status = Literal["named", "repairable", "unknown"]
UNKNOWN = "UNKNOWN"

_LONGEST = 4_000  # characters; CC's own HTML snippet has 600
_PUBLIC_DOMAIN_UNITS = ("zero", "mark", "certification", "publicdomain")
_CUT_OFF = re.compile(r"[-(\u2010-\u2015]\s*$")
_REPAIRS = {
    "category": "the path of the deed URL puts it in the wrong category",
    "no_version": "the deed URL has no version",
    "query": "the deed URL carries further licence words behind it",
    "blank": "the deed URL has a blank in it",
    "encoded": "the deed URL is spelt with encoded letters or dot segments",
    "hidden": "the deed URL has invisible characters in it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What a claim says. `named`: policy decides; `repairable`: a person must; `unknown`: it names none."""

    license_id: str  # SPDX id or LicenseRef; "CC-BY" without version if none is stated; "UNKNOWN"
    family: Family
    version: str = ""  # '' = not stated
    jurisdiction: str = ""  # code of the port, '' = none
    url: str = ""  # canonical deed URL; '' if there is no exact text
    status: Status
    rule: str  # stable snake_case
    why: str = ""
    silent: bool = False  # an empty cell, or what programs write for one: there is nothing to disagree with


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """One existing text, or a text without its version."""

    unit: LicenceText
    version: str = ""
    jurisdiction: str = ""
    in_country: str = ""  # code of a country that words name, '' = none: there may be no port for it


def parse(claim: str) -> Licence:
    """Read one claim: a deed or badge URL, a name in any style, several at once, HTML or prose."""
    if len(claim) > _LONGEST:
        return _undecided("too_long", f"{len(claim)} characters: a text, not the name of a licence")
    return _parse(claim)


def parse_fields(url: str, name: str, *others: str) -> Licence:
    """Read what several fields say of one work: the URL wins where families agree, else it is a conflict."""
    readings = [parse(claim) for claim in (url, name, *others)]
    stated = [licence for licence in readings if not licence.silent and licence.rule != "family_not_stated"]
    if not stated:
        return next((licence for licence in readings if licence.rule != "no_license"), readings[0])
    return functools.reduce(_agree, stated)


@functools.lru_cache(maxsize=65_536)
def _parse(claim: str) -> Licence:
    known = table()
    raw = urls.text_of_html(claim)
    text = visible(raw).strip()
    if urls.lost_plus(text):
        return _undecided("lost_plus", "a blank where a plus may have been: Sampling or Sampling Plus?")
    repaired = urls.repair_url(text, known)
    if repaired:
        return _from_url(repaired)
    found = urls.find(_boilerplate().sub(" ", raw), known)
    beside = replace(found, text=without_notices(found.text, known))
    reading = phrases.read(beside.text, known)
    if found.deeds or reading.said:
        found = beside
    else:  # a notice alone names no licence, and is not nothing either
        reading = phrases.read(found.text, known)
    licence = _resolve(found, reading, known)
    if licence.status == "named" and reorders(claim):
        return replace(licence, status="repairable", rule="reordered", why="holds characters that reorder it")
    return licence


def _resolve(found: urls.Found, reading: phrases.Reading, known: Table) -> Licence:
    """Bring URLs and words of one claim together."""
    named, missing = _texts(found.deeds, reading, known)
    if not named:
        return missing[0] if missing else _nothing_named(found, reading, known)
    one = _merge(named)
    public_domain = "public_domain" in reading.kinds and named[0].unit.slug not in _PUBLIC_DOMAIN_UNITS
    if reading.outside and not found.deeds and not reading.beyond_doubt():
        return _nothing_named(found, reading, known)  # "free with attribution"
    unplaced = reading.loose if found.deeds or reading.said else phrases.NamedLicence()
    if one is None or missing or reading.outside or public_domain or unplaced.restrictions:
        return _undecided("several_licenses", "says more than one thing: " + _list(named, reading))
    if unplaced.versions and unplaced.versions != [one.version]:
        return _undecided("several_licenses", f"a second version: {', '.join(unplaced.versions)}")
    doubt = _doubt(found, reading)
    licence = _licence(one)
    if doubt and not found.deeds and not reading.beyond_doubt():
        return _unknown("unknown_license", doubt)
    repair = next((deed.repair for deed in found.deeds if deed.repair), "")
    if repair:
        return replace(licence, status="repairable", rule="url_repaired", why=_REPAIRS[repair])
    if doubt and licence.status == "named":
        return replace(licence, status="repairable", rule="words_not_understood", why=doubt)
    return licence


def _texts(
    deeds: Iterable[urls.Deed], reading: phrases.Reading, known: Table
) -> tuple[list[_Named], list[Licence]]:
    """The existing texts that are named, and answers about those that do not exist."""
    named: list[_Named] = []
    missing: list[Licence] = []
    for deed in deeds:
        if deed.unit is None:
            missing.append(_unknown("no_such_license", "the deed URL names a licence that does not exist"))
        else:
            _sort(
                _Named(unit=deed.unit, version=deed.version, jurisdiction=deed.jurisdiction), named, missing
            )
    loose = [reading.loose] if reading.loose.restrictions and reading.loose.versions else []
    for said in reading.said or ([] if named else loose):
        unit = known.units.get(said.slug())
        if unit is None:
            missing.append(_unknown("no_such_license", "restrictions that no such licence has"))
            continue
        for version in said.versions or [""]:
            place = said.jurisdiction if said.named_place else ""
            text = _Named(unit=unit, version=version, jurisdiction=said.jurisdiction, in_country=place)
            _sort(text, named, missing)
    return named, missing


def _sort(text: _Named, named: list[_Named], missing: list[Licence]) -> None:
    unit, version = text.unit, text.version
    if not version or unit.exists(version, text.jurisdiction):
        named.append(replace(text, in_country=""))
    elif text.in_country and version in unit.ports and unit.exists(version, "") and not unit.review_ports:
        named.append(replace(text, jurisdiction=""))  # "Attribution 3.0 Finland": BY 3.0 beyond doubt
    elif unit.exists(version, "") or version in unit.ports:
        why = f"{unit.name} {version} was never published for {text.jurisdiction or 'no jurisdiction'!r}"
        bare = _Named(unit=unit, version=version if unit.exists(version, "") else "")
        missing.append(replace(_licence(bare), status="repairable", rule="no_such_port", why=why))
    else:
        missing.append(_unknown("no_such_version", f"there is no {unit.name} {version}"))


def _merge(named: list[_Named]) -> _Named | None:
    """The one text all of them mean, the most exact saying it; None if they differ."""
    units = {text.unit.slug for text in named}
    versions = {text.version for text in named} - {""}
    ports = {text.jurisdiction for text in named} - {""}
    places = {text.in_country for text in named} - {""}
    if len(units) > 1 or len(versions) > 1 or len(ports | places) > 1:
        return None
    version, port, place = "".join(versions), "".join(ports), "".join(places - ports)
    return _Named(unit=named[0].unit, version=version, jurisdiction=port, in_country=place)


def _licence(text: _Named) -> Licence:
    """The licence of an existing text, with its id and its canonical URL."""
    unit, version, port = text.unit, text.version, text.jurisdiction
    if not version and len(unit.versions) == 1 and not unit.ported:
        version = unit.versions[0]  # it exists in one version only: naming it names that one
    exact = bool(version) or "" in unit.versions
    parts = (unit.slug, version, port)
    url = f"https://creativecommons.org/{unit.category}/{'/'.join(p for p in parts if p)}/" if exact else ""
    status: Status = "named"
    rule, why = ("named", _unported(text)) if exact else ("version_not_stated", "the version is not stated")
    if unit.review:
        status, rule, why = "repairable", "retired_dedication", unit.review
    elif port and unit.review_ports:
        status, rule, why = (
            "repairable",
            "ported_sampling_plus",
            f"the {port} port of {unit.name} is another text",
        )
    return Licence(
        license_id=_id(unit, version, port), family=unit.family, version=version, jurisdiction=port, url=url,
        status=status, rule=rule, why=why,
    )  # fmt: skip


def _unported(text: _Named) -> str:
    """Say so where words name a country that the text was never ported to."""
    if not text.in_country:
        return ""
    country = table().jurisdictions[text.in_country][0]
    return f"{text.unit.name} {text.version} was never ported to {country}; taken as the unported text"


def _id(unit: LicenceText, version: str, port: str) -> str:
    plain = unit.id or "-".join(part for part in (unit.stem, version, port.upper()) if part)
    return plain if not version or plain in table().spdx else f"LicenseRef-{plain}"


def _from_url(deed: urls.Deed) -> Licence:
    if deed.unit is None:
        return _unknown("no_such_license", "the deed URL names a licence that does not exist")
    named: list[_Named] = []
    missing: list[Licence] = []
    _sort(_Named(unit=deed.unit, version=deed.version, jurisdiction=deed.jurisdiction), named, missing)
    if missing:
        return missing[0]
    return replace(_licence(named[0]), status="repairable", rule="url_repaired", why=_REPAIRS[deed.repair])


def _nothing_named(found: urls.Found, reading: phrases.Reading, known: Table) -> Licence:
    """No Creative Commons text is named: say what is there instead."""
    claims = sorted(reading.outside, key=lambda claim: claim.verdict != "deny")
    if claims:
        return _outside(claims[0])
    for url in found.foreign:
        known_address = urls.address(url, known)
        if known_address:
            return _undecided("public_domain_statement", known_address.why)
    if reading.loose.restrictions:
        return _unknown("restriction_without_license", "a restriction, and no licence that grants anything")
    doubt = _doubt(found, reading)
    if "public_domain" in reading.kinds:
        return _undecided("public_domain_statement", "public domain is a statement, and differs by country")
    if found.home or "cc" in reading.kinds:
        return _unknown("family_not_stated", "Creative Commons, but not which of its licences")
    silent = reading.kinds <= {"empty", "placeholder", "label"} and not (reading.strange or found.foreign)
    if silent and "placeholder" in reading.kinds:
        return _unknown("no_license", "says that there is no licence, or that it is not known")
    if not doubt or silent:
        return replace(_unknown("no_license", "no licence is stated"), silent=True)
    return _unknown("unknown_license", doubt)


def _outside(claim: Outside) -> Licence:
    if claim.verdict == "review":
        return _undecided("outside_license", claim.why)
    return Licence(
        license_id=claim.id, family=claim.family, version=claim.version, status="unknown",
        rule="outside_license", why=claim.why,
    )  # fmt: skip


def _doubt(found: urls.Found, reading: phrases.Reading) -> str:
    """What was not understood, in words; '' if everything was."""
    if found.foreign:
        return f"a URL that is not a Creative Commons deed: {found.foreign[0][:80]}"
    if reading.strange:
        return f"words not understood: {' '.join(reading.strange)[:80]}"
    if reading.kinds & {"empty", "placeholder"}:
        return "says that the licence is not known"
    if not found.deeds and _CUT_OFF.search(found.text):
        return "ends in the middle: something may be cut off"
    if not found.deeds and not reading.plain():
        return "words that stand in any text, not a licence name"
    return ""


def _agree(first: Licence, other: Licence) -> Licence:
    """Two fields: the earlier one wins where they name the same family; else nobody wins."""
    same = first.family == other.family and (first.family not in ("OTHER", "UNKNOWN") or first == other)
    if first.status == other.status == "unknown":
        return first
    if not same or "unknown" in (first.status, other.status):
        why = f"one field says {first.license_id} ({first.why or first.rule}), another {other.license_id}"
        return _undecided("license_conflict", f"{why} ({other.why or other.rule})")
    worst = first if first.status == "repairable" else other
    best = other if other.version and not first.version else first
    if worst.status == "repairable":
        return replace(best, status="repairable", rule=worst.rule, why=worst.why)
    if other.version and other.license_id != best.license_id:
        return replace(best, why=f"another field says {other.license_id}; the URL counts")
    return best


def _undecided(rule: str, why: str) -> Licence:
    return Licence(license_id=UNKNOWN, family="UNKNOWN", status="repairable", rule=rule, why=why)


def _unknown(rule: str, why: str) -> Licence:
    return Licence(license_id=UNKNOWN, family="UNKNOWN", status="unknown", rule=rule, why=why)


def _list(named: list[_Named], reading: phrases.Reading) -> str:
    said = [f"{text.unit.name} {text.version} {text.jurisdiction}".strip() for text in named]
    return "; ".join(dict.fromkeys([*said, *(claim.why for claim in reading.outside)]))


@functools.cache
def _boilerplate() -> re.Pattern[str]:
    sentences = (r"\s+".join(map(re.escape, sentence.split())) for sentence in table().boilerplate)
    return re.compile("|".join(sentences), re.IGNORECASE)
