"""Copyright lines around a licence's name: "CC BY 3.0 © 2012 A. Person", "© A. Person, CC BY 3.0".

Who holds the copyright says nothing against the licence. Only what is certainly such a line is passed over: a
sign, years if any, and a few capitalised words up to a comma, the end or the first word that licences are
made of. A word that could take something back (RISKY) leaves the whole line standing: a person looks.
"""

from __future__ import annotations

import re
import unicodedata

from sao_data.licences.table import Table
from sao_data.licences.words import normalise, tokens

_SIGN = re.compile(r"(?:copyright\s*)?(?:©|\(c\))(?:\s*copyright\b)?", re.IGNORECASE)
_YEARS = re.compile(r"\s*(?:by\s+)?([0-9]{4}(?:\s*[-\u2013,]\s*[0-9]{4}){0,8}\b\s*,?)?\s*(?:by\s+)?")
_END = re.compile(r"\s*(?:[,;|()\[\]/\n\r\t\u2022\u00b7]|[-\u2013\u2014](?=\s)|$)")
_WORD = re.compile(r"\s*([^\s,;|()\[\]/\u2022\u00b7]+)")
_INITIAL = re.compile(r"(?:\w\.)+")
_LINKS = frozenset((
    "and", "&", "de", "da", "di", "du", "van", "von", "der", "den", "la", "le", "y", "e", "und", "et",
))  # fmt: skip
_MOST_WORDS = 4
_RESTRICTIONS = frozenset(("nc", "nd", "sa", "ncsa", "ncnd"))  # which initials may spell
_SHORT = frozenset((
    "ai", "all", "any", "ask", "buy", "dmca", "do", "drm", "fair", "fee", "first", "for", "free", "if",
    "in", "ja", "kein", "keine", "lock", "me", "ml", "my", "mail", "ne", "nein", "nicht", "nie", "no",
    "non", "none", "nope", "not", "nur", "ohne", "on", "only", "opt", "or", "out", "paid", "pas", "pay",
    "play", "read", "sale", "sans", "see", "sell", "sem", "sin", "sold", "solo", "some", "tdm", "term",
    "terms", "test", "void", "your", "you", "ei", "bez", "без", "не", "нет", "tylko", "seul", "apenas",
    "uso", "use", "used", "user", "after", "until", "before", "bei", "mit", "with", "demo", "nada",
    "nem", "nul", "trial", "press", "promo", "fake", "senza", "alle", "lic", "nc", "nd", "sa", "арр",
    "all.", "per", "van't", "geen", "zonder", "ikke", "inte", "icke", "utan", "uten",
))  # fmt: skip
RISKY = (
    "academ", "agree", "allow", "approv", "author", "broadcast", "charit", "click", "comer", "commer",
    "condit", "confid", "consent", "contact", "contract", "copy", "derech", "deriv", "direit", "diritt",
    "distrib", "download", "droit", "duplic", "editor", "educ", "email", "evalu", "except", "exclus",
    "expir", "forb", "foreb", "interdit", "intern", "invalid", "kauf", "komer", "kommer", "licen",
    "limit", "listen", "lizen", "model", "modif", "niekom", "noncom", "nutz", "owner", "pending",
    "perform", "permis", "personal", "preview", "privat", "privad", "profit", "prohib", "proib",
    "propri", "purchas", "recht", "redistr", "remix", "requ", "research", "reserv", "restrict", "revok",
    "rettig", "review", "right", "riserv", "royal", "sampl", "school", "secur", "share", "strict",
    "stream", "student", "subject", "train", "unauth", "under", "unless", "uniqu", "unlic", "usage",
    "utili", "verbo", "verwend", "vietat", "visit", "vorbehal", "watermark", "withdr", "without",
    "wolno", "zabran", "zakaz", "запрещ", "защищ", "коммерч", "права", "prava", "práva", "oikeu",
    "ticari", "ikkekom",
)  # fmt: skip


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
    at = years.end() if years else start
    num_words, initials = 0, ""
    while not _END.match(text, at) and (match := _WORD.match(text, at)):
        word = match[1]
        bare = word.rstrip(".")
        if not _INITIAL.fullmatch(word) and word not in _LINKS and _is_known(bare, known):
            break
        initials = initials + bare.replace(".", "") if _INITIAL.fullmatch(word) else ""
        if (
            initials.casefold() in _RESTRICTIONS
            or _is_risky(bare)
            or num_words == _MOST_WORDS
            or not _is_name(bare)
        ):
            return 0
        num_words, at = num_words + 1, match.end()
        if word.endswith(".") and not _INITIAL.fullmatch(word):
            break
    return at if num_words else 0


def _is_known(word: str, known: Table) -> bool:
    found = tokens(normalise(word))
    return not found or any(token in known.phrases or token[0].isdigit() for token in found)


def _is_name(word: str) -> bool:
    letters = [c for c in word if c.isalpha()]
    is_plain = all(c.isalnum() or c in "-'’.&" or unicodedata.combining(c) for c in word)
    return word in _LINKS or (is_plain and bool(letters) and not letters[0].islower())


def _is_risky(word: str) -> bool:
    plain = word.casefold()
    parts = re.split(r"[-'’.&]", plain)
    return plain not in _LINKS and (
        any(part in _SHORT for part in (plain, *parts)) or any(risk in plain for risk in RISKY)
    )
