"""Credits as their authors want them since: another name, or none at all (OUT/credits.jsonl).

Both licences that ask for credit give this right: on request the licensor's name and the like are removed
from copies, as far as practicable (CC BY 4.0, section 3(a)(3); CC BY 3.0, 4(a)). The work itself stays in the
dataset; taking it out is takedowns.jsonl.

One JSON object a line, appended, never rewritten; of several lines about a work the last one holds. A line
names a work by its id, or all works of an author by the hash that tombstones use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from sao_data.errors import UsageError
from sao_data.records import Recording
from sao_data.rights import request_log
from sao_data.rights.takedowns import author_hash
from sao_data.storage import layout
from sao_data.storage.backend import Storage
from sao_data.storage.series import is_pseudonym, pseudonym

_KEYS = ("id", "author", "as", "when")
WITHHELD = "(credit withheld at the author's request)"  # stands where the name stood


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """One line: how a work, or all works of an author, are credited from now on."""

    id: str = ""  # recording id; '' = the line is about an author
    author: str = ""  # hash of the author's id (takedowns.author_hash); '' = the line is about one work
    name: str  # "as" in the file; '' = the credit is withheld
    when: str  # ISO date of the request


@dataclass(frozen=True, slots=True, kw_only=True)
class Credits:
    """All lines, ready to ask; `works` and `authors` say which line is the last about each."""

    lines: tuple[Credit, ...] = ()
    works: dict[str, int] = dataclasses.field(default_factory=dict)
    authors: dict[str, int] = dataclasses.field(default_factory=dict)

    def find(self, recording: Recording) -> Credit | None:
        """The last line about this work or its author."""
        found = [self.works.get(recording.id, -1)]
        if self.authors:
            found.append(self.authors.get(author_hash(recording.source, recording.author_id), -1))
        last = max(found)
        return self.lines[last] if last >= 0 else None


def gather(lines: Iterable[Credit]) -> Credits:
    """Lines made ready to ask."""
    kept = tuple(lines)
    return Credits(
        lines=kept,
        works={line.id: number for number, line in enumerate(kept) if line.id},
        authors={line.author: number for number, line in enumerate(kept) if line.author},
    )


def read_credits(storage: Storage) -> Credits:
    """The credits of a dataset directory; UsageError names the line that is none."""
    return gather(request_log.read(storage, layout.CREDITS, _line))


def append(storage: Storage, more: Iterable[Credit]) -> int:
    """Add the lines that are not in force already; say how many. The file appears whole."""
    known = read_credits(storage)
    new = [line for line in more if not _holds(known, line)]
    request_log.append(storage, layout.CREDITS, map(_plain, new))
    return len(new)


def credited_as_asked(recording: Recording, asked: Credits) -> Recording:
    """The recording as its author wants it credited. Applied twice, it is as applied once."""
    line = asked.find(recording)
    return recording if line is None else credited_to(recording, line.name)


def credited_to(recording: Recording, name: str) -> Recording:
    """The recording credited to `name` ('' = withheld). An author without an id gets a stand-in for one, so
    that their works stay on their side of the split."""
    author_id = recording.author_id or pseudonym(recording)
    if name:
        # the credit line they once asked for is what this request replaces
        return dataclasses.replace(recording, author=name, author_id=author_id, requested_credit="")
    return dataclasses.replace(
        recording,
        author=WITHHELD,
        author_id=author_id,
        author_url="",
        page_url="" if _tells_author(recording) else recording.page_url,
        requested_credit="",
        copyright_notice="",
    )


def is_withheld(author: str) -> bool:
    """Is this the name of somebody who wants none?"""
    return author == WITHHELD


def without_withheld_names(recording: Recording) -> Recording:
    """The recording as captions may see it: nobody's name where the credit is withheld."""
    return dataclasses.replace(recording, author="") if is_withheld(recording.author) else recording


def shown_author_id(recording: Recording) -> str:
    """The author's id as shards show it: '' where it would tell who wants no credit, or is made of a name."""
    hidden = is_withheld(recording.author) or is_pseudonym(recording.author_id)
    return "" if hidden else recording.author_id


def _tells_author(recording: Recording) -> bool:
    """Does the page's address spell the author's name, or what the address of their own page calls them?"""
    page = unquote(recording.page_url).casefold()
    own = [part for part in urlsplit(recording.author_url).path.split("/") if part]
    names = {recording.author, *own[-1:]} - {"", WITHHELD}
    return any(unquote(name).casefold() in page for name in names)


def _holds(known: Credits, line: Credit) -> bool:
    """Says the last line about this work or author the same, and none of the other kind came after it?"""
    ours, others = (known.works, known.authors) if line.id else (known.authors, known.works)
    number = ours.get(line.id or line.author, -1)
    return number > max(others.values(), default=-1) and known.lines[number].name == line.name


def _plain(line: Credit) -> dict[str, str]:
    about = {"id": line.id} if line.id else {"author": line.author}
    return {**about, "as": line.name, "when": line.when}


def _line(where: str, plain: dict[str, Any]) -> Credit:
    """Unknown keys are left to later versions."""
    try:
        texts = {key: str(value) for key, value in plain.items() if key in _KEYS}
        name = texts.pop("as")
        if bool(texts.get("id")) == bool(texts.get("author")):
            raise KeyError("id")
        return Credit(**{"when": "", **texts}, name=name)
    except KeyError as error:
        raise UsageError(
            f'{where}: want a JSON object with "as" and either "id" or "author" ({error!r}); mend the line'
        ) from error
