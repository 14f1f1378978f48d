"""Licence names in words: tokens into the licences they name, and everything that was not understood.

Restrictions are whole words and stick to the licence they stand beside, before or after it; they are never
dropped. A second licence name begins a second statement; only "By Attribution" and "Attribution-
Noncommercial-Sampling Plus" are one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sao_data.licences.table import Kind, Outside, Phrase, Table
from sao_data.licences.words import is_version, normalise, tokens

_HEADS: dict[Kind, str] = {
    "attribution": "by",
    "translated": "by",
    "by": "by",
    "zero": "zero",
    "mark": "mark",
    "dedication": "publicdomain",
    "sampling_plus": "sampling+",
    "sampling": "sampling",
    "devnations": "devnations",
}
_RESTRICTED = {
    ("by", frozenset()): "by",
    ("by", frozenset({"nc"})): "by-nc",
    ("by", frozenset({"nd"})): "by-nd",
    ("by", frozenset({"sa"})): "by-sa",
    ("by", frozenset({"nc", "nd"})): "by-nc-nd",
    ("by", frozenset({"nc", "sa"})): "by-nc-sa",
    ("sampling+", frozenset()): "sampling+",
    ("sampling+", frozenset({"nc"})): "nc-sampling+",
    ("sampling", frozenset()): "sampling",
    ("sampling", frozenset({"nc"})): "nc-sampling",
    ("zero", frozenset()): "zero",
    ("mark", frozenset()): "mark",
    ("publicdomain", frozenset()): "publicdomain",
    ("devnations", frozenset()): "devnations",
    ("", frozenset({"nc"})): "nc",
    ("", frozenset({"nd"})): "nd",
    ("", frozenset({"sa"})): "sa",
    ("", frozenset({"nc", "sa"})): "nc-sa",
    ("", frozenset({"nc", "nd"})): "nd-nc",
}
_NO_BLANKS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # kana, Han, Hangul
_SHORT_VERSIONS = {"1": "1.0", "3": "3.0", "4": "4.0"}  # not 2: that is 2.0, 2.1 or 2.5
_OF_NAMES = {"translated", "attribution", "cc", "by", "nc", "nd", "sa", "label"}  # kinds of words in names
_ENDS: tuple[Kind, ...] = ("grant", "prose", "outside", "empty", "placeholder")  # what ends a licence name
_CODES_THAT_ARE_WORDS = ("am", "at", "be", "in", "it", "my", "no")


@dataclass(slots=True, kw_only=True)
class NamedLicence:
    """One licence as words name it; an empty head collects what stands before the first name."""

    head: str = ""
    restrictions: set[str] = field(default_factory=set)
    versions: list[str] = field(default_factory=list)
    jurisdiction: str = ""
    named_place: bool = False  # the jurisdiction is a country's name, not a code (codes can be words)
    linked: bool = False  # "creative commons" stands right beside the name
    granted: bool = False  # "licensed under the" stands right before the name
    weak: bool = False  # "by" or a foreign word for attribution, with no "creative commons" before it

    def slug(self) -> str:
        """The unit's slug; '' if nothing of that kind exists."""
        slug = _RESTRICTED.get((self.head, frozenset(self.restrictions)), "")
        return "by-nd-nc" if slug == "by-nc-nd" and self.versions == ["1.0"] else slug

    def sure(self) -> bool:
        """Is it a licence even in the middle of prose? "Licensed under attribution" is none."""
        if self.linked or self.head in ("zero", "mark", "publicdomain"):
            return True
        return self.granted and (bool(self.versions) or self.head == "sampling+")


@dataclass(slots=True, kw_only=True)
class Reading:
    """What a text says, in words."""

    said: list[NamedLicence] = field(default_factory=list)
    loose: NamedLicence = field(
        default_factory=NamedLicence
    )  # restrictions and versions that belong to no name
    outside: list[Outside] = field(default_factory=list)
    kinds: set[Kind] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)  # words that mean nothing here

    def plain(self) -> bool:
        """Is everything said part of a licence name? "Licensed by the band" and "see attribution" are not."""
        if any(said.weak for said in self.said):
            slug = self.kinds <= {"by", "nc", "nd", "sa"}
            return slug or (self.exact() and self.kinds <= _OF_NAMES)
        if not self.kinds & {"prose", "grant"}:
            return True
        return all(said.sure() for said in self.said)

    def exact(self) -> bool:
        """Does each name state a version or a restriction?"""
        return all(said.versions or said.restrictions for said in self.said)

    def beyond_doubt(self) -> bool:
        """Is a name here that prose cannot contain by chance ("by", "attribution" and "sampling" can)?"""
        weak = [said.weak for said in self.said]
        if any(weak) and (all(weak) or not self.exact() or not self.kinds <= _OF_NAMES):
            return False
        if self.kinds & {"cc", "zero", "mark", "dedication", "sampling_plus", "devnations"}:
            return True
        return "attribution" in self.kinds and any(said.versions or said.restrictions for said in self.said)


