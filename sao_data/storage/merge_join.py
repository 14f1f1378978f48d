"""Two ascending tables side by side, as a merge join: nothing is collected, so that tables may be large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sao_data.errors import IntegrityError

T = TypeVar("T")


def merge(
    a: Iterable[T], b: Iterable[T], key: Callable[[T], str], what: str = "table"
) -> Iterator[tuple[T | None, T | None]]:
    """Rows of two ascending tables side by side, None where one has no such row; nothing is collected."""
    left, right = _ascending(a, key, f"A: {what}"), _ascending(b, key, f"B: {what}")
    was, now = next(left, None), next(right, None)
    while was is not None or now is not None:
        if now is None or (was is not None and key(was) < key(now)):
            yield was, None
            was = next(left, None)
        elif was is None or key(now) < key(was):
            yield None, now
            now = next(right, None)
        else:
            yield was, now
            was, now = next(left, None), next(right, None)


def _ascending(rows: Iterable[T], key: Callable[[T], str], what: str) -> Iterator[T]:
    """Pass the rows on; IntegrityError where they are not in order, since a merge would then be wrong."""
    last: str | None = None
    for row in rows:
        if last is not None and key(row) <= last:
            raise IntegrityError(f"{what}: {key(row)!r} stands after {last!r}; see sao verify")
        last = key(row)
        yield row
