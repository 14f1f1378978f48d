"""AcoustID: what is sent, what is understood, what is tried again, and that the key stays inside."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable

import pytest

from sao_data.errors import Stopped, UsageError
from sao_data.screening import acoustid
from sao_data.screening.acoustid import AcoustId, form, hits_of
from tests.fakes import acoustid_server as fake


class Time:
    """A clock that sleeping moves, and nothing else."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []
        self.when_slept: Callable[[], None] = lambda: None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        self.when_slept()


def client(url: str, timeout: float = 600.0) -> tuple[AcoustId, Time]:
    time = Time()
    return AcoustId(url, fake.KEY, timeout=timeout, clock=time.clock, sleep=time.sleep), time


FOUND = fake.ok(fake.result(0.9501, fake.recording("Song", "A", "B")))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_lookup_sends_key_duration_and_fingerprint_in_the_body_only() -> None:
    with fake.running(FOUND) as server:
        client(server.url)[0].lookup(form("AQAD_x-y", 215))
    (request,) = server.requests
    assert (request.pop("client"), request.pop("format")) == (fake.KEY, "json")
    assert request == {"duration": "215", "fingerprint": "AQAD_x-y", "meta": "recordings"}
    assert server.paths == ["/v2/lookup"]


def test_the_key_is_not_in_the_form_that_is_kept() -> None:
    assert form("AQAD", 215) == "duration=215&fingerprint=AQAD&meta=recordings"


def test_hits_have_title_artists_score_and_id_best_first() -> None:
    answer = fake.ok(
        fake.result(0.4, fake.recording("Too far", "X")),
        fake.result(0.51234, fake.recording("Other", "C", own_id="mbid-2"), track="t2"),
        fake.result(0.9501, fake.recording("Song", "A", "B")),
    )
    hits, refusal = hits_of(answer.body.encode(), 0.5)
    assert not refusal
    assert [(hit.title, hit.artist, hit.score, hit.reference) for hit in hits] == [
        ("Song", "A; B", 0.95, "mbid-1"),
        ("Other", "C", 0.512, "mbid-2"),
    ]


def test_a_sound_that_is_known_but_unnamed_is_a_hit() -> None:
    hits, _ = hits_of(fake.ok(fake.result(0.99, track="t9")).body.encode(), 0.5)
    assert [(hit.title, hit.artist, hit.reference) for hit in hits] == [("", "", "t9")]


def test_no_result_is_no_hit() -> None:
    assert hits_of(fake.ok().body.encode(), 0.5) == ((), "")


@pytest.mark.parametrize("trouble", [fake.RATE_LIMITED, fake.INTERNAL, fake.BAD_GATEWAY], ids=str)
def test_a_transient_failure_is_tried_again(trouble: fake.Answer) -> None:
    with fake.running(trouble, trouble, FOUND) as server:
        lookup, time = client(server.url)
        assert json.loads(lookup.lookup(form("AQAD", 1)))["status"] == "ok"
    assert time.sleeps == [1.0, 2.0]
    assert len(server.requests) == 3


def test_a_failure_that_stays_stops_the_run() -> None:
    with fake.running(fake.RATE_LIMITED) as server:
        lookup, time = client(server.url)
        with pytest.raises(
            Stopped, match=r"rate limit exceeded \(error 14\); tried 5 times; .* run the same"
        ):
            lookup.lookup(form("AQAD", 1))
    assert time.sleeps == [1.0, 2.0, 4.0, 8.0]


def test_a_service_that_does_not_answer_is_transient() -> None:
    with fake.running(fake.SLOW, FOUND) as server:
        lookup, time = client(server.url, timeout=0.2)
        time.when_slept = lambda: setattr(lookup, "_timeout", 600.0)  # the second answer comes when it comes
        lookup.lookup(form("AQAD", 1))
    assert time.sleeps == [1.0]


def test_a_service_that_is_not_there_is_transient() -> None:
    with fake.running(FOUND) as server:
        pass
    with pytest.raises(Stopped, match="no answer"):
        client(server.url)[0].lookup(form("AQAD", 1))


def test_a_wrong_key_says_what_to_do_and_does_not_repeat_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with fake.running(fake.WRONG_KEY) as server, pytest.raises(UsageError) as caught:
        client(server.url)[0].lookup(form("AQAD", 1))
    assert "invalid API key [key] (error 4); ACOUSTID_KEY must hold" in str(caught.value)
    assert len(server.requests) == 1
    assert fake.KEY not in caplog.text


def test_the_key_is_cut_out_of_a_response_that_repeats_it() -> None:
    with fake.running(fake.ok(fake.result(1.0, fake.recording(fake.KEY)))) as server:
        response = client(server.url)[0].lookup(form("AQAD", 1))
    assert fake.KEY.encode() not in response
    assert b"[key]" in response


def test_no_log_line_holds_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with fake.running(fake.error(5, f"boom {fake.KEY}", 500), FOUND) as server:
        client(server.url)[0].lookup(form("AQAD", 1))
    assert "boom [key]" in caplog.text
    assert fake.KEY not in caplog.text


def test_a_refused_fingerprint_is_an_answer() -> None:
    with fake.running(fake.error(3, "invalid fingerprint")) as server:
        response = client(server.url)[0].lookup(form("AQAD", 1))
    assert hits_of(response, 0.5) == ((), "acoustid: invalid fingerprint (error 3)")


def test_a_redirect_is_not_followed() -> None:
    with fake.running(FOUND) as other:
        away = fake.Answer(status=302, location=other.url)
        with fake.running(away) as server, pytest.raises(UsageError, match=r"leads elsewhere \(302\)"):
            client(server.url)[0].lookup(form("AQAD", 1))
        assert other.requests == []


def test_an_address_that_is_no_lookup_is_a_usage_error() -> None:
    with (
        fake.running(fake.Answer(status=404, body="nothing here")) as server,
        pytest.raises(UsageError, match="not found"),
    ):
        client(server.url)[0].lookup(form("AQAD", 1))
    with (
        fake.running(fake.error(2, "missing required parameter")) as server,
        pytest.raises(UsageError, match=r"is .* the lookup address"),
    ):
        client(server.url)[0].lookup(form("AQAD", 1))


def test_requests_are_a_third_of_a_second_apart() -> None:
    with fake.running(FOUND) as server:
        lookup, time = client(server.url)
        starts = []
        for _ in range(4):
            lookup.lookup(form("AQAD", 1))
            starts.append(time.now)
        time.now += 60  # after a pause there is no burst to make up for it
        for _ in range(3):
            lookup.lookup(form("AQAD", 1))
            starts.append(time.now)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert all(gap >= 1 / 3 - 1e-9 for gap in gaps)


@pytest.mark.parametrize(
    "url",
    ["http://api.acoustid.org/v2/lookup", "ftp://x/y", "api.acoustid.org", "https://a.org/x?client=k", "https://u:p@a.org/x"],
)  # fmt: skip
def test_an_address_to_which_the_key_must_not_go_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"screening\.acoustid_url"):
        AcoustId(url, fake.KEY)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACOUSTID_KEY", " k ")
    assert acoustid.key_from_environment() == "k"
    monkeypatch.delenv("ACOUSTID_KEY")
    with pytest.raises(UsageError, match=r"set ACOUSTID_KEY .*dry-run"):
        acoustid.key_from_environment()
