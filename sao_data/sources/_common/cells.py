"""Cells of tables that are not ours, for every source: what means nothing, numbers, lists, entities, flags.

Nothing stated. Programs write it in their own words ("nan", "None", "null", "N/A", "<NA>", "-" …). In ids,
years, tags, genres, descriptions, notices and addresses these words count as nothing in any case. Titles,
authors and albums may truly be called "Null": there only the exact spellings of programs do (NOTHING), and
other cases ("Null", "none", "Nan") are kept. Both are counted and said (Remarks). Licences are not touched
here: the licence parser knows which of these words state nothing ("nan") and which deny ("None"). A wish
"none" may mean that nothing is allowed: it is kept too, and a person looks.

Numbers. 123.0 is 123 for ids and years, from CSV, JSON and Parquet (pandas makes floats of whole numbers in a
column with gaps); 1.23e2 too, "0123" and "1e5" (it may be hexadecimal) stay. Infinities are nothing there.

Lists. JSON, Python (list, tuple, set) and numpy write them as text; else text is split. HTML entities are
decoded once, before that (`&amp;lt;` is `&lt;`), but for text that would become markup. Descriptions are
decoded where their markup goes (captions/metadata.py).
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sao_data.licences.words import unescaped, unescaped_name

NOTHING = frozenset((
    "", "nan", "NaN", "NAN", "-nan", "-NaN", "None", "null", "NULL", "(null)", "<null>", "nil", "NIL",
    "N/A", "n/a", "NA", "<NA>", "NaT", "#N/A", "#NA", "#N/A N/A", "#NULL!", "#VALUE!", "#REF!",
    "#DIV/0!", "#NAME?", "#NUM!", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "\\N", "undefined", "-",
    "--", "---", "\u2013", "\u2014",
))  # fmt: skip
_ANY_CASE = frozenset(word.casefold() for word in NOTHING) | {"none"}
_INFINITE = frozenset(f"{sign}{word}" for sign in ("", "+", "-") for word in ("inf", "infinity"))
NAMES = frozenset(("title", "author", "album"))  # a work or a person may truly be called so
WISH = "ai_preference"
DIGITS = frozenset(("id", "year", "author_id"))  # 123.0 is 123
ADDRESSES = frozenset(("page_url", "author_url"))
LICENCE = frozenset(("license", "license_url"))
VERBATIM = LICENCE | {"description", "audio", "md5", "sha256"}
FALSE = frozenset(("false", "no", "n", "f", "0", "0.0", "off", "clean", "cleaned", "notexplicit"))

_MOST_LIST = 20_000  # characters of a list that is no JSON
_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_EXPONENT = re.compile(r"[+-]?[1-9]\.\d+[eE]\+?\d{1,2}")
_CALLED = re.compile(
    r"(?:np\.|numpy\.)?(?:array|set|frozenset|list|tuple)\((.*?)(?:,\s*dtype=[^,]*)?,?\)", re.DOTALL
)
_PAIRS = {"[": "]", "(": ")", "{": "}"}
_QUOTED = r"""[uU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_NUMPY_STRING = re.compile(rf"(?:np|numpy)\.str_\(({_QUOTED})\)", re.DOTALL)
_PART = re.compile(rf"(?:{_QUOTED}|[^,;'\"]|['\"])+", re.DOTALL)
_ALL_QUOTED = re.compile(rf"\s*{_QUOTED}(?:\s+{_QUOTED})*\s*", re.DOTALL)
_ONE_QUOTED = re.compile(_QUOTED, re.DOTALL)
_JOINTS = {"title": ", ", "author": ", ", "album": ", ", "license": " / ", "license_url": " "}
_MOST_KINDS = 200  # different remarks on one source


@dataclass(slots=True)
class Remarks:
    """What is to be said of the rows of a source once they are read; counts of equal things."""

    counts: Counter[str] = field(default_factory=Counter)
    seen: dict[str, None] = field(default_factory=dict)  # names of columns met, in their order

    def say(self, text: str) -> None:
        """Count a sentence; it is reported with its number of rows."""
        is_new = text not in self.counts and len(self.counts) >= _MOST_KINDS
        self.counts["more of such things than are named here" if is_new else text] += 1

    def note_word(self, column: str, cell: object, key: str) -> None:
        """Count a word that programs write for nothing, whether it is taken for that or kept as a name."""
        if not isinstance(cell, str | float) or not str(cell).strip():
            return
        if is_nothing(cell, key):
            self.say(f"{column[:80]!r} says {str(cell).strip()[:40]!r}, taken as not stated")
        elif key in NAMES and is_like_nothing(cell):
            self.say(f"{column[:80]!r} says {cell!r}, kept as the {key}; a program may have written it")

    def note_columns(self, columns: Iterable[str]) -> None:
        """Note the names of columns, once each."""
        if len(self.seen) < _MOST_KINDS:
            self.seen.update(dict.fromkeys(columns))

    def clear(self) -> None:
        """Forget all: the rows are read again."""
        self.counts.clear()
        self.seen.clear()

    def sentences(self, name: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The sentences, sorted, each with its count; then those that need none."""
        counted = (f"{num:,} {'row' if num == 1 else 'rows'}: {text}" for text, num in self.counts.items())
        return tuple(f"{name}: {text}" for text in (*sorted(counted), *more))


def is_nothing(cell: object, key: str) -> bool:
    """Does a cell of the field `key` state nothing?"""
    if cell is None or cell in ([], {}):
        return True
    if isinstance(cell, float):
        return not math.isfinite(cell)
    if not isinstance(cell, str):
        return False
    plain = cell.strip()
    if key in LICENCE:
        return not plain
    if key in NAMES:
        return plain in NOTHING
    if key == WISH and plain.casefold() == "none":
        return False
    return plain.casefold() in _ANY_CASE or (key in DIGITS and plain.casefold() in _INFINITE)


def is_like_nothing(cell: object) -> bool:
    """Is it a word that would be nothing in other fields? "Null" as a title."""
    return isinstance(cell, str) and cell.strip().casefold() in _ANY_CASE


def text(cell: object, key: str) -> str:
    """The cell as text, '' = nothing stated; numbers as digits, lists of names joined, entities decoded."""
    if isinstance(cell, bool) or is_nothing(cell, key):
        return ""
    if isinstance(cell, list):
        return _JOINTS[key].join(items(cell, key)) if key in _JOINTS else ""
    if isinstance(cell, int | float):
        return str(int(cell)) if cell == int(cell) and abs(cell) < 2**63 else str(cell)
    if not isinstance(cell, str) or key in VERBATIM:
        return cell if isinstance(cell, str) else ""
    if key in DIGITS:
        return digits(cell)
    if key in ADDRESSES:
        return unescaped(cell).strip()
    named = _listed(cell) if key == "author" else None
    return ", ".join(items(named, key)) if named else unescaped_name(cell)


def items(cell: object, key: str, separators: str = ",;") -> tuple[str, ...]:
    """The cell as a list: items of a list as they are, text split at any of `separators` (" ": blanks)."""
    if is_nothing(cell, key):
        return ()
    if isinstance(cell, str) and not _ONE_QUOTED.search(cell):
        cell, read = unescaped_name(cell), _as_it_is  # "R&amp;B; soul", "[&quot;rain&quot;]"
    else:
        read = text
    listed = cell if isinstance(cell, list) else _listed(cell) if isinstance(cell, str) else None
    if listed is not None:
        return tuple(item for each in listed if (item := read(each, key)))
    parts = re.split(r"\s+" if separators == " " else f"[{re.escape(separators)}]", read(cell, key))
    return tuple(part.strip() for part in parts if not is_nothing(part, key))


def digits(cell: str) -> str:
    """A whole number as its digits, however a program spelt it; other text as it is."""
    plain = cell.strip()
    if match := _WHOLE.fullmatch(plain):
        return match[1]
    if _EXPONENT.fullmatch(plain) and (number := Decimal(plain)) == number.to_integral_value():
        return str(int(number))
    return cell


def flag(cell: object) -> bool:
    """Is something marked? Words that deny it do not; what else is said ("explicit", "E", 1) does."""
    if is_nothing(cell, "flag"):
        return False
    if isinstance(cell, bool | int | float):
        return bool(cell)
    return not isinstance(cell, str) or cell.strip().casefold() not in FALSE


def number(cell: object) -> object:
    """A number, from text too; None = none."""
    if not isinstance(cell, str):
        return cell
    try:
        return int(cell) if cell.strip().isdecimal() else float(cell)
    except ValueError:
        return None


def first(key: str, *cells: object) -> str:
    """The first of the cells that states something, as text."""
    return next((said for cell in cells if (said := text(cell, key))), "")


def _as_it_is(cell: object, key: str) -> str:
    """Text that is decoded already."""
    return text(cell, key) if not isinstance(cell, str) else "" if is_nothing(cell, key) else cell


def _listed(cell: str) -> list[object] | None:
    """The items of a list written as text by JSON, Python or numpy; None: it is no such list."""
    plain = cell.strip()
    if called := _CALLED.fullmatch(plain) if len(plain) <= _MOST_LIST else None:
        plain = called[1].strip() or "[]"
    if plain[-1:] != _PAIRS.get(plain[:1], "no list"):
        return None
    within = plain[1:-1]
    found = _json(f"[{within}]")
    if isinstance(found, list):
        return [each for item in found for each in (item if isinstance(item, list) else [item])]
    if len(plain) > _MOST_LIST or (plain[0] != "[" and not _ONE_QUOTED.search(within)):
        return None  # "(live)", "{rain}"
    within = _NUMPY_STRING.sub(r"\1", within)
    return [item for part in _PART.findall(within) for item in _quoted(part.strip("[] \t\r\n"))]


def _json(cell: str) -> object:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _quoted(part: str) -> list[object]:
    """One part between commas: strings in quotes (numpy puts blanks between them), or a bare word."""
    if not _ALL_QUOTED.fullmatch(part):
        return [part.strip()] if part.strip() else []
    return [_unquoted(each) for each in _ONE_QUOTED.findall(part)]


def _unquoted(quoted: str) -> str:
    try:
        return str(ast.literal_eval(quoted))
    except (ValueError, SyntaxError):
        return quoted.lstrip("uU")[1:-1]
