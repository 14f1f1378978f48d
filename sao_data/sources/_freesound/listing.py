"""What to list, when the listing began, and asking for sounds by their ids; all of it can be interrupted.

`listing.json` in the workspace remembers for each kind of listing its number (a newer one does not mix with
the answers of an older one), its pinned end, and what it found.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sao_data import config
from sao_data.fetch.wire import Overloaded
from sao_data.sources._common import rows
from sao_data.sources._freesound.partition import RetryLimit, Span, Walk
from sao_data.sources._freesound.search import Query, ResultPage, Search, created_filter, ids_filter
from sao_data.storage.backend import Storage

Found = tuple[rows.Row, ResultPage]

_ATTEMPTS = 3  # for a single sound, where less cannot be asked for
_ID = re.compile(r"freesound:([1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which sounds: part of the filter, words, dates ('' = open, and pinned when the listing begins)."""

    filter: str
    text: str
    created_from: str  # ISO date or date and time, UTC
    created_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One listing of a scope."""

    number: int = 1
    begun: str  # ISO 8601 UTC
    last: int  # ms since 1970: nothing created later is part of it
    found: int = -1  # sounds; -1: it is not finished
    stated: int = -1  # what the server counted at its begin
    num_null: int = 0  # places in the index without a sound


class Pins:
    """The file that remembers them."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name = storage, name

    def find(self, scope: object) -> Pin | None:
        """The latest listing of a scope."""
        found = self._all().get(config.digest(scope))
        return Pin(**cast("Any", found)) if found else None

    def keep(self, scope: object, pin: Pin) -> None:
        """Remember a listing in the place of the scope's earlier one."""
        every = self._all() | {config.digest(scope): dataclasses.asdict(pin)}
        text = json.dumps(every, sort_keys=True, indent=1)
        self._storage.write(self._name, text.encode())

    def begin(self, scope: object, last: int | None, again: str, now: float) -> Pin:
        """The listing to go on with: the known one unless it began before `again`, else a new one."""
        pin = self.find(scope)
        if pin is not None and pin.begun >= again:
            return pin
        begun = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        last = int(now) * 1000 + 999 if last is None else last
        pin = Pin(number=pin.number + 1 if pin else 1, begun=begun, last=last)
        self.keep(scope, pin)
        return pin

    def numbers(self) -> set[int]:
        """Of all listings there were."""
        latest = (Pin(**cast("Any", found)).number for found in self._all().values())
        return {number for last in latest for number in range(1, last + 1)}

    def _all(self) -> dict[str, dict[str, int | str]]:
        try:
            return dict(json.loads(self._storage.read(self._name)))
        except FileNotFoundError:
            return {}


def walk(search: Search, scope: Scope, first: int, last: int, page_size: int) -> Walk:
    """The walk over a scope, through this search."""

    def ask(spans: Sequence[Span], page: int, attempt: int) -> ResultPage:
        parts = (scope.filter, created_filter(spans))
        can_split = len(spans) > 1 or spans[0][0] < spans[0][1]
        return search.ask(
            Query(
                filter=" ".join(part for part in parts if part),
                text=scope.text,
                page=page,
                page_size=page_size,
                attempt=attempt,
                can_split=can_split,
            )
        )

    return Walk(ask, (first, last), page_size)


def numbers_of(ids: Iterable[str]) -> Iterator[int]:
    """The numbers in "freesound:123"; other ids are passed over."""
    for match in map(_ID.fullmatch, ids):
        if match:
            yield int(match[1])


def by_ids(search: Search, numbers: Iterable[int], page_size: int) -> Iterator[Found | int]:
    """Those sounds; a bare number for one that is not there (any more)."""
    rest = iter(dict.fromkeys(numbers))
    while batch := list(itertools.islice(rest, page_size)):
        yield from _batch(search, batch, page_size)


def _batch(search: Search, numbers: list[int], page_size: int) -> Iterator[Found | int]:
    """Ask until all have come, or nothing is left that could be hidden behind a place without a sound."""
    missing, patience = dict.fromkeys(numbers), RetryLimit()
    for attempt in itertools.count():
        try:
            page = search.ask(Query(filter=ids_filter(missing), page_size=page_size, attempt=attempt))
        except Overloaded:
            if len(missing) == 1 and attempt < _ATTEMPTS:
                continue
            if len(missing) == 1:
                raise
            half = list(missing)
            yield from _batch(search, half[: len(half) // 2], page_size)
            yield from _batch(search, half[len(half) // 2 :], page_size)
            return
        num_before = len(missing)
        for row in page.results:
            number = row.get("id") if row is not None else None
            if row is not None and isinstance(number, int) and number in missing:
                del missing[number]
                yield row, page
        num_null = page.results.count(None)
        if attempt:
            patience.record(min(num_null, len(missing)), brought=len(missing) < num_before)
        if not missing or not num_null or patience.is_over:
            yield from missing
            return