def read(text: str, known: Table) -> Reading:
    """Read a claim's text (URLs already taken out)."""
    reader = _Reader([word for token in tokens(normalise(text)) for word in _parted(token, known)], known)
    reader.run()
    return reader.reading


def _parted(token: str, known: Table) -> list[str]:
    """Words of a script without blanks between them, if all of it is known words; else as it is."""
    if token.isascii() or token in known.joined or not _NO_BLANKS.search(token):
        return [token]
    parts: list[list[str] | None] = [[], *([None] * len(token))]  # the words up to each character
    for start in range(len(token)):
        before = parts[start]
        for word in known.joined if before is not None else ():
            end = start + len(word)
            if token.startswith(word, start) and (
                parts[end] is None or len(word) > len((parts[end] or [""])[-1])
            ):
                parts[end] = [*(before or []), word]
    return parts[-1] or [token]


class _Reader:
    """Walks over the tokens once, longest phrase first."""

    def __init__(self, words: Sequence[str], known: Table) -> None:
        self.words = words
        self.known = known
        self.reading = Reading()
        self.current = self.reading.loose
        self.ignore_version = False  # right after a licence outside the table: "GPL 3.0"
        self.after_cc = False  # only labels since "creative commons"
        self.after_grant = False  # only labels and a version since "licensed under the"
        self.after_head = False  # only labels, restrictions and a version since a licence name

    def run(self) -> None:
        at = 0
        while at < len(self.words):
            at += self._place(at) or self._phrase(at) or self._version(at) or self._strange(at)

    def _place(self, at: int) -> int:
        """A jurisdiction, only right after a version; returns how many tokens it took."""
        said = self.current
        if not (said.head or said.restrictions) or not said.versions or said.jurisdiction:
            return 0
        for words, code in self.known.places.get(self.words[at], ()):
            end = at + len(words)
            if tuple(self.words[at:end]) != words or (words == (code,) and not self._code_may_end(end)):
                continue
            said.jurisdiction, said.named_place = code, words != (code,)
            return len(words)
        return 0

    def _code_may_end(self, end: int) -> bool:
        """Codes like "in", "it", "no" are words too: they count last; others also before a licence word."""
        if end == len(self.words):
            return True
        if self.words[end - 1] in _CODES_THAT_ARE_WORDS:
            return False
        entry = self._match(end)
        return entry is not None and entry.kind not in _ENDS

    def _phrase(self, at: int) -> int:
        entry = self._match(at)
        if entry is None:
            return 0
        self.reading.kinds.add(entry.kind)
        if entry.kind != "label":
            self.ignore_version = False
        if entry.outside:
            self.reading.outside.append(entry.outside)
            self.current, self.ignore_version = NamedLicence(), True
        elif entry.kind in ("nc", "nd", "sa"):
            self.current.restrictions.add(entry.kind)
        elif entry.kind in _HEADS:
            self._head(_HEADS[entry.kind])
            self.current.weak &= entry.kind in ("by", "translated")
        elif entry.kind == "compact":
            self.reading.kinds |= {"attribution", "cc"} if entry.words[0].startswith("cc") else {"by"}
            self.after_cc = self.after_cc or entry.words[0].startswith("cc")
            self._head("by")
            self.current.weak = False
            self.current.restrictions |= set(entry.unit.split("-")[1:])
        self._link(entry.kind)
        return len(entry.words)

    def _link(self, kind: Kind) -> None:
        """Note whether "creative commons" and a licence name stand side by side."""
        if kind == "cc":
            self.after_cc = True
            self.current.linked |= self.after_head
        elif kind in _ENDS:
            self.after_cc = self.after_head = False
            self.after_grant = kind == "grant"

    def _match(self, at: int) -> Phrase | None:
        for entry in self.known.phrases.get(self.words[at], ()):
            if tuple(self.words[at : at + len(entry.words)]) == entry.words:
                return entry
        return None

    def _head(self, head: str) -> None:
        said = self.current
        weak = not self.after_cc
        if not said.head:  # takes the restrictions and versions that stood before it
            said.head, said.weak = head, weak
            self.reading.said.append(said)
            self.reading.loose = NamedLicence() if said is self.reading.loose else self.reading.loose
        elif said.head == "by" and head.startswith("sampling") and said.restrictions and not said.versions:
            said.head = head  # "Attribution-Noncommercial-Sampling Plus"
        elif said.head == head == "by" and not said.versions and not said.restrictions:
            pass  # "CC BY Attribution"
        else:
            self.current = NamedLicence(head=head, weak=weak)
            self.reading.said.append(self.current)
        self.current.linked |= self.after_cc
        self.current.granted |= self.after_grant
        self.after_head = True

    def _version(self, at: int) -> int:
        token = self.words[at]
        version = token if is_version(token) else ""
        if not version and self.current.head and not self.current.versions:
            version = _SHORT_VERSIONS.get(token.removeprefix("v"), "")
        if not version:
            return 0
        if not self.ignore_version and version not in self.current.versions:
            self.current.versions.append(version)
        return 1

    def _strange(self, at: int) -> int:
        self.reading.strange.append(self.words[at])
        self.after_cc = self.after_head = self.after_grant = False
        return 1
