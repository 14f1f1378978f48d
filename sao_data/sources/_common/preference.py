"""The uploader's wish about generative AI, as rows state it: no value and no field is passed over.

A field that nobody knows and whose name speaks of AI, training, mining or consent ("ai_training_allowed",
"opt-out", "tdm") may be a wish too: it is handed on as "name: value", which nobody understands, so that a
person looks. How a work was made ("ai_generated"), what a model says of it ("ai_caption"), parts of a
dataset ("is_train", "split") and trains on rails ("train_horn") are no wishes; nor is a field that is empty,
or that says no to a prohibition ("no_ai": false).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

from sao_data.licences import normalise_preference
from sao_data.licences.later import is_stricter
from sao_data.licences.preference import NEVER
from sao_data.sources._common import cells, rows

NAMES = ("gen_ai_preference", "ai_preference", "generative_ai_preference")  # newest first

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_PHRASE = re.compile(
    r"(?:^|_)(?:opt(?:ed)?_?(?:out|in)|no_?(?:gen_?)?ai|(?:no|do|do_?not|dont|not|model|ai|ml)_?train(?:ing)?|tdm"
    r"|(?:machine|deep)_?learning|(?:text|data)_?(?:and_?data_?)?mining|generative_?ai|gen_?ai|training_?data"
    r"|artificial_?intelligence)(?:_|$)"
)
_AI = frozenset(
    ("ai", "genai", "aigen", "ml", "llm", "llms", "tdm", "generative", "training", "consent", "noai")
)
_ASKS = frozenset((
    "allow", "allowed", "allows", "consent", "deny", "denied", "exclude", "excluded", "forbid",
    "forbidden", "no", "not", "opt", "optin", "optout", "permission", "permitted", "policy",
    "preference", "prohibited", "reserved", "rights", "terms", "train", "training", "usage", "use",
    "wish",
))  # fmt: skip
_TRAIN_WITH = frozenset((  # a train may also be on rails, or a part of a dataset ("train_horn", "in_train")
    "ai", "allow", "allowed", "allows", "can", "consent", "denied", "deny", "exclude", "excluded", "forbid",
    "forbidden", "genai", "llm", "may", "ml", "model", "models", "opt", "optin", "optout", "permission",
    "permit", "permits", "permitted", "preference", "prohibited", "reserved", "wish",
))  # fmt: skip
_MADE = frozenset((
    "assisted", "caption", "captioned", "captions", "class", "classes", "classified", "composed",
    "contains", "created", "described", "description", "detected", "embedding", "generated", "generator",
    "genre", "genres", "is", "label", "labeled", "labelled", "labels", "made", "model", "music", "prob",
    "probability", "prompt", "score", "summary", "tag", "tagged", "tags", "title", "transcribed",
    "transcript", "transcription", "version",
))  # fmt: skip
_PARTS = frozenset(("fold", "id", "index", "part", "partition", "set", "split", "subset"))  # of a dataset
_FORBIDS = re.compile(
    r"no(?:gen)?ai|opt(?:ed)?out|(?:no|not|dont|donot)train|exclude|forbid|prohibit|deny|reserved"
)


def stated(row: Mapping[str, object], names: Iterable[str] | None = None) -> str:
    """The wish verbatim; of several that differ the strictest, or all of them where one is not understood.

    `names`: the columns that state it; None: all that are called so. '' = unknown: absent, null or empty.
    What is no string is its JSON text, which nobody understands, so that a person looks.
    """
    names = tuple(names) if names is not None else _columns(row)
    said = [text for name in names if (text := _text(row.get(name))).strip()]
    asked = [
        f"{name}: {_text(cell)}"
        for name, cell in sorted(row.items())
        if name not in names and _asks(name, cell)
    ]
    known: dict[str, str] = {}  # what it means -> the first spelling
    for text in said:
        meaning = normalise_preference(text)
        if meaning is None:
            return " / ".join(dict.fromkeys((*said, *asked)))
        if meaning:
            known.setdefault(meaning, text)
    strictest = (text for text in known.values() if not any(is_stricter(text, o) for o in known.values()))
    wish = next(strictest, said[0] if said else "")
    return wish if not asked or NEVER in known else " / ".join((*known.values(), *asked))


@functools.lru_cache(maxsize=4096)
def speaks_of_ai(name: str) -> bool:
    """Does the name of a field that nobody knows speak of AI, training or consent, as a wish would?"""
    found = _words(name)
    words = set(found)
    if "_".join(found) in NAMES or words & _PARTS or (words & _MADE and not words & _ASKS):
        return False
    return bool(words & _AI or _PHRASE.search("_".join(found)) or ("train" in words and words & _TRAIN_WITH))


def _columns(row: Mapping[str, object]) -> tuple[str, ...]:
    """The columns with its usual names, newest name first."""
    called = [("_".join(_words(column)), column) for column in sorted(row)]
    return tuple(column for name in NAMES for its, column in called if its == name)


@functools.lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(name))


def _asks(name: str, cell: object) -> bool:
    if not speaks_of_ai(name) or cells.is_nothing(cell, cells.WISH):
        return False
    says_no = (
        cell is False
        or cell == 0
        or (isinstance(cell, str) and cell.strip().casefold() in ("false", "no", "0"))
    )
    return not (says_no and _FORBIDS.search(re.sub(r"[\W_]+", "", name.casefold())))


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return "" if cells.is_nothing(value, cells.WISH) else str(value)
    return rows.json_text(value)
