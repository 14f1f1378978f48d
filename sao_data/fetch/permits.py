"""One permit for each request: two sliding windows, kept as the server keeps them.

Freesound counts requests per API credential in the last minute and the last day, stamps them on arrival and
refuses with a 429 that names the rate but not when to come back. One `Permits` is shared by all workers. The
day is written to storage ahead of use: after a crash some permits may be wasted, never exceeded.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sao_data.storage.backend import Storage

log = logging.getLogger(__name__)

_GUARD = 1.0  # s a request may be on its way: a window is that much longer here than at the server
_MINUTE, _DAY = 60.0 + _GUARD, 86_400.0 + _GUARD  # s
_RESERVE = 20  # permits written down ahead of use, at most
_BIN = 60.0  # s; permits of one bin are written as given at its end
_PROBE_EVERY = 900.0  # s between trials while the server's day is full for reasons unknown here
_PROBE_ANSWER = 30.0  # s in which a trial's answer should be known
_SHORTEST = 0.001  # s
_RATE = re.compile(r"(\d+)/(minute|day)")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaWindows:
    """Requests that may pass in any minute and in any 24 hours."""

    per_minute: int = 60
    per_day: int = 2_000


# Throttling level of a credential: its basic endpoints, downloads included (server settings, 2026-07).
LEVELS: dict[int, QuotaWindows | None] = {
    0: QuotaWindows(per_minute=0, per_day=0),  # suspended
    1: QuotaWindows(),
    2: QuotaWindows(per_minute=300, per_day=5_000),
    3: QuotaWindows(per_minute=300, per_day=15_000),
    99: None,  # no limit
}


class Permits:
    """Gives permits to any number of workers; never sleeps. Thread-safe.

    `name` is the state's file in `state`; no storage, no memory beyond this process.
    """

    def __init__(
        self,
        windows: QuotaWindows | None,
        state: Storage | None,
        name: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = _Window(_MINUTE, windows.per_minute if windows else None)
        self._day = _Window(_DAY, windows.per_day if windows else None)
        self._closed_until, self._closed_why = 0.0, ""
        self._state, self._name = state, name
        self._num_reserved = self._num_given = 0
        self._load()

    def ask(self) -> float:
        """0.0: one permit is given, and counted. Otherwise seconds until the next one may be."""
        with self._lock:
            now = self._now()
            wait = self._free_at(now)[0] - now
            if wait > 0:
                return max(wait, _SHORTEST)
            self._reserve(now)
            self._give(now)
            return 0.0

    def report_refusal(self, detail: str) -> None:
        """Take in the text of a 429: the server is right, the window it names is full.

        A rate below the configured one is kept from now on; a higher one is ignored.
        """
        with self._lock:
            now = self._now()
            match = _RATE.search(detail)
            if "suspended" in detail.lower():
                self._close(now + _PROBE_EVERY, "suspended")
            elif match is None:
                self._close(now + _MINUTE, "an unknown limit")
            elif match[2] == "minute":
                self._minute.learn(int(match[1]))
                self._minute.fill(now)
            else:
                self._day.learn(int(match[1]))
                self._close(now + _PROBE_EVERY, f"{self._day.limit}/day")

    def used(self) -> tuple[int, int]:
        """Places taken in the minute and in the day."""
        with self._lock:
            now = self._now()
            return self._minute.used(now), self._day.used(now)

    def next_at(self) -> float:
        """Seconds since 1970 at which the next permit may be given."""
        with self._lock:
            return self._free_at(self._now())[0]

    def why(self) -> str:
        """What the next permit waits for: "60/minute", "2000/day", "suspended"; '' if for nothing."""
        with self._lock:
            return self._free_at(self._now())[1]

    def _free_at(self, now: float) -> tuple[float, str]:
        """The latest of all that stands in the way, and its name; now and '' if nothing does."""
        ways = [
            (now, ""),
            (self._minute.free_at(now), f"{self._minute.limit}/minute"),
            (self._day.free_at(now), f"{self._day.limit}/day"),
            (self._closed_until, self._closed_why),
        ]
        return max(ways, key=lambda way: way[0])  # of equals the first: (now, '')

    def _give(self, now: float) -> None:
        self._minute.add(now)
        self._day.add(now)
        self._num_given += 1
        self._num_reserved = max(0, self._num_reserved - 1)
        if self._closed_why:  # a trial: let nobody follow before its answer is known
            self._closed_until, self._closed_why = now + _PROBE_ANSWER, ""

    def _close(self, until: float, why: str) -> None:
        self._closed_until, self._closed_why = max(until, self._closed_until), why

    def _now(self) -> float:
        """The time; where the clock was set back, all that was given counts as given now."""
        now = self._clock()
        self._minute.clamp(now)
        self._day.clamp(now)
        return now

    def _reserve(self, now: float) -> None:
        """Write the next permits down before the first of them is given: a few at first, then more."""
        if self._state is None or self._day.limit is None or self._num_reserved:
            return
        left = self._day.limit - self._day.used(now)
        num = max(1, min(_RESERVE, self._num_given, left))
        record = {"format": 1, "given": _binned(self._day.times), "reserved": num}
        self._state.write(self._name, json.dumps(record, separators=(",", ":")).encode())
        self._num_reserved = num

    def _load(self) -> None:
        """Count what an earlier run gave. Its reserved permits may have been given up to this moment."""
        if self._state is None or not self._state.exists(self._name):
            return
        now = self._clock()
        try:
            record = json.loads(self._state.read(self._name))
            times = [float(at) for at, num in record["given"] for _ in range(int(num))]
            times += [now] * int(record["reserved"])
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s is unreadable (%s): counting requests from zero", self._name, error)
            return
        for at in sorted(min(at, now) for at in times):
            self._minute.add(at)
            self._day.add(at)


class _Window:
    """When permits were given in the last `seconds`, and how many may be."""

    def __init__(self, seconds: float, limit: int | None) -> None:
        self.limit = limit  # None: no limit
        self.times: deque[float] = deque()  # ascending
        self._seconds = seconds

    def used(self, now: float) -> int:
        while self.times and self.times[0] + self._seconds <= now:
            self.times.popleft()
        return len(self.times)

    def free_at(self, now: float) -> float:
        used = self.used(now)
        if self.limit is None or used < self.limit:
            return now
        return self.times[used - self.limit] + self._seconds if self.limit else now + _PROBE_EVERY

    def add(self, at: float) -> None:
        self.times.append(at)

    def fill(self, now: float) -> None:
        """Count as full: what is missing here was given elsewhere, at worst just now."""
        if self.limit is not None:
            self.times.extend([now] * (self.limit - self.used(now)))

    def learn(self, limit: int) -> None:
        self.limit = limit if self.limit is None else min(limit, self.limit)

    def clamp(self, now: float) -> None:
        if self.times and self.times[-1] > now:
            self.times = deque(min(at, now) for at in self.times)


def _binned(times: Iterable[float]) -> list[list[float]]:
    """[latest time, number] for each minute: never earlier than it was, and short."""
    bins: dict[int, list[float]] = {}
    for at in times:  # ascending
        number = int(at // _BIN)
        bins[number] = [at, bins.get(number, [at, 0])[1] + 1]
    return list(bins.values())
