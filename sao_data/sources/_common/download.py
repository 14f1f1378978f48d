"""A file from any web server to disk: politely, going on where it broke off, held against what was stated.

Facts are 404 and 410 (FileNotFoundError), other refusals, pages in place of files, redirects to where nothing
may be sent, and what contradicts its stated size or checksum twice (DamagedFile). Timeouts, broken
connections, 403, 429 and 5xx are transient: tried again a few times, then raised. What is on disk is
continued if the server says that it is the same file (206 under the same ETag), or if a stated size or
checksum can tell.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

import requests

from sao_data import __version__
from sao_data.errors import Later
from sao_data.fetch import wire
from sao_data.fetch.wire import Timeouts, TransientError
from sao_data.plugins import DamagedFile
from sao_data.sources._common import urls

_TIMEOUTS = Timeouts()
_MOST = 8 << 30  # bytes of a file whose size nobody stated
_MAX_HOPS = 5
_NUM_WRONG = 2  # whole files that are not what was stated, before that is accepted
_LONGEST_WAIT = 300.0  # s that a server may ask for before the run stops instead
_REDIRECTS = (301, 302, 303, 307, 308)
_GONE = (404, 410)
_TRANSIENT = (403, 408, 425, 429)  # and 5xx; 403 is what floods and shared addresses are answered with
_PAGES = ("text/html", "application/xhtml+xml")
_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,200}"')
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BLOCK = 1 << 20


class RateLimiter(Protocol):
    """Says when the next request may be sent."""

    def ask(self) -> float: ...


class SharedRateLimiter:
    """One request every 1/rate seconds, for any number of workers. Never sleeps; thread-safe."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._apart, self._clock = 1.0 / per_second, clock
        self._lock = threading.Lock()
        self._next = clock()

    def ask(self) -> float:
        """Seconds after which the caller may send one request; its turn is taken."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._apart
            return turn - now


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFile:
    """A file as its list states it; None and '' = not stated."""

    url: str
    num_bytes: int | None = None
    md5: str = ""  # lower-case hex
    sha256: str = ""

    @property
    def can_be_checked(self) -> bool:
        """Is there anything that the whole file can be held against?"""
        return self.num_bytes is not None or bool(self.md5 or self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPolicy:
    """How servers are asked."""

    pace: RateLimiter
    private_hosts: tuple[str, ...] = ()
    timeouts: Timeouts = _TIMEOUTS
    attempts: int = 4
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def download(stated: StatedFile, partial: Path, policy: RequestPolicy) -> None:
    """Fetch the file to `partial`; raises FileNotFoundError, DamagedFile, Stopped, other OSErrors."""
    with wire.session(f"sao/{__version__}") as pool:
        urls.mount(pool, policy.private_hosts)
        transfer = _Transfer(stated, partial, policy, pool)
        for attempt in range(1, policy.attempts + 1):
            try:
                transfer.attempt()
            except TransientError as error:
                last = error
            else:
                return
            if attempt < policy.attempts:
                _pause(last, attempt, policy, stated.url)
    raise TransientError(
        f"{last} ({policy.attempts} attempts); run again later, or take the row out if it is gone for good"
    )


class _Transfer:
    """A download, and what its earlier attempts have taught."""

    def __init__(
        self, stated: StatedFile, partial: Path, policy: RequestPolicy, pool: requests.Session
    ) -> None:
        self._stated, self._partial, self._policy, self._pool = stated, partial, policy, pool
        self._etag = ""  # of the bytes in `partial`, if this process fetched them
        self._num_wrong = 0

    def attempt(self) -> None:
        """Ask once; TransientError if it did not come to an end."""
        have = self._usable()
        if have and self._stated.can_be_checked and not self._contradiction():
            return
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": self._etag} if self._etag else {})
        with closing(self._opened(headers)) as response:
            start = self._start(response, have)
            tag = response.headers.get("ETag", "")
            self._etag = tag if _ETAG.fullmatch(tag) else ""
            end, ends = _end(response, start), "chunked" in response.headers.get("Transfer-Encoding", "")
            self._write(response, start)
        self._check(end, is_whole=ends)

    def _usable(self) -> int:
        """Bytes in `partial` that may be continued."""
        have = self._partial.stat().st_size if self._partial.exists() else 0
        if not self._stated.can_be_checked and not self._etag:
            return 0  # nothing will tell whether the rest belongs to it
        most = self._stated.num_bytes
        return have if most is None or have <= most else 0

    def _opened(self, headers: dict[str, str]) -> requests.Response:
        """The first answer that is no redirect, if it is a good one."""
        url = self._stated.url
        for _ in range(_MAX_HOPS + 1):
            if problem := urls.problem(url, self._policy.private_hosts):
                raise DamagedFile(f"{_shown(url)}: {problem}")
            if wait := self._policy.pace.ask():
                self._policy.sleep(wait)
            response = wire.send(self._pool, "GET", url, headers=headers, timeouts=self._policy.timeouts)
            if response.status_code not in _REDIRECTS:
                return self._good(response)
            with response:
                to = urljoin(url, response.headers.get("Location", ""))
            if url.lower().startswith("https:") and not to.lower().startswith("https:"):
                raise DamagedFile(f"{_shown(url)}: redirects from https to {_shown(to)}")
            url = to
        raise DamagedFile(f"{_shown(self._stated.url)}: more than {_MAX_HOPS} redirects")

    def _good(self, response: requests.Response) -> requests.Response:
        status, where = response.status_code, wire.host(response.url)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if status == 206 or (status == 200 and kind not in _PAGES):
            return response
        with response:
            if status in _GONE:
                raise FileNotFoundError(f"{where}: {status}, there is no such file (any more)")
            if status == 200:
                self._wrong(f"a web page ({kind}) in place of a file")
            if status == 416:
                self._anew()
                raise TransientError(f"{where}: cannot continue the file; it is begun anew")
            if status in _TRANSIENT or status >= 500:
                error = TransientError(f"{where}: {status}")
                error.after = wire.retry_after(response, time.time())  # an HTTP date is wall-clock time
                raise error
        raise DamagedFile(f"{where}: the server refuses it ({status})")

    def _start(self, response: requests.Response, have: int) -> int:
        """Where the body goes; TransientError, and nothing kept, if it continues something else."""
        if response.status_code == 200:
            return 0
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = not self._etag or self._etag == response.headers.get("ETag", "")
        if have and match and same:
            first, last, whole = map(int, match.groups())
            if first == have and last + 1 == whole and self._stated.num_bytes in (None, whole):
                return have
        self._anew()
        raise TransientError(f"{wire.host(response.url)}: cannot continue the file; it is begun anew")

    def _write(self, response: requests.Response, start: int) -> None:
        most = _MOST if self._stated.num_bytes is None else self._stated.num_bytes
        with wire.on_disk(self._partial):
            file = self._partial.open("r+b" if start else "wb")
            with file:
                file.seek(start)
                for piece in wire.chunks(response, self._policy.timeouts, self._policy.clock):
                    start += len(piece)
                    if start > most:
                        break
                    file.write(piece)
        if start > most:
            self._wrong(f"more than the {most} bytes that were stated")

    def _check(self, end: int | None, *, is_whole: bool) -> None:
        """`is_whole`: it came in chunks, the last one too."""
        size = self._partial.stat().st_size
        most = end if end is not None or is_whole else self._stated.num_bytes
        if most is not None and size < most:
            raise TransientError(
                f"{wire.host(self._stated.url)}: the file broke off at byte {size} of {most}"
            )
        if what := self._contradiction() or ("" if size else "an empty file"):
            self._wrong(what)

    def _contradiction(self) -> str:
        """How `partial` differs from what was stated; '' if it does not."""
        size = self._partial.stat().st_size
        if self._stated.num_bytes not in (None, size):
            return f"{size} bytes where {self._stated.num_bytes} were stated"
        for name in ("sha256", "md5"):
            wanted: str = getattr(self._stated, name)
            if wanted and (found := _digest(self._partial, name)) != wanted:
                return f"{name} {found} is not the stated {wanted}"
        return ""

    def _wrong(self, what: str) -> None:
        """The answer is whole and is not the file: once is transient, twice is a fact."""
        self._anew()
        self._num_wrong += 1
        if self._num_wrong >= _NUM_WRONG:
            raise DamagedFile(f"{wire.host(self._stated.url)} sends {what}")
        raise TransientError(f"{wire.host(self._stated.url)}: {what}")

    def _anew(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._etag = ""


def _pause(error: TransientError, attempt: int, policy: RequestPolicy, url: str) -> None:
    if error.after > _LONGEST_WAIT:
        raise Later(
            f"{wire.host(url)} asks to be left alone for {error.after:.0f} s; run again after that"
        ) from error
    policy.sleep(max(2.0 ** (attempt - 1), error.after))


def _end(response: requests.Response, start: int) -> int | None:
    """The byte behind the last one, if the server says how long the body is."""
    length = response.headers.get("Content-Length", "")
    is_plain = response.headers.get("Content-Encoding", "identity").lower() in ("", "identity")
    return start + int(length) if length.isdecimal() and is_plain else None


def _digest(path: Path, name: str) -> str:
    made = hashlib.new(name, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            made.update(block)
    return made.hexdigest()


def _shown(url: str) -> str:
    """An address for a message: without what may be secret in it."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return wire.cleaned(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")
