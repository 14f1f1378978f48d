"""The lock of a directory in an object store: a lease, held by an object `lock` that its holder keeps young.

It is taken by putting the object where there is none, which a store does for one of many. Its holder writes
it anew every few seconds; one that is older than the lease was left by a run that died, and is taken over.
How old it is says the store: another object is put there and the two times compared, so that no clock but
the store's matters. Of several who find it dead one takes over: they put a claim that is named after the dead
lease, and only one claim can be put.

A holder that was cut off for longer than the lease, or finds another's name in the lock, writes no more.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from sao_data.errors import Locked, SaoError, UsageError
from sao_data.storage import layout
from sao_data.storage.local_store import TEMPORARY, holder

log = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
RENEW_SECONDS = 10.0  # six chances before it ends


class Store(Protocol):
    """What a lease needs of an object store."""

    url: str

    def exists(self, name: str) -> bool: ...
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, data: bytes) -> None: ...
    def create(self, name: str, data: bytes) -> bool: ...
    def delete(self, name: str) -> None: ...
    def changed(self, name: str) -> datetime: ...


class Lease:
    """One run's hold on a directory; `held` once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mine = f"{holder()}, lease {secrets.token_hex(8)}".encode()
        self._lost = ""  # why nothing may be written any more
        self._renewed = 0.0  # time.monotonic() when the store last took the lock from us
        self._end = threading.Event()

    @contextlib.contextmanager
    def held(self) -> Iterator[Lease]:
        """Take the lock, renew it meanwhile, give it back; Locked names who holds it."""
        self._take()
        renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        renewing.start()
        try:
            yield self
        finally:
            self._end.set()
            renewing.join()
            self._give_back()

    def check(self) -> None:
        """Raise Locked if the lock may be another's by now: what is written then would be over its work."""
        if not self._lost and time.monotonic() - self._renewed > LEASE_SECONDS:
            self._lost = f"the store was out of reach for more than {LEASE_SECONDS:.0f} s"
        if self._lost:
            raise Locked(
                f"{self._store.url}: the lock was lost ({self._lost}); "
                "what is complete is kept: run the same command again"
            )

    def _take(self) -> None:
        self._renewed = time.monotonic()
        try:
            is_new = self._store.create(layout.LOCK, self._mine)
        except FileNotFoundError as error:
            raise UsageError(f"{self._store.url}: no such bucket ({error}); make it first") from error
        if not is_new:
            self._take_over()

    def _take_over(self) -> None:
        """Take the lock of a run that died; Locked if it lives, or another was faster."""
        try:
            theirs = self._store.read(layout.LOCK)
            age = self._age()
        except FileNotFoundError:  # given back this moment
            raise self._in_use(b"a run that is just ending") from None
        if age <= LEASE_SECONDS:
            raise self._in_use(theirs, f", and renewed the lock {age:.0f} s ago")
        claim = f"{TEMPORARY}lock-{theirs[-16:].decode('ascii', 'replace')}"
        if not self._store.create(claim, self._mine):
            raise self._in_use(b"another run, which is taking it over", f"; if none is, delete {claim}")
        try:
            if not self._store.exists(layout.LOCK) or self._store.read(layout.LOCK) != theirs:
                raise self._in_use(b"another run, which has just taken it over")
            self._renewed = time.monotonic()
            self._store.write(layout.LOCK, self._mine)
        finally:
            self._store.delete(claim)
        log.warning(
            "%s: took over from %s, which died %.0f s ago or more", self._store.url, _said(theirs), age
        )

    def _age(self) -> float:
        """Seconds since the lock was last written, by the store's clock."""
        probe = f"{TEMPORARY}lock-time-{secrets.token_hex(8)}"
        written = self._store.changed(layout.LOCK)
        self._store.write(probe, b"")
        try:
            return (self._store.changed(probe) - written).total_seconds()
        finally:
            self._store.delete(probe)

    def renew(self) -> None:
        """Keep the lock young, or find that it is another's."""
        begun = time.monotonic()
        try:
            theirs = self._store.read(layout.LOCK)
            if theirs == self._mine:
                self._store.write(layout.LOCK, self._mine)
                self._renewed = begun
            else:
                self._lost = f"{_said(theirs)} holds it"
        except FileNotFoundError:
            self._lost = "somebody deleted it"
        except (OSError, SaoError) as error:  # `check` ends it when this lasts
            log.warning("%s: the lock could not be renewed: %s", self._store.url, error)

    def _renew(self) -> None:
        while not self._end.wait(RENEW_SECONDS) and not self._lost:
            self.renew()

    def _give_back(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._store.read(layout.LOCK) == self._mine:
                self._store.delete(layout.LOCK)

    def _in_use(self, theirs: bytes, more: str = "") -> Locked:
        return Locked(
            f"{self._store.url}: in use by {_said(theirs)}{more}; wait for it, or stop it and run again "
            f"(a run that died gives the lock up after {LEASE_SECONDS:.0f} s)"
        )


def _said(theirs: bytes) -> str:
    return theirs.decode("utf-8", "replace")
