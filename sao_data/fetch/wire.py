"""One request on the wire: where it may go, how its body is read, and what its failures are called.

Failures are said in our own words and raised outside the handler that caught them: the exceptions of the HTTP
library carry the request, and with it the credential.
"""

from __future__ import annotations

import contextlib
import email.utils
import errno
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
import requests.auth
import urllib3

from sao_data.errors import Stopped, UsageError

FREESOUND = "https://freesound.org/apiv2/"
_LOOPBACK = ("127.0.0.1", "localhost")
_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+)(:[0-9]+)?(/[^\s\\\x00-\x1f\x7f]*)?")
_BLOCK = 1 << 16  # bytes
_NUM_WORDS = 200  # characters of a server's own words that are repeated in a message
_FAILURES = {
    "NameResolutionError": "its name cannot be resolved",
    "NewConnectionError": "the connection is refused",
    "ConnectTimeoutError": "no connection in time",
    "ReadTimeoutError": "no answer in time",
    "SSLError": "no trusted TLS connection",
    "ProxyError": "the proxy does not let us through",
    "ProtocolError": "the connection broke",
    "IncompleteRead": "the answer broke off",
    "DecodeError": "the answer cannot be decompressed",
}


class TransientError(OSError):
    """No answer, or none that can be used: try again later. `after` is how long the server asks to wait."""

    after = 0.0  # s


class Overloaded(TransientError):
    """The search server gave up on this query more than once: ask for less at a time."""


class Throttled(TransientError):
    """429: refused for the rate; the permits know."""


class NotFound(FileNotFoundError):
    """404 in the API's own words: there is no such thing (any more), which is a fact."""


class ForeignAddress(UsageError):
    """An address that is not Freesound's; nothing was sent there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a server."""

    connect: float = 10.0  # s
    read: float = 30.0  # s without a byte
    slowest: float = 1000.0  # bytes/s, over any `read` seconds


class Secret(requests.auth.AuthBase):
    """Puts "Token …" or "Bearer …" on a request at the last moment; shows nothing of it."""

    def __init__(self, scheme: str, value: str) -> None:
        self.scheme, self.value = scheme, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"{self.scheme} {self.value}"
        return request

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


class _NoAuth(requests.auth.AuthBase):
    """No credential. The library would otherwise look for one in ~/.netrc and put it in place of ours."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def checked_base(base_url: str) -> str:
    """The API's base with its last slash; UsageError unless it is Freesound's or on this machine: whoever
    writes a manifest must not choose where the key is sent."""
    base = base_url.rstrip("/") + "/"
    match = _URL.fullmatch(base)
    if base == FREESOUND or (match and match[2] in _LOOPBACK):
        return base
    raise UsageError(
        f"freesound: base_url {base_url!r} is not Freesound; leave it out "
        "(for tests it may name a server on 127.0.0.1)"
    )


def checked_url(url: str, base: str) -> str:
    """The URL, if it leads to Freesound or its CDN over https (from a base on this machine: to this machine);
    Foreign otherwise."""
    match = _URL.fullmatch(url)
    if match and base == FREESOUND:
        is_ours = match[2].lower() == "freesound.org" or match[2].lower().endswith(".freesound.org")
        if is_ours and match[1] == "https" and match[3] in (None, ":443"):
            return url
    elif match and match[2] in _LOOPBACK:
        return url
    raise ForeignAddress(
        f"freesound: {cleaned(url)!r} is not an https address of Freesound; nothing was sent there"
    )


def host(url: str) -> str:
    """Host and port, for messages."""
    return url.partition("://")[2].partition("/")[0]


def session(user_agent: str) -> requests.Session:
    """A connection pool without netrc or retries of its own. The environment's proxies count."""
    made = requests.Session()
    made.auth = _NoAuth()
    made.headers["User-Agent"] = user_agent
    return made


def send(
    pool: requests.Session,
    method: str,
    url: str,
    *,
    secret: Secret | None = None,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    timeouts: Timeouts = Timeouts(),
) -> requests.Response:
    """One request; its answer with the body still to be read, whatever the status. Redirects are not
    followed."""
    asked = requests.Request(method, url, headers=dict(headers or {}), data=dict(form or {}), auth=secret)
    try:
        prepared = pool.prepare_request(asked)
        settings = pool.merge_environment_settings(url, {}, True, None, None)
        # Not pool.send: it reads the body of a redirect to its end, and where that leads, by itself.
        return pool.get_adapter(url).send(prepared, timeout=(timeouts.connect, timeouts.read), **settings)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        failure = _words(error)
    raise TransientError(f"{host(url)}: {failure}")


def chunks(response: requests.Response, timeouts: Timeouts, clock: Callable[[], float]) -> Iterator[bytes]:
    """The body as it arrives; TransientError where it breaks off or merely trickles."""
    since, num = clock(), 0
    while piece := _piece(response):
        num += len(piece)
        if (now := clock()) - since >= timeouts.read:
            if num < timeouts.slowest * timeouts.read:
                raise TransientError(f"{host(response.url)}: less than {timeouts.slowest:.0f} bytes/s")
            since, num = now, 0
        yield piece


def body(
    response: requests.Response, timeouts: Timeouts, clock: Callable[[], float], *, max_bytes: int
) -> bytes:
    """The whole body, decompressed, if it is no longer than that."""
    whole = bytearray()
    for piece in chunks(response, timeouts, clock):
        whole += piece
        if len(whole) > max_bytes:
            raise TransientError(f"{host(response.url)}: an answer of more than {max_bytes} bytes")
    return bytes(whole)


def retry_after(response: requests.Response, now: float) -> float:
    """Seconds that a Retry-After header asks for (a number, or an HTTP date); 0 if there is none."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    parsed = email.utils.parsedate_tz(text) if text else None
    return max(0.0, email.utils.mktime_tz(parsed) - now) if parsed else 0.0


def cleaned(text: str, *secrets: str) -> str:
    """A server's words for a message: one printable line, short, without our secrets."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return "".join(c if c.isprintable() else " " for c in text)[:_NUM_WORDS].strip()


def _piece(response: requests.Response) -> bytes:
    try:
        piece: bytes = response.raw.read1(_BLOCK, decode_content=True)
        return piece
    except (urllib3.exceptions.HTTPError, requests.RequestException) as error:
        failure = _words(error)
    raise TransientError(f"{host(response.url)}: {failure}")


def _words(error: Exception) -> str:
    """What happened, from the type alone: the texts of these exceptions may hold what was sent."""
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    kind = type(getattr(inner, "reason", None) or inner).__name__
    return _FAILURES.get(kind, kind)


@contextlib.contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """A full disk stops the run; what was written so far is continued by the next."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Stopped(
            f"the disk is full ({path.parent}); free some space, then run the same command"
        ) from error
