"""One file to disk, going on where an earlier attempt broke off.

What is there is continued only if the server says that it continues the same file (206 from the right byte,
of the right size, under the same ETag); otherwise the file is begun anew. A size that contradicts the stated
one twice, in bodies that are whole, is a fact about the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from io import FileIO
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import requests

from sao_data.fetch import wire
from sao_data.fetch.wire import ForeignAddress, Timeouts, TransientError
from sao_data.plugins import DamagedFile

_MOST = 8 << 30  # bytes of a file whose size nobody stated
_NUM_WRONG, _NUM_EMPTY = 2, 4  # whole bodies of the wrong size, and empty ones, before that is accepted
_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,200}"')
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_PAGES = ("text/html", "application/json", "application/xhtml+xml")
T = TypeVar("T")


class Connection(Protocol):
    """What a download needs of a connection to a server (web.Web is one)."""

    base: str
    timeouts: Timeouts
    clock: Callable[[], float]

    def retry(self, once: Callable[[], T]) -> T:
        """Try again after a transient failure."""

    def opened(
        self,
        url: str,
        auth: Literal["token", "oauth", "none"],
        headers: Mapping[str, str] | None = None,
        *,
        may_leave: bool,
    ) -> requests.Response:
        """One attempt: an answer with its body still to be read."""


def download(
    web: Connection, url: str, partial: Path, *, expected_bytes: int | None, auth: Literal["oauth", "none"]
) -> None:
    """Fetch `url` to `partial`. Nothing is asked where `partial` has the expected size already."""
    transfer = _Transfer(web, url, partial, expected_bytes, auth)
    web.retry(transfer.attempt)


class _Transfer:
    """A download and what its earlier attempts have taught."""

    def __init__(
        self, web: Connection, url: str, partial: Path, expected: int | None, auth: Literal["oauth", "none"]
    ) -> None:
        self._web, self._url, self._partial = web, url, partial
        self._expected, self._auth = expected, auth
        self._etag = ""  # of the bytes in `partial`, if this process fetched them
        self._num_wrong = 0

    def attempt(self) -> None:
        """Ask once; TransientError if it did not come to an end."""
        have = self._usable()
        if have and have == self._expected:
            return
        with closing(self._asked(have)) as response:
            start = self._start(response, have)
            self._etag = _strong(response.headers.get("ETag", ""))
            length = response.headers.get("Content-Length", "")
            end = start + int(length) if length.isdecimal() else None
            self._write(response, start)
        self._check(end)

    def _usable(self) -> int:
        """Bytes in `partial` that may be continued."""
        have = self._partial.stat().st_size if self._partial.exists() else 0
        if self._expected is None:
            return have if self._etag else 0  # nothing tells whose beginning it is
        return have if have <= self._expected else 0

    def _asked(self, have: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._etag:
                headers["If-Range"] = self._etag
        try:
            wire.checked_url(self._url, self._web.base)
        except ForeignAddress as error:  # stated by a sound's metadata; a foreign redirect would stop the run
            raise DamagedFile(str(error)) from None
        return self._web.opened(self._url, self._auth, headers, may_leave=True)

    def _start(self, response: requests.Response, have: int) -> int:
        """Where the body goes; TransientError, and nothing kept, if it continues something else."""
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.status_code == 200:
            if kind in _PAGES:
                raise TransientError(f"{wire.host(response.url)}: a page in place of a file")
            return 0
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = not self._etag or self._etag == response.headers.get("ETag", "")
        if response.status_code == 206 and match and same and int(match[1]) == have:
            is_rest = int(match[2]) + 1 == int(match[3])
            if is_rest and self._expected in (None, int(match[3])):
                return have
        self._partial.unlink(missing_ok=True)
        self._etag = ""
        raise TransientError(f"{wire.host(response.url)}: cannot continue the file; it is begun anew")

    def _write(self, response: requests.Response, start: int) -> None:
        most = _MOST if self._expected is None else self._expected
        room = most - start
        with wire.on_disk(self._partial):
            file = self._partial.open("r+b" if start else "wb", buffering=0)
        with file:
            file.seek(start)
            for piece in wire.chunks(response, self._web.timeouts, self._web.clock):
                room -= len(piece)
                if room < 0:
                    self._wrong(f"more than the {most} bytes that were stated")
                with wire.on_disk(self._partial):
                    _write_all(file, piece)

    def _check(self, end: int | None) -> None:
        size = self._partial.stat().st_size
        if end is not None and size != end:
            raise TransientError(f"{wire.host(self._url)}: the file broke off at byte {size} of {end}")
        if self._expected is not None and size != self._expected:
            if end is None:
                raise TransientError(
                    f"{wire.host(self._url)}: the file broke off at byte {size} of {self._expected}"
                )
            patience = _NUM_WRONG if size else _NUM_EMPTY
            self._wrong(f"{size} bytes where {self._expected} were stated", patience)
        if self._expected is None and size == 0:
            raise TransientError(f"{wire.host(self._url)}: an empty file")

    def _wrong(self, what: str, patience: int = _NUM_WRONG) -> None:
        """The body is whole and has the wrong size: once is transient, twice is a fact."""
        self._partial.unlink(missing_ok=True)
        self._etag = ""
        self._num_wrong += 1
        if self._num_wrong >= patience:
            raise DamagedFile(f"the server sends {what}")
        raise TransientError(f"{wire.host(self._url)}: {what}")


def _strong(etag: str) -> str:
    """An ETag that identifies the bytes; '' for a weak one, which does not, or what cannot be sent back."""
    return etag if _ETAG.fullmatch(etag) else ""


def _write_all(file: FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
