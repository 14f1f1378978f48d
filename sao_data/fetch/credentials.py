"""Where secrets come from: two environment variables and a file that only its owner can read.

    FREESOUND_TOKEN      the API key (https://freesound.org/apiv2/apply/), which is also the OAuth2 secret
    FREESOUND_CLIENT_ID  the application's id, needed to log in
    ~/.config/sao/freesound.json (0600)  what `sao login freesound` was granted; originals need it

The variables are taken out of the environment when they are read, so that no child process inherits them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import secrets as random_names
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sao_data.errors import UsageError

APPLY_URL = "https://freesound.org/apiv2/apply/"
NO_KEY = f"freesound: no API key; get one at {APPLY_URL} and set FREESOUND_TOKEN to it"
NO_CLIENT_ID = (
    f"freesound: no client id; it stands beside the API key at {APPLY_URL}: set FREESOUND_CLIENT_ID"
)
NO_LOGIN = (
    'freesound: original files need a login; run `sao login freesound`, or set rendition = "preview" '
    "in the source"
)

_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]+")
_taken: dict[str, str] = {}  # what was found in the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The application's credential. Passed by calls, never part of a Config or a Workspace."""

    key: str = field(default="", repr=False)
    client_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a person's login gave: an access token for a day, and the token that renews it."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float  # seconds since 1970
    client_id: str
    base_url: str  # a grant is never shown to another server


def from_environment() -> Secrets:
    """What the two variables hold, or held when they were first read; '' where they were never set."""
    for name in ("FREESOUND_TOKEN", "FREESOUND_CLIENT_ID"):
        value = os.environ.pop(name, "").strip()
        if value:
            _taken[name] = _checked(value, name)
    return Secrets(key=_taken.get("FREESOUND_TOKEN", ""), client_id=_taken.get("FREESOUND_CLIENT_ID", ""))


def forget() -> None:
    """Drop what was taken from the environment."""
    _taken.clear()


def require(*, login: bool, base_url: str) -> Secrets:
    """The credential, or UsageError with the next step. Only where the run was started: other nodes have
    none."""
    found = from_environment()
    if not found.key:
        raise UsageError(NO_KEY)
    if login:
        grant = load_grant(base_url)
        if grant is None:
            raise UsageError(NO_LOGIN)
        found = dataclasses.replace(found, client_id=grant.client_id)
    return found


def grant_path() -> Path:
    """~/.config/sao/freesound.json."""
    return Path.home() / ".config" / "sao" / "freesound.json"


def load_grant(base_url: str) -> Grant | None:
    """The stored grant; None if nobody is logged in. UsageError if others can read it or it is another
    server's."""
    path = grant_path()
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            text = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    if facts.st_mode & 0o077 or facts.st_uid != os.getuid():
        mode = stat.S_IMODE(facts.st_mode)
        raise UsageError(
            f"{path}: not yours alone (mode {mode:o}); others may have read it: run `chmod 600 {path}`, or "
            "better `sao login freesound` again"
        )
    grant = _parsed(text)
    if grant is None:
        raise UsageError(f"{path}: damaged; run `sao login freesound` again")
    if grant.base_url != base_url:
        raise UsageError(f"{path}: is for {grant.base_url}, not {base_url}; run `sao login freesound` again")
    return grant


def save_grant(grant: Grant) -> Path:
    """Store a grant, whole or not at all, readable by its owner only from the first byte on."""
    path = grant_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".tmp-{random_names.token_hex(8)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(grant), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def delete_grant() -> bool:
    """Forget the grant on this machine; was there one?"""
    path = grant_path()
    found = path.exists()
    path.unlink(missing_ok=True)
    return found


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the grant while it is renewed: renewing makes the older tokens worthless to everybody else."""
    path = grant_path().with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _checked(value: str, where: str) -> str:
    """A secret that can stand in a header; the message does not repeat it."""
    if not _SECRET.fullmatch(value):
        raise UsageError(f"freesound: {where} has characters that none has; copy it again from {APPLY_URL}")
    return value


def _parsed(text: bytes) -> Grant | None:
    """The grant in a file, or None: what is wrong with it is not repeated, for it is secret."""
    try:
        table = json.loads(text)
        grant = Grant(**{**table, "expires_at": float(table["expires_at"])})
    except (ValueError, TypeError, KeyError):
        return None
    tokens = (grant.access_token, grant.refresh_token)
    return grant if all(isinstance(each, str) and _SECRET.fullmatch(each) for each in tokens) else None
