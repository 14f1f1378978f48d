"""GET from the Freesound API and its CDN: with permits, retries and credentials, in that order.

A transient failure (timeouts, broken connections, 5xx, pages in place of JSON) is tried again a few times
and then raised as TransientError; what a person must fix is a UsageError; a wait longer than `max_wait_s` is
Later. The credential goes to the API's own address only: a redirect elsewhere is followed without it.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urljoin

import requests

from sao_data.errors import Later, UsageError
from sao_data.fetch import downloads, wire
from sao_data.fetch.credentials import NO_KEY, NO_LOGIN
from sao_data.fetch.refusals import Refusal
from sao_data.fetch.wire import NotFound, Overloaded, Secret, Throttled, Timeouts, TransientError
from sao_data.fetch.workspace import Credentials, PermitsLike

__all__ = ["NotFound", "Overloaded", "Response", "Timeouts", "TransientError", "Web"]

Auth = Literal["token", "oauth", "none"]
T = TypeVar("T")
log = logging.getLogger(__name__)

_MAX_JSON = 64 << 20  # bytes; a page of 150 sounds with every field is below 2 MB
_MAX_REFUSAL = 64 << 10  # bytes
_MAX_HOPS = 5
_MAX_THROTTLED = 10  # times in a row; each has waited for its window
_MAX_OVERLOADED = 2  # a query that is too heavy stays so
_LONGEST_PAUSE = 60.0  # s, between two attempts
_SAY_FROM = 5.0  # s; shorter waits are not worth a line
_TIMEOUTS = Timeouts()
_GOOD = (200, 206, 416)  # 416: the resumption was wrong; downloads.py starts anew
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A JSON answer of the API."""

    status: int
    json: Any
    body: bytes  # as received, decompressed
    url: str  # as sent; there is never a secret in it
    retrieved_at: str  # "2026-08-01T12:00:00Z"


