"""All sounds of a search, by date: complete whatever is added and removed meanwhile, and never two times.

The walk asks for page 1 only: the oldest sounds from a moment on. The next moment is the second of the last
sound on the page, asked for anew as a whole. So nothing that is there throughout can slip between two pages,
no question ever goes deep into the results, and the only price is what shares the second at the seam. What is
too much for one answer (a bulk upload within a second, an overloaded server) is halved in time.

Places without a sound (`null`: the index knows it, the database does not) are asked for again by their
neighbours' dates until a dozen questions in a row have brought nothing; what remains is counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from sao_data.fetch.wire import Overloaded
from sao_data.sources._common.rows import Row, canonical_json
from sao_data.sources._freesound.search import PAGE_SIZE, ResultPage, milliseconds

Span = tuple[int, int]  # first and last millisecond since 1970 UTC, both inclusive
Ask = Callable[[Sequence[Span], int, int], ResultPage]  # spans, page, attempt
Found = tuple[Row, ResultPage]

_SWEEPS = 24  # over one millisecond that holds more than a page
_BARREN = 4  # sweeps in a row that brought nothing, where the count says that there is more
_PASSES = 40  # over places without a sound
_ASKS = 12  # questions in a row about such places that brought nothing: they are empty for good
_BARREN_PASSES = 6  # the same where one has brought something before: this server's answers vary
_SPANS = 30  # in one question: about 3 kB of URL


class RetryLimit:
    """How long to ask for places without a sound."""

    def __init__(self) -> None:
        self._asks = self._barren = 0
        self._is_fickle = False

    def record(self, num_null: int, *, brought: bool) -> None:
        """So many places were empty once more; has asking again brought a sound?"""
        self._is_fickle |= brought
        self._asks = 0 if brought else self._asks + num_null
        self._barren = 0 if brought else self._barren + 1

    @property
    def is_over(self) -> bool:
        """Are they empty for good?"""
        return self._asks >= _ASKS and self._barren >= (_BARREN_PASSES if self._is_fickle else 1)


class SeenIds:
    """Ids seen so far: a bit each, as long as they are of Freesound's own size."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._others: set[object] = set()

    def __len__(self) -> int:
        return int.from_bytes(self._bits, "little").bit_count() + len(self._others)

    def add(self, row: Row) -> bool:
        """Is this object's id new? One without a usable id counts by its content."""
        number = row.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 1 << 26:
            text = number if isinstance(number, int) else canonical_json(row)
            before = len(self._others)
            self._others.add(text if isinstance(text, int) else hashlib.sha256(text.encode()).digest())
            return len(self._others) > before
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 + (1 << 12) - len(self._bits)))
        is_new = not self._bits[place] & bit
        self._bits[place] |= bit
        return is_new


