"""What a rule is, and how texts are cut into sentences and clauses.

A rule puts a mark where it took something out. So later rules see where a text has holes: `leftover` takes
words away that only held what is gone ("Recorded with … ."), and `tidied` closes the holes. The marks are
characters for private use, which no text that comes in keeps.

Every pattern here and in the rules repeats a bounded number of times or possessively (tests hold this), and
no more than `MOST_INPUT` characters are looked at: the work is bounded whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MOST_INPUT = 10_000  # characters of a text that are looked at
ADDRESS, PERSON, CUT = "\ue000", "\ue001", "\ue002"  # an address stood here; what reaches a person; anything
MARKS = ADDRESS + PERSON + CUT
DIGITS = tuple("0123456789")  # as hints

Removed = tuple[str, ...]

_SENTENCE_END = re.compile(r"( ?\n ?|(?<=[.!?…。！？]) )")
_CLAUSE_END = re.compile(r"([,;] |: | [-–—|]{1,3} |[()\[\]])")
_QUOTED = re.compile(r"\"[^\"\n]{0,300}\"|“[^”\n]{0,300}”|«[^»\n]{0,300}»")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]{1,3})?")
_ENDS = ".!?…"
_ABBREVIATED = re.compile(
    r"(?:^| |\()(?:approx|ca|e\.g|i\.e|feat|ft|no|vol|st|mr|mrs|dr|op|nr|tel)\.$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of text that does not describe the sound."""

    name: str  # snake_case, as `sao prompts` shows it
    what: str  # what it takes out
    why: str
    apply: Callable[[str], tuple[str, Removed]]  # the text with marks, and what was taken out
    patterns: tuple[re.Pattern[str], ...] = ()


def phrases(
    name: str, what: str, why: str, *patterns: re.Pattern[str], mark: str = CUT, hints: tuple[str, ...] = ()
) -> Rule:
    """Takes out whatever matches. `hints`: without one of them (in lower case) nothing can match."""

    def apply(text: str) -> tuple[str, Removed]:
        removed: list[str] = []
        if not _hinted(text, hints):
            return text, ()

        def cut(match: re.Match[str]) -> str:
            removed.append(match[0])
            return mark

        for pattern in patterns:
            text = pattern.sub(cut, text)
        return text, tuple(removed)

    return Rule(name=name, what=what, why=why, apply=apply, patterns=patterns)


def clauses(
    name: str,
    what: str,
    why: str,
    *,
    whole: re.Pattern[str],
    phrase: re.Pattern[str] | None = None,
    husk: frozenset[str] = frozenset(),
    hints: tuple[str, ...] = (),
) -> Rule:
    """Takes out clauses that speak to the reader (`whole`), and phrases; with a phrase goes its clause if no
    other words than `husk` stand in it. What is quoted decides nothing: it may be what is heard."""

    def apply(text: str) -> tuple[str, Removed]:
        removed: list[str] = []
        if not _hinted(text, hints):
            return text, ()

        def judged(clause: str) -> str:
            seen = _unquoted(clause)
            found = [] if phrase is None else list(phrase.finditer(seen))
            rest = seen if phrase is None else phrase.sub(" ", seen)
            if whole.search(seen) or (found and words(rest) <= husk):
                removed.append(clause.strip())
                return hole(clause)
            for match in reversed(found):
                removed.append(clause[match.start() : match.end()])
                clause = clause[: match.start()] + CUT + clause[match.end() :]
            return clause

        return each_clause(text, judged), tuple(removed)

    patterns = (whole,) if phrase is None else (whole, phrase)
    return Rule(name=name, what=what, why=why, apply=apply, patterns=patterns)


def hole(clause: str) -> str:
    """The mark of a clause that is gone, with the end of its sentence if it had it."""
    last = clause.rstrip()[-1:]
    return CUT + (last if last == "。" else "." if last in _ENDS and last else "")


def each_clause(text: str, judged: Callable[[str], str]) -> str:
    """The text with every clause that holds a letter or digit as `judged` gives it back."""
    made = []
    for sentence, end in sentences(text):
        parts = _CLAUSE_END.split(sentence)
        made += [judged(part) if n % 2 == 0 and has_words(part) else part for n, part in enumerate(parts)]
        made.append(end)
    return "".join(made)


def sentences(text: str) -> Iterator[tuple[str, str]]:
    """(sentence, what stands between it and the next)."""
    parts = [*_SENTENCE_END.split(text), ""]
    held = ""
    for sentence, end in zip(parts[::2], parts[1::2], strict=True):
        if end == " " and _ABBREVIATED.search(held + sentence):
            held += sentence + end
            continue
        yield held + sentence, end
        held = ""
    if held:
        yield held, ""


def split_clauses(sentence: str) -> list[str]:
    """Clauses at even places, what separates them at odd ones."""
    return _CLAUSE_END.split(sentence)


def words(text: str) -> frozenset[str]:
    """The words of a text, in lower case."""
    return frozenset(_WORD.findall(text.lower().replace("’", "'")))


def has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def has_marks(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def _hinted(text: str, hints: tuple[str, ...]) -> bool:
    lower = text.lower()
    return not hints or any(hint in lower for hint in hints)


def _unquoted(clause: str) -> str:
    """Of the same length, in lower case where that keeps the length, quoted words blanked."""
    blanked = _QUOTED.sub(lambda match: " " * len(match[0]), clause)
    lower = blanked.lower()
    return lower if len(lower) == len(blanked) else blanked
