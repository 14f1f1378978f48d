"""Which recordings of a dataset are meant by a name, an address or an id, and their raw metadata."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from sao_data.dataset.history import past
from sao_data.dataset.reader import Dataset
from sao_data.errors import MatchedNothing
from sao_data.ids import named_by
from sao_data.records import CatalogueRow
from sao_data.storage import evidence, layout

_NUM_NEAR = 5
_SCHEME = re.compile(r"https?://(?:www\.)?", re.IGNORECASE)


def find(dataset: Dataset, text: str) -> list[CatalogueRow]:
    """The recordings meant by a recording id or the source's own id, a clip id, a sample's name or the file
    name of one, a title, the address of a page, or a file name as the source gives it; in order of id.

    MatchedNothing, with what is near, if there is none.
    """
    wanted = _Wanted(text)
    found = [row for row in dataset.catalogue() if wanted.is_named(row)] or _by_file(dataset, wanted)
    if not found:
        near = _near(dataset, text)
        hint = f"near: {', '.join(near)}" if near else f"ids look like {_example(dataset)}"
        raise MatchedNothing(
            f"{dataset.storage.url}: {text!r} was never offered (no id, sample, title, page or file of that "
            f"name); {hint}"
        )
    return found


def gone(dataset: Dataset, text: str) -> list[CatalogueRow]:
    """Works of that name that an earlier version held and no source offers any more, as they were."""
    wanted, works = _Wanted(text), past.read(dataset.storage).works.values()
    now = {row.id for row in dataset.catalogue()} if works else set()
    return sorted(
        (row for row in works if row.id not in now and wanted.is_named(row)), key=lambda row: row.id
    )


def raw_row(dataset: Dataset, row: CatalogueRow) -> str:
    """The raw metadata that a recording was read from; '' if there are none."""
    return next((raw for digest, raw in _evidence(dataset) if digest == row.evidence), "")


class _Wanted:
    """What a text may mean."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.name = PurePosixPath(self.text).name if "://" not in self.text else ""
        self._ids = named_by(self.text) | named_by(self.name)
        self._own = {self.text, PurePosixPath(self.name).stem} - {""}
        self._title = self.text.casefold()
        self._address = _address(self.text) if "/" in self.text else ""

    def is_named(self, row: CatalogueRow) -> bool:
        """Is this its id, title or page?"""
        return (
            row.id in self._ids
            or row.id.partition(":")[2] in self._own
            or (row.title != "" and row.title.strip().casefold() == self._title)
            or (self._address != "" and _address(row.page_url) == self._address)
        )

    def is_file_in(self, raw: str) -> bool:
        """Does a raw row name a file so?"""
        spelled = json.dumps(self.name)[1:-1]
        if not self.name or (self.name not in raw and spelled not in raw):
            return False  # parsing every row of a million would take long
        return any(PurePosixPath(value.partition("?")[0]).name == self.name for value in _strings(raw))


def _by_file(dataset: Dataset, wanted: _Wanted) -> list[CatalogueRow]:
    digests = {digest for digest, raw in _evidence(dataset) if wanted.is_file_in(raw)}
    return [row for row in dataset.catalogue() if row.evidence in digests] if digests else []


def _strings(raw: str) -> Iterator[str]:
    """Every string of a raw row; a row that is no JSON is one string."""
    try:
        waiting = [json.loads(raw)]
    except ValueError:
        waiting = [raw]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            waiting += value.values() if isinstance(value, dict) else value


def _address(url: str) -> str:
    """An address without what people leave out: scheme, "www.", fragment, last slash."""
    return _SCHEME.sub("", url).partition("#")[0].rstrip("/").casefold()


def _near(dataset: Dataset, text: str) -> list[str]:
    """Ids, each with its title, of what is spelled alike, or has the text in its title."""
    names: dict[str, list[CatalogueRow]] = {}
    for row in dataset.catalogue():
        for name in (row.id, row.title, row.page_url):
            names.setdefault(name.casefold(), []).append(row)
    key = text.strip().casefold()
    parts = [name for name in names if len(key) > 2 and key in name]
    alike = difflib.get_close_matches(key, names, _NUM_NEAR)
    rows = {row.id: row for name in dict.fromkeys([*alike, *parts]) for row in names[name] if name}
    return [f'{row.id} "{row.title}"' if row.title else row.id for row in [*rows.values()][:_NUM_NEAR]]


def _evidence(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """(digest, raw row) of all evidence."""
    for name in dataset.facts["files"]:
        if name.startswith(f"{layout.EVIDENCE}/"):
            yield from evidence.checked_rows(dataset.storage, name).items()


def _example(dataset: Dataset) -> str:
    return next((row.id for row in dataset.catalogue()), "freesound:12345")