class Walk:
    """One pass over a span of time. Deterministic: the same answers, the same questions."""

    def __init__(self, ask: Ask, span: Span, page_size: int = PAGE_SIZE) -> None:
        self._ask, self._page_size = ask, page_size
        self._first, self._last = span
        self._empty: dict[Span, int] = {}  # where places without a sound are → about how many rows are there
        self.seen = SeenIds()
        self.count = -1  # what the first answer said
        self.num_null = 0  # places that stayed empty
        self._in_vain = 0  # places found empty in this pass

    def rows(self) -> Iterator[Found]:
        """Every sound once, by date; at the end those that appeared when asked for again."""
        low, high = self._first, self._last
        width = high - low + 1
        while low <= self._last:
            page = self._fits((low, high))
            if page is None:
                width = (high - low + 1) // 2
                high = low + width - 1
                continue
            yield from self._new(page)
            end = self._end(page, low, high)
            if end > low:
                self._note_empty(page, [(low, min(high, end - 1))], high)
            else:  # a full page of one second
                end = min(low // 1000 * 1000 + 1000, high + 1)
                yield from self._halves((low, end - 1), 0)
            low = end
            if low > high:
                width = min(4 * width, self._last - self._first + 1)
                high = min(self._last, low + width - 1)
        yield from self._again()

    def _fits(self, span: Span) -> ResultPage | None:
        """The first page of a span; None if it is too much to ask, or shows nothing to go on from."""
        try:
            page = self._ask([span], 1, 0)
        except Overloaded:
            if span[0] == span[1]:
                raise
            return None
        if self.count < 0:
            self.count = page.count
        is_blind = self._is_full(page) and not self._dates(page, span)
        return None if is_blind and span[0] < span[1] else page

    def _end(self, page: ResultPage, low: int, high: int) -> int:
        """Where to go on: behind the span if the page has all of it, else at its last second, or at `low`."""
        if not self._is_full(page):
            return high + 1
        dates = self._dates(page, (low, high))
        return max(low, dates[-1]) if dates else low

    def _dates(self, page: ResultPage, span: Span) -> list[int]:
        """Seconds (in ms) of its sounds, in their order; dates outside of the span tell nothing."""
        dates = (milliseconds(row.get("created")) for row in page.results if row is not None)
        seconds = [date // 1000 * 1000 for date in dates if date is not None]
        return [second for second in seconds if span[0] // 1000 * 1000 <= second <= span[1]]

    def _within(self, span: Span, attempt: int) -> Iterator[Found]:
        """All of a span: in one answer if it fits, else in halves."""
        try:
            page = self._ask([span], 1, attempt)
        except Overloaded:
            if span[0] == span[1]:
                raise
            yield from self._halves(span, attempt)
            return
        yield from self._new(page)
        if self._is_full(page):
            yield from self._halves(span, attempt)
        else:
            self._note_empty(page, [span], span[1])

    def _halves(self, span: Span, attempt: int) -> Iterator[Found]:
        first, last = span
        if first == last:
            yield from self._sweeps(span, attempt)
            return
        middle = (first + last) // 2
        yield from self._within((first, middle), attempt)
        yield from self._within((middle + 1, last), attempt)

    def _sweeps(self, span: Span, attempt: int) -> Iterator[Found]:
        """A millisecond of more than a page, page by page, until going through it again brings nothing."""
        ours, barren = SeenIds(), 0
        for sweep in range(_SWEEPS):
            before, number, is_full, count = len(ours), 0, True, 0
            while is_full:
                number += 1
                page = self._ask([span], number, attempt * _SWEEPS + sweep)
                for row in page.results:
                    if row is not None:
                        ours.add(row)
                yield from self._new(page)
                is_full, count = self._is_full(page), max(count, page.count)
            barren = 0 if len(ours) > before else barren + 1
            if barren >= (1 if len(ours) >= count else _BARREN):
                break
        self.num_null += max(0, count - len(ours))

    def _again(self) -> Iterator[Found]:
        """Ask for the places that were empty, until they have been asked for in vain often enough."""
        patience = RetryLimit()
        for attempt in range(1, _PASSES + 1):
            pending, self._empty = _merged(self._empty), {}
            if not pending or patience.is_over:
                break
            before, self._in_vain = len(self.seen), 0
            for batch in _batches(pending, self._page_size):
                yield from self._batch(batch, attempt)
            patience.record(self._in_vain, brought=len(self.seen) > before)
        self.num_null += self._in_vain if self._empty or pending else 0

    def _batch(self, spans: list[Span], attempt: int) -> Iterator[Found]:
        if len(spans) == 1:
            yield from self._within(spans[0], attempt)
            return
        try:
            page = self._ask(spans, 1, attempt)
        except Overloaded:
            page = None
        if page is not None:
            yield from self._new(page)
        if page is not None and not self._is_full(page):
            self._note_empty(page, spans, spans[-1][1])
            return
        middle = len(spans) // 2
        yield from self._batch(spans[:middle], attempt)
        yield from self._batch(spans[middle:], attempt)

    def _new(self, page: ResultPage) -> Iterator[Found]:
        for row in page.results:
            if row is not None and self.seen.add(row):
                yield row, page

    def _is_full(self, page: ResultPage) -> bool:
        return len(page.results) >= self._page_size

    def _note_empty(self, page: ResultPage, spans: Sequence[Span], high: int) -> None:
        """Remember the places without a sound by the dates of their neighbours, within these spans."""
        if None not in page.results:
            return
        low = spans[0][0] // 1000 * 1000
        dates = [None if row is None else milliseconds(row.get("created")) for row in page.results]
        known = [
            (place, date) for place, date in enumerate(dates) if date is not None and low <= date <= high
        ]
        for place, row in enumerate(page.results):
            if row is None:
                self._in_vain += 1
                before = max((near for near in known if near[0] < place), default=(0, low))
                after = min((near for near in known if near[0] > place), default=(len(dates) - 1, high))
                num_rows = after[0] - before[0] + 1
                for first, last in spans:
                    part = max(first, before[1]), min(last, after[1] // 1000 * 1000 + 999)
                    if part[0] <= part[1]:
                        self._empty[part] = max(self._empty.get(part, 0), num_rows)


def _merged(spans: dict[Span, int]) -> dict[Span, int]:
    """Overlapping spans as one."""
    merged: dict[Span, int] = {}
    current: Span | None = None
    for span in sorted(spans):
        if current is not None and span[0] <= current[1]:
            joined = current[0], max(current[1], span[1])
            merged[joined] = merged.pop(current) + spans[span]
            current = joined
        else:
            current, merged[span] = span, spans[span]
    return merged


def _batches(spans: dict[Span, int], page_size: int) -> Iterator[list[Span]]:
    """As many spans as one answer is likely to hold."""
    batch: list[Span] = []
    num_rows = 0
    for span, rows in spans.items():
        if batch and (len(batch) >= _SPANS or num_rows + rows > page_size // 2):
            yield batch
            batch, num_rows = [], 0
        batch.append(span)
        num_rows += rows
    if batch:
        yield batch
