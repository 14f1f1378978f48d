"""What the API means when it says no: a fact, a transient failure, or something a person must do (with the
next step)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.fetch.credentials import APPLY_URL
from sao_data.fetch.wire import NotFound, Overloaded, Throttled, TransientError, cleaned

_OVERLOADED = "Search is overloaded"
_SUSPENDED = (
    "freesound: the API key is suspended or not yet approved; see its state at "
    f"{APPLY_URL}, or write to mtg@upf.edu"
)
_WRONG_KEY = (
    f"freesound: the API does not know the key in FREESOUND_TOKEN; copy it again from {APPLY_URL} "
    "(the API key, not the client id)"
)
_INACTIVE = (
    "freesound: the account that the API key belongs to is inactive or deleted; set FREESOUND_TOKEN to "
    "the key of another"
)
_NOT_TAKEN = "freesound: a login that has just been renewed is not taken; run `sao login freesound` again"
_NOT_SEEN = (
    "freesound: the API saw no credential although one was sent; a proxy may take the Authorization header "
    "away: ask whoever runs it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is not the thing asked for."""

    status: int
    where: str  # host and path, no query
    is_api: bool  # False: the CDN, which speaks HTML
    body: bytes
    challenge: str  # its WWW-Authenticate header
    secret: str  # what was sent; never repeated

    @property
    def detail(self) -> str:
        """The API's own words; '' if these are not the API's (a proxy's page)."""
        try:
            answer = json.loads(self.body)
        except (ValueError, RecursionError):
            return ""
        said = answer.get("detail") if isinstance(answer, dict) else None
        return cleaned(said, self.secret) if isinstance(said, str) else ""

    @property
    def is_stale_login(self) -> bool:
        """Does a newer access token help?"""
        return self.status == 401 and "invalid_token" in self.challenge

    @property
    def is_suspended(self) -> bool:
        """Is the whole credential stopped?"""
        return self.status in (401, 429) and "suspended" in self.detail.lower()

    def error(self) -> Exception:
        """The exception it amounts to."""
        said = f"{self.where}: {self.status} {self.detail}".rstrip()
        if self.status >= 500 or self.status == 408:
            return Overloaded(said) if self.detail.startswith(_OVERLOADED) else TransientError(said)
        if not self.is_api:
            return NotFound(said) if self.status == 404 else TransientError(said)
        if self.is_suspended:
            return UsageError(_SUSPENDED)
        if self.status == 429:
            return Throttled(said)
        if self.status == 401:
            return UsageError(self._unauthorized())
        if self.status == 404 and self.detail:
            return NotFound(said)
        if not self.detail:
            return TransientError(f"{said} (not in the API's own words)")
        return UsageError(f"freesound: the API refuses the request: {said}")

    def _unauthorized(self) -> str:
        known = {"Invalid token": _WRONG_KEY, "User inactive or deleted": _INACTIVE}
        return known.get(self.detail, _NOT_TAKEN if self.is_stale_login else _NOT_SEEN)
