"""Time as the fake sees it: the machine's, or a simulated one that moves only when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable

Clock = Callable[[], float]  # seconds since 1970-01-01 UTC
Sleep = Callable[[float], None]


class SimulatedClock:
    """Call it for the time; `sleep` and `advance` move it at once, from any thread."""

    def __init__(self, start: float = 1_785_000_000.0) -> None:  # 2026-07-25T17:20:00Z
        self._now = start
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds >= 0, seconds
        with self._lock:
            self._now += seconds

    sleep = advance
