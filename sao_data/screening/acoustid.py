"""AcoustID: known recordings by acoustic fingerprint. The open stand-in for the paper's Audible Magic (2.2).

Checked 2026-11-22 against the server's code and descriptions of the service (https://acoustid.org/webservice):

- Terms: free for non-commercial use, at most 3 requests a second; commercial use needs a plan (acoustid.biz).
  One key per application (https://acoustid.org/new-application).
- What is sent: duration and fingerprint of a recording, and the key, as a POST form: no title, no audio.
- What comes back: recordings of MusicBrainz with a score. Being known is not being copyrighted: openly
  licensed music is in there too.
- It compares whole recordings: music in the background of a field recording will mostly not be found.

Timeouts, 5xx, pages that are no JSON and the rate limit (error 14) are transient: tried again, then Stopped.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from sao_data import __version__
from sao_data.errors import Stopped, UsageError
from sao_data.screening.rows import Hit

KEY = "ACOUSTID_KEY"

_REQUESTS_PER_SECOND = 3  # the free plan's limit
_WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds between tries
_MAX_BYTES = 4_000_000  # of a response; they are some kilobytes
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_INVALID_FINGERPRINT, _INVALID_KEY = 3, 4
_NOT_ALLOWED = (_INVALID_KEY, 12, 17)  # invalid key, not allowed, unknown application
_BAD_REQUEST = (1, 2, 7, 8, 9, 10, 11)  # format, parameter, …: an address that is not the lookup's

Clock = Callable[[], float]
Sleep = Callable[[float], None]

log = logging.getLogger(__name__)


class _TransientError(Exception):
    """A failure that another try may fix."""


def key_from_environment() -> str:
    """The application's key; UsageError says where to get one."""
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise UsageError(
            f"acoustid: no key; set {KEY} (https://acoustid.org/new-application), "
            'or choose screening.provider = "dry-run", which sends nothing'
        )
    return key


def check_url(url: str) -> None:
    """Raise UsageError unless the key may be sent there: https, or this machine."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.query or parts.username:
        raise UsageError(f"screening.acoustid_url {url!r}: want https://host/path; the key is sent there")


def host_of(url: str) -> str:
    """Host and port, for the audit."""
    return urlsplit(url).netloc


def form(fingerprint: str, seconds: int) -> str:
    """The form of a lookup without the key."""
    return urlencode({"duration": seconds, "fingerprint": fingerprint, "meta": "recordings"})


class AcoustId:
    """Asks one question at a time, three a second at most."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        check_url(url)
        self._url, self._key, self._timeout = url, key, timeout
        self._clock, self._sleep = clock, sleep
        self._next = clock()  # when the next request may start
        self._opener = urllib.request.build_opener(_NoRedirect())

    def lookup(self, form_without_key: str) -> bytes:
        """The response to a form, JSON, without the key; Stopped when the service does not answer."""
        waits = iter(_WAITS)
        while True:
            try:
                return self._judged(*self._post(form_without_key))
            except _TransientError as error:
                wait = next(waits, None)
                if wait is None:
                    raise Stopped(
                        f"acoustid: {host_of(self._url)}: {error}; tried {len(_WAITS) + 1} times; "
                        "what was answered is kept: run the same command again later"
                    ) from error
                log.info("acoustid: %s; next try in %.0f s", error, wait)
                self._sleep(wait)

    def _post(self, form_without_key: str) -> tuple[int, bytes]:
        self._pause()
        body = f"{urlencode({'client': self._key, 'format': 'json'})}&{form_without_key}".encode()
        request = urllib.request.Request(self._url, body, {"User-Agent": f"sao/{__version__}"})
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return int(response.status), response.read(_MAX_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(_MAX_BYTES)
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            raise _TransientError(f"no answer ({error})") from error

    def _pause(self) -> None:
        now = self._clock()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + 1 / _REQUESTS_PER_SECOND

    def _judged(self, status: int, body: bytes) -> bytes:
        """The response, if it is one about this fingerprint."""
        if 300 <= status < 400:
            raise UsageError(f"acoustid: {self._url} leads elsewhere ({status}); mend screening.acoustid_url")
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if not isinstance(said, dict) or "status" not in said:
            if status == 404:
                raise UsageError(f"acoustid: {self._url}: not found; mend screening.acoustid_url")
            raise _TransientError(f"HTTP {status} and no JSON")
        code, message = _error(said)
        if (status == 200 and said["status"] == "ok") or code == _INVALID_FINGERPRINT:
            return self._redacted(body)
        message = self._redacted(message.encode()).decode()
        if code in _NOT_ALLOWED:
            raise UsageError(
                f"acoustid: {message} (error {code}); {KEY} must hold the key of an application, not of a "
                "user (https://acoustid.org/my-applications)"
            )
        if code in _BAD_REQUEST:
            raise UsageError(f"acoustid: {message} (error {code}); is {self._url} the lookup address?")
        raise _TransientError(f"HTTP {status}, {message} (error {code})")

    def _redacted(self, text: bytes) -> bytes:
        return text.replace(self._key.encode(), b"[key]")


def hits_of(response: bytes, min_score: float) -> tuple[tuple[Hit, ...], str]:
    """Hits of a stored response, best first, and why there can be none ('' = it was looked up)."""
    said = json.loads(response)
    code, message = _error(said)
    if code:
        return (), f"acoustid: {message} (error {code})"
    hits = []
    for result in said.get("results", ()):
        score = round(float(result["score"]), 3)
        if score >= min_score:
            named = result.get("recordings") or [{"id": result["id"]}]  # known, but nobody has named it
            hits += [_hit(recording, score) for recording in named]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, not hit.title, hit.title, hit.reference))), ""


def _hit(recording: dict[str, Any], score: float) -> Hit:
    artists = "; ".join(str(artist.get("name", "")) for artist in recording.get("artists", ()))
    title, reference = str(recording.get("title") or ""), str(recording.get("id", ""))
    return Hit(title=title, artist=artists, score=score, reference=reference)


def _error(said: dict[str, Any]) -> tuple[int, str]:
    """Code and message of an error response; 0 and '' if it is none."""
    error = said.get("error")
    if said.get("status") != "error" or not isinstance(error, dict):
        return 0, ""
    return int(error.get("code", 0)), str(error.get("message", ""))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the configured host and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
