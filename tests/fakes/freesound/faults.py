"""The failure menu: what can go wrong with one request, by chance or by script, the same in every run.

    front   reset, hang, bad_gateway, unavailable, gateway_timeout, canned: the API is never reached
    api     throttled_minute, throttled_day, expired_bearer, overloaded, search_down, server_error, gone
    body    truncated, reset_mid, wrong_md5, slow, html_200, empty_200, hostile_disposition, redirect_cdn

Whether a request fails depends on the seed, the rule, the method, the URL and how often that URL was asked
for before, never on the order in which threads arrive.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from tests.fakes.freesound import chance, reply
from tests.fakes.freesound.clock import Sleep
from tests.fakes.freesound.reply import Reply
from tests.fakes.freesound.throttle import LEVELS, too_many

ENDPOINTS = frozenset({
    "search", "sound", "analysis", "similar", "comments", "download", "user", "user_sounds", "user_packs",
    "pack", "pack_sounds", "pack_download", "me", "bookmarks", "bookmark_sounds", "authorize", "access_token",
    "permission_granted", "apiv1", "preview", "cdn_original", "redirect", "unknown",
})  # fmt: skip
FRONT = ("reset", "hang", "bad_gateway", "unavailable", "gateway_timeout", "canned")
API = (
    "throttled_minute", "throttled_day", "expired_bearer", "overloaded", "search_down", "server_error",
    "gone",
)  # fmt: skip
BODY = (
    "truncated", "reset_mid", "wrong_md5", "slow", "html_200", "empty_200", "hostile_disposition",
    "redirect_cdn",
)  # fmt: skip
OVERLOADED = "Search is overloaded, please try again later."
SEARCH_DOWN = "The search server could not be reached or some unexpected error occurred."
HOSTILE_NAMES = (
    'attachment; filename="../../../../tmp/evil.sh"',
    "attachment; filename=\"a.wav\"; filename*=UTF-8''..%2F..%2Fevil.sh",
    'attachment; filename="/etc/passwd"',
    'attachment; filename="C:\\\\windows\\\\CON.wav"',
    'attachment; filename="' + "a" * 5000 + '.wav"',
    'attachment; filename="\u00e9\u00fc.wav',
    "inline; filename=.bashrc",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of failure and when it strikes."""

    kind: str
    on: tuple[str, ...] = ()  # endpoints; none: all
    path: str = ""  # a regular expression that the path must contain
    share: float = 1.0  # of the requests
    requests: frozenset[int] = frozenset()  # or exactly these, counted within the endpoint from 1
    at_most: int = 2  # times for one URL, so that patience is rewarded; 0: no limit
    seconds: float = 0.1  # hang: how long; slow: before each piece
    piece: int = 1  # slow: bytes at a time
    reply: Reply | None = None  # canned: the answer


