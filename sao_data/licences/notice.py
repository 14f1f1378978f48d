"""Copyright lines around a licence's name: "CC BY 3.0 © 2012 A. Person", "© A. Person, CC BY 3.0".

Who holds the copyright says nothing against the licence, but no list of words tells every prohibition from a
name ("© Untersagt", "© Patreon Members"). So only one narrow shape is passed over: a sign, years if any, one
to three initials and a surname, up to a comma, the end or a word that licences are made of. Initials that may
spell a restriction ("N. C. Only") and every other line stand: a person looks.
"""

from __future__ import annotations

import re
import unicodedata

from sao_data.licences.table import Table
from sao_data.licences.words import normalise, tokens

_SIGN = re.compile(r"(?:copyright\s*)?(?:©|\(c\))(?:\s*copyright\b)?", re.IGNORECASE)
_YEARS = re.compile(r"\s*(?:by\s+)?(?:[0-9]{4}(?:\s*[-\u2013,]\s*[0-9]{4}){0,8}\b\s*,?)?\s*(?:by\s+)?")
_END = re.compile(r"\s*(?:[,;|()\[\]/\n\r\t\u2022\u00b7]|[-\u2013\u2014](?=\s)|$)")
_NAME = re.compile(r"((?:[^\W\d_]\.[ \t]*){1,3})([^\W\d_]{2,})(?![\w.&'’-])")
_WORD = re.compile(r"\s*([^\s,;|()\[\]/\u2022\u00b7]+)")
_RESTRICTIONS = frozenset(("ai", "ia", "ki", "ml", "sa", "eu", "us", "uk", "tdm", "llm", "drm", "arr", "cc"))


def without_notices(text: str, known: Table) -> str:
    """The text without its copyright lines."""
    at = 0
    while match := _SIGN.search(text, at):
        end = _end(text, match.end(), known)
        if end:
            text = f"{text[: match.start()].rstrip(' ,;|/-')}\n{text[end:].lstrip(' ,;|/-')}"
            at = match.start()
        else:
            at = match.end()
    return text


def _end(text: str, start: int, known: Table) -> int:
    """Where the copyright line that begins before `start` ends; 0: it is none for certain."""
    years = _YEARS.match(text, start)
    name = _NAME.match(text, years.end() if years else start)
    if not name or not _is_person(name[1], name[2]) or _is_known(name[2], known):
        return 0
    after = _WORD.match(text, name.end())
    is_over = _END.match(text, name.end()) or (after and _is_known(after[1].rstrip("."), known))
    return name.end() if is_over else 0


def _is_person(initials: str, surname: str) -> bool:
    """Initials that spell no restriction, and a capitalised word of the Latin alphabet.

    What begins with N is none ("N. C.", "N. Commercial").
    """
    spelled = [c for c in initials if c.isalpha()]
    letters = [*spelled, *surname]
    return (
        all(unicodedata.name(c, "").startswith("LATIN ") for c in letters)
        and all(c.isupper() for c in (*spelled, surname[0]))
        and surname[1:].islower()
        and spelled[0] != "N"
        and "".join(spelled).casefold() not in _RESTRICTIONS
    )


def _is_known(word: str, known: Table) -> bool:
    found = tokens(normalise(word))
    return not found or any(token in known.phrases or token[0].isdigit() for token in found)
