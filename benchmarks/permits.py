#!/usr/bin/env python3
"""Is the permitted request rate kept, and is it used? Workers against the fake server's throttle.

Time is simulated: each worker asks for a permit, sends its request (which arrives up to a second later), and
asks again when it has the answer. Counted: requests that the server refuses (there must be none), and the
share of the permitted rate that is used: the time that the same workers would take if they knew the server's
windows to the instant, over the time taken.

    benchmarks/permits.py [--files 2000] [--workers 8]
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from sao_data.fetch.permits import LEVELS, Permits, QuotaWindows
from tests.fakes.freesound.throttle import DAY, MINUTE, Throttle

TARGET = 0.95
CLIENT = "benchmark"
TRAVEL = (0.02, 0.95)  # s from the permit to the server
ANSWER = (0.05, 0.5)  # s from the server to the next question


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run came to."""

    num_passed: int
    num_refused: int
    seconds: float  # simulated
    ideal_seconds: float

    @property
    def share(self) -> float:
        """Of the permitted rate."""
        return self.ideal_seconds / self.seconds if self.seconds else 1.0


@dataclass(slots=True)
class Clock:
    """Simulated seconds."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(level: int, *, num_files: int, num_workers: int, num_earlier: int = 0, seed: int = 1) -> Outcome:
    """Fetch files; `num_earlier` requests (a listing, say) have passed an hour before."""
    windows = LEVELS[level]
    assert windows is not None, level
    clock, throttle, rng = Clock(), Throttle(), random.Random(seed)
    permits = Permits(windows, None, "", clock)
    earlier = _spend(permits, throttle, clock, num_earlier, windows.per_minute)
    start = clock.now = clock.now + 3600.0
    events = [(start + rng.random(), number, "ask") for number in range(num_workers)]
    heapq.heapify(events)
    num_asked = num_passed = num_refused = 0
    while events:
        clock.now, worker, what = heapq.heappop(events)
        if what == "arrive":
            refusal = throttle.refusal(CLIENT, level, clock.now)
            num_passed, num_refused = num_passed + (refusal is None), num_refused + (refusal is not None)
            heapq.heappush(events, (clock.now + rng.uniform(*ANSWER), worker, "ask"))
        elif num_asked < num_files:
            wait = permits.ask()
            num_asked += wait == 0
            event = (clock.now + (wait or rng.uniform(*TRAVEL)), worker, "ask" if wait else "arrive")
            heapq.heappush(events, event)
        last = clock.now
    spacing = (sum(TRAVEL) + sum(ANSWER)) / 2 / num_workers
    ideal = ideal_end(earlier, start, num_files, spacing, windows)
    return Outcome(
        num_passed=num_passed, num_refused=num_refused, seconds=last - start, ideal_seconds=ideal - start
    )


def ideal_end(earlier: list[float], start: float, num: int, spacing: float, windows: QuotaWindows) -> float:
    """When the last of `num` requests passes at the earliest: by the windows, and one each `spacing` s."""
    times = list(earlier)
    for _ in range(num):
        at = max(start, times[-1] + spacing if times else start)
        if len(times) >= windows.per_minute:
            at = max(at, times[-windows.per_minute] + MINUTE)
        if len(times) >= windows.per_day:
            at = max(at, times[-windows.per_day] + DAY)
        times.append(at)
    return times[-1]


def _spend(permits: Permits, throttle: Throttle, clock: Clock, num: int, per_minute: int) -> list[float]:
    """Let earlier requests pass, evenly; when they did."""
    times = []
    for _ in range(num):
        clock.now += 1.05 * 61.0 / per_minute
        assert permits.ask() == 0.0, clock.now
        throttle.spend(CLIENT, 1, clock.now)
        times.append(clock.now)
    return times


def main() -> int:
    """Print a line per level; 1 if a window was exceeded or the target missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()
    good = True
    sys.stdout.write("level  earlier  files  refused  simulated h   ideal h  rate used  CPU s\n")
    for level, windows in LEVELS.items():
        if windows is None or not windows.per_day:
            continue
        for earlier in (0, windows.per_day - options.files // 2):  # … and with half a day's window left
            began = time.process_time()
            found = simulate(level, num_files=options.files, num_workers=options.workers, num_earlier=earlier)
            spent = time.process_time() - began
            good = good and not found.num_refused and found.share >= TARGET
            sys.stdout.write(
                f"{level:5d} {earlier:8,d} {options.files:6,d} {found.num_refused:8,d} "
                f"{found.seconds / 3600:12.3f} {found.ideal_seconds / 3600:9.3f} "
                f"{found.share:10.2%} {spent:6.2f}\n"
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
