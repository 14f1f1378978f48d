"""The rules of each field, in their order, and what applies them.

Order matters: what is encoded is decoded first; addresses go before sentences are judged, so that a sentence
about an address is known by the mark in it; what is left over is judged last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sao_data.captions._cleaning import gear, markup, names, personal, wording
from sao_data.captions._cleaning.rule import (
    CUT,
    MARKS,
    Rule,
    has_marks,
    has_words,
    phrases,
    sentences,
    split_clauses,
)

_NO_END = re.compile(r"[^.!?…。！？]")
_EMPTY = re.compile(r" ?[(\[][ ,;/-]{0,5}[)\]]|\"[ ]{0,2}\"")
_BLANK_BEFORE = re.compile(r" ([.,;!?])(?= |$)")
_COMMA_END = re.compile(r"[,;:]+([.!?])$")
_DANGLING = re.compile(  # "an owl near …"
    rf"(?:^|(?<= ))(?:at|near|from|on|in|by|to|via|with|around|bei|à|en)"
    rf" [{MARKS}]{{1,3}}(?=[^\w{MARKS}]{{0,3}}$)",
    re.IGNORECASE,
)
_MOST_ROUNDS = 6  # what one round leaves may be a finding of the next

TAG_ONLY = phrases(
    "tag_about_file",
    "tags that name a licence, a recorder or a format",
    "said in fields of their own, or not heard",
    re.compile(
        rf"^(?:{gear.TAG_GEAR.pattern}|{gear.TAG_FORMAT.pattern}|cc ?0|cc[ -]by(?:[ -]\w{{2}}){{0,2}}"
        rf"|creative[ -]commons(?:[ -]\w{{1,12}}){{0,2}}"
        r"|royalty[ -]free|copyright[ -]free|public domain|free (?:download|to use)|no copyright)$",
        re.IGNORECASE,
    ),
)
DESCRIPTION: tuple[Rule, ...] = (
    markup.MARKUP, markup.BBCODE, markup.PLACEHOLDER, markup.RULER,
    personal.EMAIL, personal.LINK, personal.COORDINATES, personal.PHONE, personal.POSTAL,
    wording.LICENCE, wording.CREDIT, wording.ADVERT, wording.PACK, wording.POINTER,
    wording.THANKS, wording.NOTHING,
    names.TEXT_DATE, gear.GEAR_HEADING, gear.FORMAT, gear.GEAR, gear.MADE_WITH, wording.LEFT_OVER,
)  # fmt: skip
TITLE: tuple[Rule, ...] = (
    markup.MARKUP, names.SUFFIX,
    personal.EMAIL, personal.TITLE_LINK, personal.COORDINATES, personal.PHONE, personal.POSTAL,
    names.TITLE_LICENCE, names.TITLE_FORMAT, names.UNDERSCORE, names.RECORDER_NAME, names.NO_NAME, names.DATE,
    names.TRACK_NUMBER, names.TAKE, names.TITLE_GEAR, names.COUNTER,
)  # fmt: skip
TAG: tuple[Rule, ...] = (
    markup.MARKUP, personal.EMAIL, personal.TITLE_LINK, personal.COORDINATES, personal.PHONE, personal.POSTAL,
    TAG_ONLY,
)  # fmt: skip
NAME: tuple[Rule, ...] = (
    markup.MARKUP, personal.EMAIL, personal.TITLE_LINK, personal.COORDINATES, personal.PHONE, personal.POSTAL,
)  # fmt: skip
RULES: dict[str, tuple[Rule, ...]] = {
    "title": TITLE, "description": DESCRIPTION, "tags": TAG,
    "genres": NAME, "artist": NAME, "album": NAME, "year": NAME,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that a rule took out."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A text on one line, and what was left out of it, in the order of the rules."""

    text: str
    left_out: tuple[LeftOut, ...]


def cleaned(text: str, rules: tuple[Rule, ...]) -> Cleaned:
    """The text without what the rules take out; applied again they find nothing."""
    now = markup.visible(text)
    left_out: list[LeftOut] = []
    for _ in range(_MOST_ROUNDS):
        before, num_before = now, len(left_out)
        for rule in rules:
            now, removed = rule.apply(now)
            left_out += [LeftOut(rule=rule.name, text=_shown(each)) for each in removed]
        now = tidied(now)
        if now == before or len(left_out) == num_before:
            break
    return Cleaned(text=" ".join(now.split()), left_out=tuple(left_out))


def _shown(removed: str) -> str:
    """What was taken out, on one line, with "…" for what other rules had taken before."""
    return " ".join(re.sub(f"[{MARKS}]+", "…", removed).split())


def tidied(text: str) -> str:
    """The text without marks, and without the commas, brackets and full stops that stood beside them."""
    if not has_marks(text):
        return text
    made = []
    for sentence, end in sentences(text):
        if not has_marks(sentence):
            made += [sentence, end]
        elif has_words(sentence):
            made += [_closed(sentence), end]
    return markup.visible("".join(made))


def _closed(sentence: str) -> str:
    parts = split_clauses(sentence)
    for n in range(0, len(parts), 2):
        parts[n] = _DANGLING.sub(CUT, parts[n])
        if has_words(parts[n]) or not has_marks(parts[n]):
            continue
        before = parts[n - 1] if n else ""
        behind = parts[n + 1] if n + 1 < len(parts) else ""
        if before and before in "([" and behind and behind in ")]":
            parts[n - 1 : n + 2] = ["", "", " "]
        elif before and before not in "()[]":
            parts[n - 1] = ""
            parts[n] = _NO_END.sub("", parts[n])
        elif not before and behind not in ("(", "["):
            parts[n] = ""
            parts[n + 1 : n + 2] = [""] if behind else []
    text = "".join(parts)
    text = " ".join("".join(" " if character in MARKS else character for character in text).split())
    text = _EMPTY.sub("", text)
    text = _BLANK_BEFORE.sub(r"\1", text)
    text = _COMMA_END.sub(r"\1", text)
    return text.strip(" ,;:-–—_|/").lstrip(".")
