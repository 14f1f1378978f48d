"""Titles and artists in a form in which two spellings of one work are equal, and how alike two forms are."""

from __future__ import annotations

import functools
import re
from difflib import SequenceMatcher

from sao_data.licences.words import comparable

_EXTENSION = re.compile(r"\.(wav|mp3|flac|ogg|oga|opus|aiff?|m4a|wma|wv)$")
_BRACKETED = re.compile(r"\s*(\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\})\s*$")
_FEATURING = re.compile(r"\s[(\[]?(feat|ft|featuring)\b\.?\s.*$")
# "Heroes - 2017 Remaster", "Hello - Live at the BBC": after the dash stands which version, not which work
_VERSION = re.compile(
    r"\s[-–—]\s[^-–—]*\b(remaster(ed)?|live|version|edit|mix|remix|mono|stereo|demo|bonus|explicit|acoustic|"
    r"instrumental|single|album|recorded|session|soundtrack|from)\b.*$"
)
_APOSTROPHES = re.compile(r"['’‘`´]")
_WORDS = re.compile(r"\w+")
_NUMBER = re.compile(r"\w*\d\w*|\w|[ivx]+")
_ARTICLES = frozenset({"the", "a", "an"})
_ARTISTS = re.compile(r"\s*(?:[;,/&+]|\b(?:and|feat|ft|featuring|vs|with|x)\b\.?)\s*")


def plain_title(text: str) -> str:
    """Lower-case words of a title, without accents, article, file extension, guests and version."""
    text = _EXTENSION.sub("", comparable(text).strip()).replace("_", " ")
    for pattern in (_FEATURING, _VERSION):
        text = pattern.sub("", text).strip() or text
    while (shorter := _BRACKETED.sub("", text).strip()) != text and _WORDS.search(shorter):
        text = shorter
    return _words(text)


def plain_artist(text: str) -> str:
    """Lower-case words of an artist's name, without accents and article."""
    return _words(comparable(text).replace("_", " "))


def artist_parts(text: str) -> tuple[str, ...]:
    """The name as a whole and each of those it seems to hold: "Simon & Garfunkel" is three."""
    parts = [plain_artist(text), *(plain_artist(part) for part in _ARTISTS.split(comparable(text)) if part)]
    return tuple(dict.fromkeys(part for part in parts if part))


def similarity(one: str, other: str, floor: float) -> float:
    """0 to 1 (0.001): 1 for the same words in any order; what lies under `floor` is 0. Numbers must agree."""
    if one == other:
        return 1.0
    shorter, longer = (one, other) if len(one) <= len(other) else (other, one)
    needed = floor * (len(one) + len(other)) / 2  # letters that both must have in common
    if len(shorter) < needed or len(shorter) - (_letters(shorter) & ~_letters(longer)).bit_count() < needed:
        return 0.0
    ours, theirs = sorted(one.split()), sorted(other.split())
    if ours == theirs:
        return 1.0
    if [word for word in ours if _NUMBER.fullmatch(word)] != [w for w in theirs if _NUMBER.fullmatch(w)]:
        return 0.0  # Symphony No. 5 is not No. 6, Part I not Part II, Take A not Take B
    matcher = SequenceMatcher(None, min(one, other), max(one, other), autojunk=False)
    if matcher.quick_ratio() < floor:
        return 0.0
    score = round(matcher.ratio(), 3)
    return score if score >= floor else 0.0


@functools.lru_cache(1 << 18)
def _letters(text: str) -> int:
    """Which letters occur, as bits: a letter that the other lacks can be part of no match."""
    bits = 0
    for letter in set(text):
        bits |= 1 << ord(letter) % 64
    return bits


def _words(text: str) -> str:
    words = _WORDS.findall(_APOSTROPHES.sub("", text).replace("&", " and "))
    if len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words) or " ".join(text.split())  # "???" has no words: it stays as it is
