"""The two sliding windows that the server keeps per API credential."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

MINUTE, DAY = 60.0, 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a minute and a day."""

    minute: int
    day: int


# Throttling level of a credential → rates of the basic endpoints, downloads included. 99: no limit.
LEVELS: dict[int, Rates | None] = {
    0: Rates(0, 0),
    1: Rates(60, 2_000),
    2: Rates(300, 5_000),
    3: Rates(300, 15_000),
    99: None,
}
SUSPENDED = "Request was throttled because the ApiV2 credential has been suspended"


class Throttle:
    """Counts what it lets pass. A request that the day rejects has used up its place in the minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, float], deque[float]] = {}

    def refusal(self, client_id: str, level: int, now: float) -> str | None:
        """Why the request is refused; None lets it pass."""
        rates = LEVELS[level]
        if rates is None:
            return None
        with self._lock:
            for seconds, limit, name in ((MINUTE, rates.minute, "minute"), (DAY, rates.day, "day")):
                window = self._windows.setdefault((client_id, seconds), deque())
                while window and window[0] <= now - seconds:
                    window.popleft()
                if len(window) >= limit:
                    return SUSPENDED if level == 0 else too_many(limit, name)
                window.append(now)
        return None

    def used(self, client_id: str) -> tuple[int, int]:
        """Places taken in the minute and in the day, as of the last request."""
        with self._lock:
            minute, day = (len(self._windows.get((client_id, each), ())) for each in (MINUTE, DAY))
            return minute, day

    def spend(self, client_id: str, num: int, at: float) -> None:
        """Fill the day's window, as if `num` requests had passed at that time."""
        with self._lock:
            window = self._windows.setdefault((client_id, DAY), deque())
            window.extend([at] * num)


def too_many(limit: int, name: str) -> str:
    """The detail of a 429; its rate tells the client which window is full."""
    return f"Request was throttled because of exceeding a request limit rate ({limit}/{name})"