class Web:
    """Asks for one thing at a time. Make it where it is used: it holds a connection pool."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None,
        permits: PermitsLike,
        *,
        user_agent: str,
        timeouts: Timeouts = _TIMEOUTS,
        attempts: int = 5,
        max_wait_s: float = 300.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.base = wire.checked_base(base_url)
        self.timeouts, self.clock = timeouts, clock
        self._credentials, self._permits = credentials, permits
        self._attempts, self._max_wait_s = attempts, max_wait_s
        self._sleep, self._rng = sleep, rng or random.SystemRandom()
        self._pool = wire.session(user_agent)

    def get_json(
        self, path_or_url: str, params: Sequence[tuple[str, str]] = (), *, auth: Auth = "token"
    ) -> Response:
        """An answer of the API. Raises NotFound, Overloaded, other TransientError, UsageError, Stopped."""
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params)
        url = urljoin(self.base, path_or_url) + ("?" + query if query else "")
        return self.retry(lambda: self._json(url, auth))

    def download(
        self, url: str, partial: Path, *, expected_bytes: int | None, auth: Literal["oauth", "none"]
    ) -> None:
        """Fetch a file to `partial`, going on from what is there already. See downloads.py."""
        downloads.download(self, _joined(self.base, url), partial, expected_bytes=expected_bytes, auth=auth)

    def retry(self, once: Callable[[], T]) -> T:
        """Try again after a transient failure, each time a little later; anything else passes through."""
        num_throttled = num_overloaded = num_failed = 0
        last: TransientError
        while True:
            try:
                return once()
            except Throttled as error:
                num_throttled, last, pause = num_throttled + 1, error, 0.0
            except Overloaded as error:
                num_overloaded, last = num_overloaded + 1, error
                pause = self._pause(num_overloaded)
                if num_overloaded == _MAX_OVERLOADED:
                    raise
            except TransientError as error:
                num_failed, last = num_failed + 1, error
                pause = self._pause(num_failed)
            if num_failed == self._attempts or num_throttled == _MAX_THROTTLED:
                num = num_failed + num_throttled + num_overloaded
                raise TransientError(f"freesound: {last} ({num} attempts); check the network and run again")
            log.info("freesound: %s; trying again", last)
            if last.after > pause:
                self._wait(last.after, "the server asks to be left alone")
            else:
                self._sleep(pause)

    def opened(
        self, url: str, auth: Auth, headers: Mapping[str, str] | None = None, *, may_leave: bool
    ) -> requests.Response:
        """One attempt: an answer of 200, 206 or 416 with its body still to be read. `may_leave`: also from
        where the API redirects to, without the credential."""
        if auth != "none" and not self.is_api(url):
            raise UsageError(f"freesound: the credential is not sent to {wire.cleaned(wire.host(url))!r}")
        for _ in range(_MAX_HOPS):
            response = self._sent(wire.checked_url(url, self.base), auth, headers)
            if response.status_code not in _REDIRECTS:
                return response
            with response:
                url = _joined(url, response.headers.get("Location", ""))
            if not self.is_api(url):
                auth = "none"
                if not may_leave:
                    raise TransientError(
                        f"{wire.host(self.base)}: redirected to {wire.cleaned(wire.host(url))!r}"
                    )
        raise TransientError(f"{wire.host(url)}: more than {_MAX_HOPS} redirects")

    def is_api(self, url: str) -> bool:
        """Does this URL lie below the API's base?"""
        return url.startswith(self.base)

    def _json(self, url: str, auth: Auth) -> Response:
        with closing(self.opened(url, auth, may_leave=False)) as response:
            retrieved_at = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            body = wire.body(response, self.timeouts, self.clock, max_bytes=_MAX_JSON)
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if response.status_code != 200 or not isinstance(value, dict | list):
            raise TransientError(f"{wire.host(url)}: a page in place of JSON")
        return Response(status=200, json=value, body=body, url=url, retrieved_at=retrieved_at)

    def _sent(self, url: str, auth: Auth, headers: Mapping[str, str] | None) -> requests.Response:
        """One hop. A stale login is renewed once; what is neither good nor a redirect is raised."""
        secret = self._secret(auth)
        response = self._hop(url, secret, headers)
        refusal = self._refusal(response, secret)
        if refusal and refusal.is_stale_login and auth == "oauth" and self._credentials and secret:
            secret = Secret("Bearer", self._credentials.expired(secret.value))
            response = self._hop(url, secret, headers)
            refusal = self._refusal(response, secret)
        if refusal:
            raise self._raised(refusal, response)
        return response

    def _hop(self, url: str, secret: Secret | None, headers: Mapping[str, str] | None) -> requests.Response:
        if self.is_api(url):
            self._permit()
        return wire.send(self._pool, "GET", url, secret=secret, headers=headers, timeouts=self.timeouts)

    def _secret(self, auth: Auth) -> Secret | None:
        if auth == "none":
            return None
        if self._credentials is None:
            raise UsageError(NO_KEY if auth == "token" else NO_LOGIN)
        if auth == "token":
            return Secret("Token", self._credentials.key())
        return Secret("Bearer", self._credentials.bearer())

    def _refusal(self, response: requests.Response, secret: Secret | None) -> Refusal | None:
        """What was answered in place of the thing asked for; None if nothing was."""
        if response.status_code in (*_GOOD, *_REDIRECTS):
            return None
        with response:
            return Refusal(
                status=response.status_code,
                where=wire.cleaned(response.url.partition("://")[2].partition("?")[0]),
                is_api=self.is_api(response.url),
                body=wire.body(response, self.timeouts, self.clock, max_bytes=_MAX_REFUSAL),
                challenge=response.headers.get("WWW-Authenticate", ""),
                secret=secret.value if secret else "",
            )

    def _raised(self, refusal: Refusal, response: requests.Response) -> Exception:
        if refusal.status == 429 and refusal.is_api:
            self._permits.report_refusal(refusal.detail)
        error = refusal.error()
        if isinstance(error, TransientError):
            error.after = wire.retry_after(response, self.clock())
        return error

    def _permit(self) -> None:
        while (wait := self._permits.ask()) > 0:
            self._wait(wait, f"the quota is used up ({self._permits.why()})")

    def _wait(self, seconds: float, why: str) -> None:
        """Sleep; Later where that would take too long."""
        if seconds > self._max_wait_s:
            at = datetime.fromtimestamp(self.clock() + seconds, UTC).strftime("%Y-%m-%dT%H:%MZ")
            raise Later(f"freesound: {why}; the next request is possible at {at}; run the same command then")
        if seconds >= _SAY_FROM:
            log.info("freesound: %s; waiting %.0f s", why, seconds)
        self._sleep(seconds)

    def _pause(self, num: int) -> float:
        """Before attempt `num` + 1: 1, 2, 4 … s, less up to a half of it at random."""
        return min(_LONGEST_PAUSE, 2.0 ** (num - 1)) * self._rng.uniform(0.5, 1.0)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:  # not a URL at all: vetting will say so
        return location
