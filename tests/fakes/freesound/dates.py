"""Dates as Solr's DateRangeField reads them: a partial date is its whole span; NOW with date maths."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

EARLIEST, LATEST = -(2**62), 2**62  # ms; what `*` stands for

_POINT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?)?)?Z?", re.ASCII
)
_MATHS = re.compile(r"([+-]\d+|/)(YEAR|MONTH|DAY|HOUR|MINUTE|SECOND)S?", re.ASCII)
_UNITS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


class BadDate(ValueError):
    """What Solr answers to a date that it cannot read."""


def span(text: str, now: float) -> tuple[int, int]:
    """First and last millisecond (since 1970 UTC, both inclusive) of a point in time such as "2014-04"."""
    if text.startswith("NOW"):
        moment = _milliseconds(_now_maths(text, now))
        return moment, moment
    match = _POINT.fullmatch(text)
    if match is None:
        raise BadDate(f"Couldn't parse date because: Improperly formatted datetime: {text}")
    given = [int(part) for part in match.groups()[:6] if part is not None]
    try:
        start = _moment(given)
    except ValueError as error:
        raise BadDate(f"Couldn't parse date because: {error}: {text}") from error
    if match[7]:
        moment = _milliseconds(start) + int(match[7][:3].ljust(3, "0"))
        return moment, moment
    return _milliseconds(start), _milliseconds(_plus(start, 1, _UNITS[len(given) - 1])) - 1


def shown(created_ms: int) -> str:
    """As the API shows it, without the fraction that the index has and without a zone."""
    return (datetime(1970, 1, 1) + timedelta(seconds=created_ms // 1000)).isoformat()


def read(text: str) -> int | None:
    """Milliseconds of an ISO date in a sound object; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _now_maths(text: str, now: float) -> datetime:
    moment = datetime.fromtimestamp(now, UTC)
    rest = text.removeprefix("NOW")
    while rest:
        match = _MATHS.match(rest)
        if match is None:
            raise BadDate(f"Invalid Date Math String:'{text}'")
        moment = _floor(moment, match[2]) if match[1] == "/" else _plus(moment, int(match[1]), match[2])
        rest = rest[match.end() :]
    return moment


def _plus(moment: datetime, num: int, unit: str) -> datetime:
    if unit in ("YEAR", "MONTH"):
        months = moment.year * 12 + moment.month - 1 + num * (12 if unit == "YEAR" else 1)
        year, month = divmod(months, 12)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)
    return moment + timedelta(**{unit.lower() + "s": num})


def _floor(moment: datetime, unit: str) -> datetime:
    parts = [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second]
    return _moment(parts[: _UNITS.index(unit) + 1])


def _moment(given: list[int]) -> datetime:
    year, month, day, hour, minute, second = given + [1, 1, 1, 0, 0, 0][len(given) :]
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _milliseconds(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