class Faults:
    """The rules in force. The first that strikes decides."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.struck: Counter[str] = Counter()  # by kind
        self._rules: list[Rule] = []
        self._asked: Counter[tuple[int, str]] = Counter()
        self._hits: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()

    def add(
        self,
        kind: str,
        *on: str,
        share: float = 1.0,
        requests: Collection[int] = (),
        at_most: int = 2,
        path: str = "",
        seconds: float = 0.1,
        piece: int = 1,
    ) -> None:
        """Let requests to these endpoints (none: to all) fail in this way."""
        assert kind in (*FRONT[:-1], *API, *BODY), kind
        assert {*on} <= ENDPOINTS, on
        numbers = frozenset(requests)
        rule = Rule(kind=kind, on=on, share=share, requests=numbers, at_most=at_most, path=path,
                    seconds=seconds, piece=piece)  # fmt: skip
        self._rules.append(rule)

    def answer(self, canned: Reply, *on: str, requests: Collection[int] = (), path: str = "") -> None:
        """Answer such requests with this reply, always."""
        assert {*on} <= ENDPOINTS, on
        self._rules.append(
            Rule(kind="canned", on=on, requests=frozenset(requests), path=path, at_most=0, reply=canned)
        )

    def clear(self) -> None:
        """Let everything work again."""
        with self._lock:
            self._rules.clear()
            self._asked.clear()
            self._hits.clear()

    def pick(self, endpoint: str, number: int, path: str, resource: str) -> Rule | None:
        """The rule that strikes this request: the number-th to its endpoint; `resource` is method and URL."""
        with self._lock:
            for place, rule in enumerate(self._rules):
                if (rule.on and endpoint not in rule.on) or not re.search(rule.path, path):
                    continue
                if self._strikes(place, rule, number, resource):
                    self.struck[rule.kind] += 1
                    return rule
        return None

    def _strikes(self, place: int, rule: Rule, number: int, resource: str) -> bool:
        if rule.requests:
            return number in rule.requests
        key = (place, resource)
        self._asked[key] += 1
        if rule.at_most and self._hits[key] >= rule.at_most:
            return False
        strikes = chance.share(self.seed, place, rule.kind, resource, self._asked[key]) < rule.share
        self._hits[key] += strikes
        return strikes


def in_front(rule: Rule, sleep: Sleep) -> Reply:
    """What a request gets that never reaches the API; ConnectionResetError where that is nothing."""
    match rule.kind:
        case "reset":
            raise ConnectionResetError("reset by the fake")
        case "hang":
            sleep(rule.seconds)
            raise ConnectionResetError("nothing came, then a reset by the fake")
        case "bad_gateway":
            return reply.html(502, "502 Bad Gateway", "nginx")
        case "unavailable":
            return reply.html(503, "503 Service Temporarily Unavailable", "nginx")
        case "gateway_timeout":
            return reply.html(504, "504 Gateway Time-out", "nginx")
    assert rule.reply is not None, rule
    return rule.reply


def in_api(rule: Rule, level: int) -> Reply:
    """An error of the API itself. `expired_bearer` is not among them: it really expires the token."""
    rates = LEVELS[level] or LEVELS[1]
    assert rates is not None
    details: dict[str, tuple[int, str]] = {
        "throttled_minute": (429, too_many(rates.minute, "minute")),
        "throttled_day": (429, too_many(rates.day, "day")),
        "overloaded": (500, OVERLOADED),
        "search_down": (500, SEARCH_DOWN),
        "server_error": (500, "Server error"),
        "gone": (404, "Not found"),
    }
    status, detail = details[rule.kind]
    return reply.as_json({"detail": detail}, status)


def in_body(rule: Rule, answer: Reply, resource: str, sleep: Sleep) -> Reply:
    """Spoil a good answer. Errors, redirects and empty bodies are left alone."""
    if answer.status not in (200, 206):
        return answer
    body = answer.read()
    spoil: dict[str, Callable[[], Reply]] = {
        "truncated": lambda: answer._replace(body=_half(body, cut=False)),
        "reset_mid": lambda: answer._replace(body=_half(body, cut=True)),
        "wrong_md5": lambda: answer._replace(body=_other(body, resource)),
        "slow": lambda: answer._replace(body=_slowly(body, rule, sleep)),
        "html_200": lambda: reply.html(200, "Freesound is down for maintenance"),
        "empty_200": lambda: reply.make(200, answer.headers["Content-Type"], b""),
        "hostile_disposition": lambda: _disposition(answer._replace(body=body), resource),
    }
    return spoil[rule.kind]() if rule.kind in spoil else answer._replace(body=body)


def _half(body: bytes, *, cut: bool) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    if cut:
        raise ConnectionResetError("reset by the fake in mid-body")


def _other(body: bytes, resource: str) -> bytes:
    """One bit is wrong, the length is right; where it is depends on the URL."""
    if not body:
        return body
    place = chance.number(resource) % len(body)
    return body[:place] + bytes([body[place] ^ 0x10]) + body[place + 1 :]


def _slowly(body: bytes, rule: Rule, sleep: Sleep) -> Iterator[bytes]:
    for start in range(0, len(body), rule.piece):
        sleep(rule.seconds)
        yield body[start : start + rule.piece]


def _disposition(answer: Reply, resource: str) -> Reply:
    name = HOSTILE_NAMES[chance.number(resource) % len(HOSTILE_NAMES)]
    return answer._replace(headers=answer.headers | {"Content-Disposition": name})
