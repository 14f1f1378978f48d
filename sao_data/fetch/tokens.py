"""The service that holds the secrets while a run lasts, and renews the login once for all workers.

It is made empty and then given the secrets by a call, so that none is part of a job's or an actor's
description:

    tokens = executor.service("freesound-tokens", functools.partial(Tokens, base_url))
    tokens.set_credential(credentials.require(login=True, base_url=base_url))      # on the machine that has
    them

It must run on the machine whose home directory has the grant. A copy (pickle) of it holds nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sao_data.errors import UsageError
from sao_data.fetch import credentials, oauth
from sao_data.fetch.credentials import Grant, Secrets
from sao_data.fetch.wire import checked_base

log = logging.getLogger(__name__)

_EARLY = 60.0  # s before its end a token is renewed


class Tokens:
    """Gives the API key and a valid access token to whoever is about to send a request. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = checked_base(base_url)
        self._clock, self._sleep = clock, sleep
        self._secrets = Secrets()
        self._grant: Grant | None = None
        self._lock = threading.Lock()

    def set_credential(self, secrets: Secrets) -> None:
        """Take the application's credential."""
        with self._lock:
            self._secrets = secrets

    def key(self) -> str:
        """The API key; UsageError if there is none."""
        key = self._secrets.key or credentials.from_environment().key
        if not key:
            raise UsageError(credentials.NO_KEY)
        return key

    def bearer(self) -> str:
        """An access token with time left; UsageError if nobody is logged in."""
        with self._lock:
            grant = self._grant or self._stored()
            if grant.expires_at - _EARLY <= self._clock():
                grant = self._renewed(grant.access_token)
            self._grant = grant
            return grant.access_token

    def expired(self, token: str) -> str:
        """Another access token than this one, which the server no longer takes."""
        with self._lock:
            if self._grant is None or self._grant.access_token == token:
                self._grant = self._renewed(token)
            return self._grant.access_token

    def __reduce__(self) -> tuple[type[Tokens], tuple[str]]:
        return Tokens, (self._base,)

    def _stored(self) -> Grant:
        grant = credentials.load_grant(self._base)
        if grant is None:
            raise UsageError(credentials.NO_LOGIN)
        return grant

    def _renewed(self, token: str) -> Grant:
        """The stored grant if another process has renewed it, else a newer one, stored before it is used."""
        with credentials.locked():
            stored = self._stored()
            if stored.access_token != token and stored.expires_at - _EARLY > self._clock():
                return stored
            secrets = Secrets(key=self.key(), client_id=stored.client_id)
            grant = oauth.renew(self._base, secrets, stored, clock=self._clock, sleep=self._sleep)
            try:
                credentials.save_grant(grant)
            except OSError as error:  # the older one is worthless already: this run at least goes on
                log.warning("freesound: the renewed login cannot be stored (%s); log in again later", error)
            return grant
