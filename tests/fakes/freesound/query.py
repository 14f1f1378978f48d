"""The filter language: `name:value other:"two words" third:[a TO b]`, as the server and Solr read it.

The server puts a + (MUST) before every name, so that OR between different fields has no effect; inside one
field it works: license:("Attribution" OR "Creative Commons 0"). `-name:` excludes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACE = re.compile(r"\s*(?:(?:AND|OR)\s+)?")
_NAME = re.compile(r"([+-]*)([A-Za-z_][A-Za-z0-9_]*):")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_RANGE = re.compile(r'\[\s*("[^"]*"|[^\s\]]+)\s+TO\s+("[^"]*"|[^\s\]]+)\s*\]')
_BARE = re.compile(r'(?:[^\s()"\[\]{}:\\^~!]|\\.)+')
_GEOFILT = re.compile(r"\{!geofilt\s+([^}]*)\}")


class BadFilter(ValueError):
    """What the search server says of a filter that it cannot read."""


@dataclass(frozen=True, slots=True)
class Exact:
    """A word, or quoted words."""

    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends included; "*" is open."""

    low: str
    high: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One name and the values of which one must hold."""

    name: str
    values: tuple[Exact | Range, ...]
    negated: bool = False


def parse(text: str) -> tuple[Clause, ...]:
    """Split a filter into its clauses."""
    clauses = []
    place = _skip(text, 0)
    while place < len(text):
        clause, place = _geofilt(text, place) or _clause(text, place)
        clauses.append(clause)
        place = _skip(text, place)
    return tuple(clauses)


def words(query: str) -> tuple[tuple[str, str], ...]:
    """The modifiers and words of a free-text query: ("", "rain"), ("-", "door"), ("+", "two words")."""
    found = re.findall(r'([+-]?)(?:"([^"]*)"|(\S+))', query)
    return tuple((sign, quoted or word) for sign, quoted, word in found if quoted or word)


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _geofilt(text: str, place: int) -> tuple[Clause, int] | None:
    match = _GEOFILT.match(text, place)
    return (Clause(name="geotag", values=(Exact(match[0]),)), match.end()) if match else None


def _clause(text: str, place: int) -> tuple[Clause, int]:
    match = _NAME.match(text, place)
    if match is None:
        raise BadFilter(f"org.apache.solr.search.SyntaxError: Cannot parse '{text}': at column {place}")
    if match.end() < len(text) and text[match.end()] == "(":
        values, place = _group(text, match.end() + 1)
    else:
        value, place = _value(text, match.end())
        values = (value,)
    return Clause(name=match[2], values=values, negated="-" in match[1]), place


def _group(text: str, place: int) -> tuple[tuple[Exact | Range, ...], int]:
    """Values between brackets; without OR between them they are alternatives too (the default operator)."""
    values: list[Exact | Range] = []
    while True:
        place = _skip(text, place)
        if place >= len(text):
            raise BadFilter(
                f"org.apache.solr.search.SyntaxError: Cannot parse '{text}': Encountered \"<EOF>\""
            )
        if text[place] == ")":
            if not values:
                break
            return tuple(values), place + 1
        value, place = _value(text, place)
        values.append(value)
    raise BadFilter(f"org.apache.solr.search.SyntaxError: Cannot parse '{text}': Encountered \")\"")


def _value(text: str, place: int) -> tuple[Exact | Range, int]:
    if match := _RANGE.match(text, place):
        return Range(match[1].strip('"'), match[2].strip('"')), match.end()
    if match := _QUOTED.match(text, place):
        return Exact(re.sub(r"\\(.)", r"\1", match[1])), match.end()
    if match := _BARE.match(text, place):
        return Exact(re.sub(r"\\(.)", r"\1", match[0])), match.end()
    raise BadFilter(f"org.apache.solr.search.SyntaxError: Cannot parse '{text}': at column {place}")
