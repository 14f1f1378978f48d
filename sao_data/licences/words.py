"""Text of a licence claim into whole words: nothing is dropped that could carry meaning.

A restriction may hide in one character (a circled dollar sign is NonCommercial, an equals sign
NoDerivatives), so only punctuation known to be harmless is a blank; every other character is a word of its
own, and an unknown one.
"""

from __future__ import annotations

import re
import unicodedata

_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63], "-")
_QUOTES = str.maketrans("‘’‚“”„«»", '\'\'\'"""""')
_BLANK = frozenset(" \t\n\r\f\v-_/.,:;()[]{}\"'<>|·•©®™")
_LINE = frozenset("\t\n\r\f\v")
_COPYRIGHT_SIGN = re.compile(r"\([c℗]\)")
_TOKEN = re.compile(
    r"[0-9]+(?:\.[0-9]+)+"  # a version
    r"|(?:[^\W_]+?(?=[0-9]+\.[0-9])|[^\W_]+)\+?"  # a word; "CCBY4.0" is two; "+" belongs to its word
    r"|[^\w\s]|_"
)
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")
# Letters of other scripts that look like Latin ones, lower case, and Latin ones that have no accent to drop.
_LOOKALIKES = str.maketrans(
    "авекмнорстухіјѕԁһԛԝѵӏ" "αβεζηικμνορτυχγϲϳ" "ıøłđħŧəɑɡɩ",
    "abekmhopctyxijsdhqwvl" "abezhikmvoptuxycj" "iolđħteagi",
)  # fmt: skip
_NO_SIGHT = frozenset("\u115f\u1160\u3164\uffa0\u2800\u180b\u180c\u180d\u180f")  # fillers, selectors
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """Without control and zero-width characters (line breaks and tabs are blanks)."""
    if text.isascii() and text.isprintable():
        return text
    hidden = {ord(c): None for c in set(text) - _LINE if unicodedata.category(c) in ("Cc", "Cf")}
    return text.translate(hidden) if hidden else text


def reorders(text: str) -> bool:
    """Does it hold characters that show it in another order than it is stored?"""
    return not text.isascii() and not _BIDI.isdisjoint(text)


def normalise(text: str) -> str:
    """Compatibility forms, dashes, quotes, blanks and case made equal; "(c)" dropped."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DASHES).translate(_QUOTES)
    return _COPYRIGHT_SIGN.sub(" ", text.casefold())


def tokens(text: str) -> list[str]:
    """Words, versions and odd characters of normalised text, in order; "&" is "and"."""
    found = _TOKEN.findall(text)
    return ["and" if token == "&" else token for token in found if token not in _BLANK]


def is_version(token: str) -> bool:
    """Is it "3.0", "4.0.1" …?"""
    return _VERSION.fullmatch(token) is not None
