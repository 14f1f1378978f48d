"""Deed and badge URLs of Creative Commons: an exact grammar over exact hosts, never a search for a substring.

    https://creativecommons.org/{licenses|publicdomain}/{unit}/{version}/[{port}/][deed | legalcode | rdf]

What deviates but can be read (blank or invisible characters in it, wrong category, no version) is marked as a
repair: a person looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from sao_data.licences.address import host, split
from sao_data.licences.table import LicenceText, Table, UnclearAddress
from sao_data.licences.words import normalise, unescaped, visible

_SCHEME = r"(?:https?:/+|//)?"
_DEED = re.compile(
    _SCHEME + r"(?P<host>[a-z.]+)/+(?P<category>licenses|publicdomain)/+(?P<unit>(?:[a-z0-9+-]|%2b)+)"
    r"(?:/+(?P<version>[0-9]+(?:\.[0-9]+)*)(?:/+(?P<port>[a-z]{2}|igo|scotland))?)?"
    r"(?:/+(?:(?:deed|legalcode)(?P<page>[._@-][a-z0-9._@-]{0,24})?|rdf))?/*(?P<tail>[?#].*)?"
)
_BADGE = re.compile(
    _SCHEME + r"(?P<host>[a-z.]+)/+(?:l|p)/+(?P<unit>(?:[a-z0-9+-]|%2b)+)/+(?P<version>[0-9]+\.[0-9]+)"
    r"(?:/+(?P<port>[a-z]{2}|igo|scotland))?/+[0-9]+x[0-9]+\.(?:png|svg|gif)(?P<tail>[?#].*)?"
)
_AUTHORITY = re.compile(r"((?:https?:)?/+)?([^/?#\\]*)(.*)", re.DOTALL)
# A page of a deed: its language ("deed.pt_br", "deed.sr@latin"), or plain text.
_PAGE = re.compile(r"[._][a-z]{2,3}(?:[-_@.](?!(?:n[cd]|sa)\b)[a-z0-9]{2,8})*\.?|[._-]?(?:txt|html?)|\.")
_HOME = re.compile(_SCHEME + r"(?P<host>[a-z.]+)(?:/+(?:licenses)?/*)?")
_TAIL_SAYS_MORE = re.compile(
    r"licen[sc]es|publicdomain|creativecommons|://|%2f|\b(?:n[cd]|sa)\b|[ck]om+er|deriv"
)
_URL_LIKE = re.compile(r"://|^//|\w\.[^\W\d_]{2,}|@|\\|%[0-9a-f]{2}", re.IGNORECASE)
_SPLIT = re.compile(r"""[\s"'<>()\[\]{}|“”]+|[,;](?=(?:https?:)?//)""")
_TRAILING = ".,;:"
_LOST_PLUS = re.compile(r"creativecommons\.org/+licenses/+sampling(?:\s|%20)+/", re.IGNORECASE)
_BLANK = re.compile(r"(?:\s|%20)+", re.IGNORECASE)
_TAG = re.compile(r"</?(?:a|img|br|p|span|b|strong|i|em|div|li|small|font)(?:\s[^<>]*)?/?>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(?:href|src|alt|title)\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+)""", re.IGNORECASE)

