"""API credentials and OAuth2: who is asking, with which token, and how tokens come and go."""

from __future__ import annotations

import secrets
import string
import threading
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.fakes.freesound.clock import Clock

CODE_SECONDS = 600.0
TOKEN_SECONDS = 86_400
OUT_OF_BAND = "/home/app_permissions/permission_granted/"  # the page that shows the code
_ALPHABET = string.ascii_letters + string.digits


@dataclass(slots=True, kw_only=True)
class Client:
    """One credential: the API key is the OAuth2 client secret."""

    client_id: str
    key: str
    level: int = 1
    status: str = "OK"  # anything else: suspended or pending
    owner_is_active: bool = True
    redirect_uri: str = ""  # '' = the out-of-band page


@dataclass(slots=True, kw_only=True)
class Token:
    """An access token with the refresh token that came with it."""

    access: str
    refresh: str
    client_id: str
    user: str
    expires: float  # seconds since 1970

    def as_json(self) -> dict[str, str | int]:
        """The reply of the token endpoint."""
        return {
            "access_token": self.access,
            "expires_in": TOKEN_SECONDS,
            "token_type": "Bearer",
            "scope": "read write",
            "refresh_token": self.refresh,
        }


class BadGrant(Exception):
    """An error of the token endpoint: HTTP status and OAuth2 error code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Credentials:
    """All credentials, codes and tokens of the server."""

    def __init__(self, clock: Clock) -> None:
        self.decision = "allow"  # what the user answers on the permission page, or "deny"
        self.user = "operator"  # who is logged in there
        self.num_refreshes = 0
        self._clock = clock
        self._lock = threading.RLock()
        self._clients: dict[str, Client] = {}
        self._codes: dict[str, tuple[str, str, float]] = {}  # code → client id, user, expiry
        self._tokens: dict[str, Token] = {}  # by access token; expired ones stay, revoked ones go

    def add_client(
        self, *, client_id: str = "", key: str = "", level: int = 1, redirect_uri: str = ""
    ) -> Client:
        """Register an application."""
        client = Client(
            client_id=client_id or _random(20), key=key or _random(40), level=level, redirect_uri=redirect_uri
        )
        self._clients[client.client_id] = client
        return client

    def client(self, client_id: str) -> Client | None:
        """The credential with this id."""
        return self._clients.get(client_id)

    def by_key(self, key: str) -> Client | None:
        """The credential with this API key."""
        return next((each for each in self._clients.values() if each.key == key), None)

    def authorize(self, client_id: str, response_type: str, state: str | None) -> str | None:
        """Where the permission page redirects to (a path for the out-of-band page); None: bad request."""
        client = self.client(client_id)
        if client is None or response_type != "code":
            return None
        answer = {"error": "access_denied"}
        if self.decision == "allow":
            answer = {"code": self.code(client_id, self.user)}
        if state is not None:
            answer["state"] = state
        return (client.redirect_uri or OUT_OF_BAND) + "?" + urlencode(answer)

    def code(self, client_id: str, user: str) -> str:
        """A fresh authorization code: 10 minutes, once."""
        with self._lock:
            code = _random(30)
            self._codes[code] = (client_id, user, self._clock() + CODE_SECONDS)
            return code

    def exchange(self, form: dict[str, str]) -> Token:
        """Answer the token endpoint, or raise BadGrant."""
        client = self.client(form.get("client_id", ""))
        if client is None or client.key != form.get("client_secret"):
            raise BadGrant(401, "invalid_client")
        with self._lock:
            match form.get("grant_type"):
                case "authorization_code":
                    user = self._redeem(client, form.get("code"))
                case "refresh_token":
                    user = self._refresh(client, form.get("refresh_token"))
                case "password":
                    raise BadGrant(400, "unauthorized_client")  # only where staff enabled it
                case None:
                    raise BadGrant(400, "invalid_request")
                case _:
                    raise BadGrant(400, "unsupported_grant_type")
            return self.issue(client.client_id, user)

    def issue(self, client_id: str, user: str) -> Token:
        """A new token; the one that this application had for this user is gone."""
        with self._lock:
            self._tokens = {
                access: token for access, token in self._tokens.items()
                if (token.client_id, token.user) != (client_id, user)
            }  # fmt: skip
            token = Token(
                access=_random(30),
                refresh=_random(30),
                client_id=client_id,
                user=user,
                expires=self._clock() + TOKEN_SECONDS,
            )
            self._tokens[token.access] = token
            return token

    def expire(self, access: str) -> None:
        """Let a token be past its time; it can still be refreshed."""
        with self._lock:
            if access in self._tokens:
                self._tokens[access].expires = self._clock()

    def revoke(self, access: str) -> None:
        """The user withdraws the permission: neither token works any more."""
        with self._lock:
            self._tokens.pop(access, None)

    def bearer(self, access: str) -> tuple[Token | None, str]:
        """The live token, or why there is none."""
        with self._lock:
            token = self._tokens.get(access)
            if token is None:
                return None, "The access token is invalid."
            if token.expires <= self._clock():
                return None, "The access token has expired."
            return token, ""

    def _redeem(self, client: Client, code: str | None) -> str:
        if code is None:
            raise BadGrant(400, "invalid_request")
        client_id, user, expires = self._codes.pop(code, ("", "", 0.0))
        if client_id != client.client_id or expires <= self._clock():
            raise BadGrant(400, "invalid_grant")
        return user

    def _refresh(self, client: Client, refresh: str | None) -> str:
        if refresh is None:
            raise BadGrant(400, "invalid_request")
        for token in self._tokens.values():
            if token.refresh == refresh and token.client_id == client.client_id:
                self.num_refreshes += 1
                return token.user
        raise BadGrant(400, "invalid_grant")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
