"""One request on the wire: trickling bodies, odd headers, and failures in our own words."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3

from sao_data.fetch import wire
from sao_data.fetch.wire import Secret, Timeouts, TransientError
from tests.fakes.freesound import SimulatedClock


def trickle(clock: SimulatedClock, *, num: int, size: int, seconds: float) -> Any:
    """A response that hands out a piece of `size` bytes every so many seconds."""
    left = [bytes(size)] * num

    def read1(_: int, *, decode_content: bool) -> bytes:
        assert decode_content
        clock.advance(seconds)
        return left.pop() if left else b""

    return SimpleNamespace(raw=SimpleNamespace(read1=read1), url="https://freesound.org/x")


def test_a_body_that_trickles_is_given_up(clock: SimulatedClock) -> None:
    before = clock()
    with pytest.raises(TransientError, match="less than 1000 bytes/s"):
        wire.body(trickle(clock, num=10_000, size=1, seconds=0.1), Timeouts(), clock, max_bytes=10**6)
    assert clock() - before == pytest.approx(30, abs=0.2)


def test_a_large_body_may_take_its_time(clock: SimulatedClock) -> None:
    slow = trickle(clock, num=500, size=2_000, seconds=1)
    assert len(wire.body(slow, Timeouts(), clock, max_bytes=10**6)) == 10**6


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("", 0), ("7", 7), (" 7 ", 7), ("-1", 0), ("soon", 0), ("1e9", 0), ("Sat, 25 Jul 2026 17:20:09 GMT", 9)],
)
def test_a_pause_is_read_as_a_number_or_a_date(value: str, seconds: float) -> None:
    response = requests.Response()
    response.headers["Retry-After"] = value
    assert wire.retry_after(response, 1_785_000_000.0) == seconds


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.InvalidHeader("Invalid header value: 'Token SECRET'"), "InvalidHeader"),
        (
            requests.ConnectionError(urllib3.exceptions.ProtocolError("SECRET", OSError())),
            "the connection broke",
        ),
        (requests.ConnectionError("SECRET"), "ConnectionError"),
        (requests.exceptions.SSLError(SimpleNamespace(reason="SECRET")), "no trusted TLS connection"),
        (urllib3.exceptions.IncompleteRead(1, 2), "the answer broke off"),
        (requests.RequestException(), "RequestException"),
    ],
)
def test_failures_are_told_by_their_kind_alone(error: Exception, words: str) -> None:
    assert wire._words(error) == words


def test_a_secret_neither_shows_nor_travels() -> None:
    secret = Secret("Token", "SECRET-canary")
    assert "canary" not in repr(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
