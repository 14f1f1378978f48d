"""Permits: never over the server's windows, whatever happens; close to the permitted rate all the same."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.permits import TARGET, simulate
from sao_data.fetch.permits import LEVELS, Permits, QuotaWindows
from sao_data.storage.backend import LocalStorage
from tests.fakes.freesound import SimulatedClock
from tests.fakes.freesound.throttle import LEVELS as SERVER_LEVELS
from tests.fakes.freesound.throttle import Rates, Throttle, too_many

GUARD = 1.0  # s that a request may travel


class Memory:
    """As much of a Storage as permits need."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.num_writes = 0

    def exists(self, name: str) -> bool:
        return name in self.files

    def read(self, name: str) -> bytes:
        return self.files[name]

    def write(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.num_writes += 1


def taken(permits: Permits) -> int:
    """How many permits are given without waiting."""
    num = 0
    while permits.ask() == 0.0:
        num += 1
    return num


def test_the_server_and_we_know_the_same_levels() -> None:
    for level, rates in SERVER_LEVELS.items():
        ours = LEVELS[level]
        assert (ours and (ours.per_minute, ours.per_day)) == (rates and (rates.minute, rates.day))


def test_a_minute_is_used_up_and_comes_back(clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(), None, "", clock)
    assert taken(permits) == 60
    assert permits.ask() == pytest.approx(60 + GUARD)
    assert permits.why() == "60/minute"
    assert permits.next_at() == clock() + 60 + GUARD
    assert permits.used() == (60, 60)
    clock.advance(60.9)
    assert permits.ask() == pytest.approx(0.1)
    clock.advance(0.1)
    assert taken(permits) == 60


def test_the_window_slides(clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(per_minute=2), None, "", clock)
    assert permits.ask() == 0.0
    clock.advance(30)
    assert permits.ask() == 0.0
    assert permits.ask() == pytest.approx(31)
    clock.advance(31)
    assert taken(permits) == 1
    assert permits.ask() == pytest.approx(30)


def test_the_day_is_kept_over_a_restart(clock: SimulatedClock, tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    windows = QuotaWindows(per_minute=50, per_day=50)
    first = Permits(windows, storage, "work/permits.json", clock)
    assert [first.ask() for _ in range(30)] == [0.0] * 30
    clock.advance(100)
    again = Permits(windows, storage, "work/permits.json", clock)
    assert taken(again) <= 20
    assert again.why() == "50/day"
    assert 86_400 - 110 < again.ask() <= 86_401
    clock.advance(86_402)
    assert 30 <= taken(Permits(windows, storage, "work/permits.json", clock)) <= 50


def test_a_crash_wastes_at_most_what_was_reserved(clock: SimulatedClock) -> None:
    memory, windows = Memory(), QuotaWindows(per_minute=1000, per_day=1000)
    assert [Permits(windows, memory, "p", clock).ask() for _ in range(3)] == [0.0] * 3
    assert Permits(windows, memory, "p", clock).used()[1] == 3  # one by one at first
    long = Permits(windows, memory, "p", clock)
    for _ in range(300):
        assert long.ask() == 0.0
    assert 303 <= Permits(windows, memory, "p", clock).used()[1] < 303 + 20
    assert memory.num_writes < 30


def test_a_day_is_one_small_file(clock: SimulatedClock) -> None:
    memory, windows = Memory(), QuotaWindows(per_minute=300, per_day=15_000)
    permits = Permits(windows, memory, "p", clock)
    for _ in range(4_000):
        clock.advance(20)
        assert permits.ask() == 0.0
    assert len(memory.files["p"]) < 60_000
    assert 4_000 <= Permits(windows, memory, "p", clock).used()[1] < 4_020


def test_what_was_given_is_never_remembered_as_earlier(clock: SimulatedClock) -> None:
    memory, windows, start = Memory(), QuotaWindows(per_day=3), clock()
    start += 60 - start % 60  # the beginning of a bin
    permits = Permits(windows, memory, "p", clock)
    for second in (10, 50, 200):  # the third writes the first two down
        clock.advance(start + second - clock())
        assert permits.ask() == 0.0
    clock.advance(start + 86_401 + 49 - clock())
    assert Permits(windows, memory, "p", clock).used()[1] == 3


def test_a_refused_minute_is_waited_out_from_the_oldest_permit(clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(), None, "", clock)
    assert permits.ask() == 0.0
    clock.advance(20)
    permits.report_refusal(too_many(60, "minute"))  # somebody else uses the key
    assert permits.ask() == pytest.approx(41)
    clock.advance(41)
    assert taken(permits) == 1


def test_a_lower_rate_is_learnt_and_a_higher_one_is_not(clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(), None, "", clock)
    permits.report_refusal(too_many(10, "minute"))
    clock.advance(62)
    assert taken(permits) == 10
    permits.report_refusal(too_many(300, "minute"))
    clock.advance(62)
    assert taken(permits) == 10
    permits.report_refusal(too_many(15, "day"))
    assert permits.why() == "15/day"


def test_a_full_day_is_tried_once_each_quarter_of_an_hour(clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(), None, "", clock)
    assert permits.ask() == 0.0
    for _ in range(3):
        permits.report_refusal(too_many(2000, "day"))
        assert permits.why() == "2000/day"
        assert permits.ask() == pytest.approx(900)
        clock.advance(900)
        assert taken(permits) == 1  # nobody else before the answer is known
    clock.advance(60)
    assert taken(permits) == 59


def test_what_else_a_429_may_say(clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(), None, "", clock)
    permits.report_refusal("Request was throttled because the ApiV2 credential has been suspended")
    assert permits.why() == "suspended"
    assert permits.ask() == pytest.approx(900)
    other = Permits(LEVELS[99], None, "", clock)
    assert taken_of_many(other) == 500
    other.report_refusal("<html>slow down</html>")
    assert other.ask() == pytest.approx(61)


def taken_of_many(permits: Permits) -> int:
    return sum(permits.ask() == 0.0 for _ in range(500))


def test_a_suspended_level_gives_nothing(clock: SimulatedClock) -> None:
    assert Permits(LEVELS[0], None, "", clock).ask() > 300


def test_a_limit_is_learnt_where_none_was_known(clock: SimulatedClock) -> None:
    permits = Permits(None, None, "", clock)
    permits.report_refusal(too_many(60, "minute"))
    clock.advance(62)
    assert taken(permits) == 60


@pytest.mark.parametrize("text", ["", "{", "[]", '{"given": [["x", 1]], "reserved": 0}', '{"given": 3}'])
def test_a_damaged_state_is_no_state(
    clock: SimulatedClock, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory()
    memory.files["p"] = text.encode()
    assert Permits(QuotaWindows(), memory, "p", clock).used() == (0, 0)
    assert "unreadable" in caplog.text


def test_a_clock_set_back_closes_nothing_for_ever(clock: SimulatedClock) -> None:
    memory = Memory()
    ahead = SimulatedClock(clock() + 10 * 365 * 86_400)
    assert taken(Permits(QuotaWindows(), memory, "p", ahead)) == 60
    permits = Permits(QuotaWindows(), memory, "p", clock)
    assert 60 <= permits.ask() <= 61
    clock.advance(61)
    assert permits.ask() == 0.0


def test_a_disk_that_takes_nothing_gives_no_permit(clock: SimulatedClock) -> None:
    class Full(Memory):
        def write(self, name: str, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    permits = Permits(QuotaWindows(), Full(), "p", clock)
    with pytest.raises(OSError, match="No space"):
        permits.ask()
    assert permits.used() == (0, 0)


def test_threads_share_one_minute(clock: SimulatedClock) -> None:
    permits = Permits(QuotaWindows(), Memory(), "p", clock)
    given_out: list[int] = []
    threads = [threading.Thread(target=lambda: given_out.append(taken(permits))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(given_out) == 60


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("is_day_nearly_full", [False, True])
def test_the_permitted_rate_is_used_and_not_exceeded(level: int, is_day_nearly_full: bool) -> None:
    windows = LEVELS[level]
    assert windows
    earlier = windows.per_day - 100 if is_day_nearly_full else 0
    found = simulate(level, num_files=300, num_workers=8, num_earlier=earlier)
    assert (found.num_passed, found.num_refused) == (300, 0)
    assert found.share >= (
        TARGET if is_day_nearly_full or level == 1 else 0.8
    )  # one window: nothing to wait for


STEP = st.one_of(
    st.tuples(st.just("ask"), st.floats(0, GUARD, exclude_max=True)),
    st.tuples(st.just("ask"), st.floats(0, GUARD, exclude_max=True)),
    st.tuples(st.just("wait"), st.floats(0, 1)),
    st.tuples(st.just("advance"), st.floats(0, 100)),
    st.tuples(st.just("advance"), st.floats(0, 90_000)),
    st.tuples(
        st.just("told"),
        st.sampled_from([too_many(4, "minute"), too_many(10, "day"), "?", too_many(99, "day")]),
    ),
    st.tuples(st.just("crash"), st.floats(0, 30)),
)


@settings(max_examples=100)
@given(st.lists(STEP, min_size=30, max_size=120), st.integers(1, 5), st.integers(1, 12))
def test_no_interleaving_exceeds_a_window_as_the_server_counts_it(
    steps: list[tuple[str, float | str]], per_minute: int, per_day: int
) -> None:
    clock, memory, windows = SimulatedClock(), Memory(), QuotaWindows(per_minute=per_minute, per_day=per_day)
    permits, arrivals = Permits(windows, memory, "p", clock), []
    for what, value in steps:
        if what == "told":
            permits.report_refusal(str(value))
        elif what == "advance":
            clock.advance(float(value))
        elif what == "wait":  # until the very instant that was promised, or a part of it
            clock.advance(
                max(0.0, permits.next_at() - clock()) * (1.0 if float(value) > 0.3 else float(value))
            )
        elif what == "crash":
            clock.advance(float(value))
            permits = Permits(windows, memory, "p", clock)
        elif permits.ask() == 0.0:
            arrivals.append(clock() + float(value))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SERVER_LEVELS, 7, Rates(per_minute, per_day))
        server = Throttle()
        assert [server.refusal("c", 7, at) for at in sorted(arrivals)] == [None] * len(arrivals)


def test_the_state_has_no_secret_and_no_clock_but_the_given_one(clock: SimulatedClock) -> None:
    memory = Memory()
    assert Permits(QuotaWindows(), memory, "p", clock).ask() == 0.0
    assert json.loads(memory.files["p"]) == {"format": 1, "given": [], "reserved": 1}