Repair = Literal["", "category", "no_version", "query", "blank", "hidden", "encoded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A URL on Creative Commons' own hosts that has the form of a deed or badge."""

    unit: LicenceText | None  # None: no such unit
    version: str = ""
    jurisdiction: str = ""
    repair: Repair = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The URLs in a claim, and the text without them."""

    deeds: tuple[Deed, ...]
    foreign: tuple[str, ...]  # everything URL-like that is not a deed
    home: bool  # the bare site was named: says "Creative Commons" and no more
    text: str


def find(text: str, known: Table) -> Found:
    """Take the URLs out of a claim."""
    deeds: list[Deed] = []
    foreign: list[str] = []
    home = False
    for chunk in _SPLIT.split(text):
        plain = visible(chunk)
        if not _URL_LIKE.search(plain) and not _URL_LIKE.search(normalise(plain)):
            continue
        deed = read(chunk, known)
        text = text.replace(chunk, " ", 1)
        if deed:
            deeds.append(deed)
        elif _is_home(chunk, known):
            home = True
        else:
            foreign.append(chunk)
    return Found(deeds=tuple(deeds), foreign=tuple(foreign), home=home, text=visible(text))


def read(chunk: str, known: Table) -> Deed | None:
    """Read one URL; None unless host and path are exactly those of Creative Commons."""
    plain = visible(chunk)
    if not plain.isascii():
        return None
    lower = _normal(plain.lower().rstrip(_TRAILING))
    hidden = plain not in chunk  # invisible characters around a URL are ignored, inside it they are a repair
    deed = _read(lower, known, hidden=hidden)
    address = None if deed else split(_with_slashes(lower))
    if address and address.host and (other := str(address).lower()) != lower:
        deed = _read(other, known, hidden=hidden)
        return replace(deed, repair="encoded") if deed and deed.unit else deed
    return deed


def _read(lower: str, known: Table, *, hidden: bool) -> Deed | None:
    match = _DEED.fullmatch(lower)
    if match and match["host"] in known.deed_hosts:
        return _deed(match, known, match["category"], hidden=hidden)
    match = _BADGE.fullmatch(lower)
    if match and match["host"] in known.badge_hosts:
        return _deed(match, known, "", hidden=hidden)
    return None


def repair_url(text: str, known: Table) -> Deed | None:
    """Read a claim that is one URL with blanks in its path, e.g. `…/licenses/ by/3.0`."""
    if not _BLANK.search(text.strip()) or any(_is_complete(chunk, known) for chunk in text.split()):
        return None
    deed = read(_BLANK.sub("", text), known)
    if deed is None:
        return None
    return Deed(unit=deed.unit, version=deed.version, jurisdiction=deed.jurisdiction, repair="blank")


def lost_plus(text: str) -> bool:
    """Does it say `sampling /1.0/`, where form decoding may have removed the plus?"""
    return _LOST_PLUS.search(text) is not None


def address(chunk: str, known: Table) -> UnclearAddress | None:
    """Is it one of the known addresses outside Creative Commons?"""
    found = split(_with_slashes(chunk.lower()))
    bare = f"{found.host.removeprefix('www.')}{found.path.rstrip('/')}/" if found else ""
    return known.addresses.get(bare)


def text_of_html(text: str) -> str:
    """HTML into text: entities decoded, usual tags replaced by what their href, src, alt and title say."""
    text = unescaped(text)
    if "<" not in text:
        return text
    return _TAG.sub(
        lambda tag: " " + " ".join(a.strip("\"'") for a in _ATTRIBUTE.findall(tag[0])) + " ", text
    )


def _deed(match: re.Match[str], known: Table, category: str, *, hidden: bool) -> Deed:
    unit = known.units.get(match["unit"].replace("%2b", "+"))
    version, port = match["version"] or "", match["port"] or ""
    if unit is None:
        return Deed(unit=None)
    repair: Repair = "hidden" if hidden else ""
    if category and unit.category != category:
        repair = "category"
    elif not version and "" not in unit.versions:
        repair = "no_version"
    elif match["tail"] and _TAIL_SAYS_MORE.search(match["tail"]):
        repair = "query"
    elif match.groupdict().get("page") and not _PAGE.fullmatch(match["page"]):
        repair = "query"  # "…/deed-nc"
    return Deed(unit=unit, version=version, jurisdiction=port, repair=repair)


def _normal(url: str) -> str:
    """The URL with its host in normal form (RFC 3986, 6.2): the scheme's own port and a last dot make no
    difference. (A path with dot segments or encoded letters is a repair: nobody writes a deed's so.)"""
    match = _AUTHORITY.fullmatch(url)
    if match is None:
        return url
    scheme = (match[1] or "").partition(":")[0].strip("/")
    place = host(match[2], scheme)
    return f"{match[1] or ''}{place}{match[3]}" if place else url


def _with_slashes(url: str) -> str:
    return url if "//" in url[:10] else f"//{url}"


def _is_home(chunk: str, known: Table) -> bool:
    match = _HOME.fullmatch(_normal(chunk.lower().rstrip(_TRAILING))) if chunk.isascii() else None
    return match is not None and match["host"] in known.deed_hosts


def _is_complete(chunk: str, known: Table) -> bool:
    deed = read(chunk, known)
    return deed is not None and deed.unit is not None and bool(deed.version)
