"""Text of a licence claim into whole words: nothing is dropped that could carry meaning.

A restriction may hide in one character (a circled dollar sign is NonCommercial, an equals sign
NoDerivatives), so only punctuation known to be harmless is a blank; every other character is a word of its
own, and an unknown one.
"""

from __future__ import annotations

import html
import re
import unicodedata

_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63], "-")
_QUOTES = str.maketrans("‘’‚“”„«»", '\'\'\'"""""')
_BLANK = frozenset(" \t\n\r\f\v-_/.,:;()[]{}\"'<>|·•©®™")
_ENTITY = re.compile(r"&(?:#[0-9]+|#x[0-9a-f]+|[a-z][a-z0-9]*);", re.IGNORECASE)
_MARKUP = re.compile(r"<[a-z/!?]", re.IGNORECASE)
_LINE = frozenset("\t\n\r\f\v")
_COPYRIGHT_SIGN = re.compile(r"\([c℗]\)")
_TOKEN = re.compile(
    r"[0-9]+(?:\.[0-9]+)+"  # a version
    r"|(?:[^\W_]+?(?=[0-9]+\.[0-9])|[^\W_]+)\+?"  # a word; "CCBY4.0" is two; "+" belongs to its word
    r"|[^\w\s]|_"
)
_DECIMAL_COMMA = re.compile(r"(?<![0-9.,])([1-4]),([015])(?![0-9]|[.,][0-9])")
# Vowel points of Hebrew and Arabic, and the stroke that only lengthens: print has them or not.
_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670]")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")
# Cyrillic and Greek letters that look like Latin ones in both cases, and Latin ones with no accent to drop.
_LOOKALIKES: dict[int, str] = {
    **str.maketrans(dict(zip("авекмнорстухіјѕԁһԛԝѵӏ", "abekmhopctyxijsdhqwvl", strict=True))),
    **str.maketrans(dict(zip("αβεζικορτχϳ", "abezikoptxj", strict=True))),
    **str.maketrans(dict(zip("ıøłđħŧɑɡ", "ioldhtag", strict=True))),
    **str.maketrans({"æ": "ae", "œ": "oe"}),
}
# Greek letters whose two cases look like different Latin ones: so only in words that hold Latin letters.
_BY_CASE = str.maketrans("ΓΗΜΝΥγημνυ", "ΓHMNYynuvu")
_MIXED = re.compile(r"\w*[A-Za-z]\w*")
# Accents and other marks on Latin, Greek and Cyrillic letters, and characters that show nothing.
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
_NOTHING = re.compile("[\u115f\u1160\u180b-\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """Without control and zero-width characters (line breaks and tabs are blanks)."""
    if text.isascii() and text.isprintable():
        return text
    hidden = {ord(c): None for c in set(text) - _LINE if unicodedata.category(c) in ("Cc", "Cf")}
    return text.translate(hidden) if hidden else text


def unescaped(text: str) -> str:
    """HTML entities decoded, once and only where they end with a semicolon ("AT&T", "?a=1&copy=2" stay)."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text) if "&" in text else text


def unescaped_name(text: str) -> str:
    """A name, title or tag with its entities decoded, unless that would make markup of it: then all stand."""
    if "&" not in text:
        return text
    decoded = unescaped(text)
    return decoded if len(_MARKUP.findall(decoded)) <= len(_MARKUP.findall(text)) else text


def reorders(text: str) -> bool:
    """Does it hold characters that show it in another order than it is stored?"""
    return not text.isascii() and not _BIDI.isdisjoint(text)


def normalise(text: str) -> str:
    """Compatibility forms, dashes, quotes, blanks, case and decimal commas made equal; "(c)" dropped."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DASHES).translate(_QUOTES)
        text = _POINTS.sub("", text)
    return _COPYRIGHT_SIGN.sub(" ", _DECIMAL_COMMA.sub(r"\1.\2", text.casefold()))


def comparable(text: str) -> str:
    """Text as it looks to a reader in a hurry: without case, accents, hidden or lookalike letters."""
    if text.isascii() and text.isprintable():
        return text.casefold()
    plain = unicodedata.normalize("NFKC", _NOTHING.sub("", visible(text)))
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", _by_case(plain).casefold()))
    return _by_case(unicodedata.normalize("NFC", bare).translate(_LOOKALIKES))


def tokens(text: str) -> list[str]:
    """Words, versions and odd characters of normalised text, in order; "&" is "and"."""
    found = _TOKEN.findall(text)
    return ["and" if token == "&" else token for token in found if token not in _BLANK]


def is_version(token: str) -> bool:
    """Is it "3.0", "4.0.1" …?"""
    return _VERSION.fullmatch(token) is not None


def _by_case(text: str) -> str:
    return _MIXED.sub(lambda word: word[0].translate(_BY_CASE), text)
