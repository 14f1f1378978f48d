"""OAuth2 as Freesound does it: a code for a grant, a grant for a newer one.

Access tokens are valid for 24 hours, codes for 10 minutes and one use; a renewed grant replaces both of its
tokens (https://freesound.org/docs/api/authentication.html, checked 2026-07).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

from sao_data import __version__
from sao_data.errors import UsageError
from sao_data.fetch import wire
from sao_data.fetch.credentials import APPLY_URL, Grant, Secrets
from sao_data.fetch.wire import TransientError

USER_AGENT = f"sao/{__version__}"
_NUM_ATTEMPTS = 5
_MAX_BYTES = 1 << 16
_LIFETIME = 86_400.0  # s, if the server does not say
_REVOKED = (
    "freesound: the login is no longer valid (withdrawn, or replaced by a later one); "
    "run `sao login freesound` again"
)
_BAD_CODE = (
    "freesound: the code is not valid: each works once, for 10 minutes; run `sao login freesound` "
    "and copy a new one"
)
_BAD_CLIENT = (
    "freesound: FREESOUND_CLIENT_ID and FREESOUND_TOKEN do not belong together (invalid_client); "
    f"copy both from {APPLY_URL}"
)

Clock = Callable[[], float]
Sleep = Callable[[float], None]


def authorize_url(base: str, client_id: str) -> str:
    """The page on which a person allows the application to download in their name."""
    return f"{base}oauth2/authorize/?" + urlencode({"client_id": client_id, "response_type": "code"})


def exchange(base: str, secrets: Secrets, code: str, *, clock: Clock = time.time) -> Grant:
    """The grant for a code that the person was shown."""
    form = {"grant_type": "authorization_code", "code": code}
    return _granted(base, secrets, form, on_bad_grant=_BAD_CODE, clock=clock, sleep=time.sleep)


def renew(
    base: str, secrets: Secrets, grant: Grant, *, clock: Clock = time.time, sleep: Sleep = time.sleep
) -> Grant:
    """A newer grant; the older one is worthless from then on."""
    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
    return _granted(base, secrets, form, on_bad_grant=_REVOKED, clock=clock, sleep=sleep)


def _granted(
    base: str, secrets: Secrets, form: Mapping[str, str], *, on_bad_grant: str, clock: Clock, sleep: Sleep
) -> Grant:
    whole = {"client_id": secrets.client_id, "client_secret": secrets.key, **form}
    status, answer = _with_retries(base + "oauth2/access_token/", whole, clock, sleep)
    error = answer.get("error")
    if error == "invalid_grant":
        raise UsageError(on_bad_grant)
    if error == "invalid_client":
        raise UsageError(_BAD_CLIENT)
    access, refresh = answer.get("access_token"), answer.get("refresh_token")
    if status != 200 or not isinstance(access, str) or not isinstance(refresh, str):
        said = wire.cleaned(str(error or f"status {status}"), *whole.values())
        raise UsageError(f"freesound: the login was refused ({said}); run `sao login freesound` again")
    lifetime = answer.get("expires_in")
    return Grant(
        access_token=access,
        refresh_token=refresh,
        expires_at=clock() + (float(lifetime) if isinstance(lifetime, int | float) else _LIFETIME),
        client_id=secrets.client_id,
        base_url=base,
    )


def _with_retries(
    url: str, form: Mapping[str, str], clock: Clock, sleep: Sleep
) -> tuple[int, dict[str, Any]]:
    for attempt in range(1, _NUM_ATTEMPTS + 1):
        try:
            return _once(url, form, clock)
        except TransientError as error:
            last = error
        if attempt < _NUM_ATTEMPTS:
            sleep(2.0 ** (attempt - 1))
    raise TransientError(f"freesound: {last} ({_NUM_ATTEMPTS} attempts); check the network and run again")


def _once(url: str, form: Mapping[str, str], clock: Clock) -> tuple[int, dict[str, Any]]:
    timeouts = wire.Timeouts()
    with (
        wire.session(USER_AGENT) as pool,
        closing(wire.send(pool, "POST", url, form=form, timeouts=timeouts)) as response,
    ):
        status = response.status_code
        text = wire.body(response, timeouts, clock, max_bytes=_MAX_BYTES)
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status >= 500 or not isinstance(answer, dict):
        raise TransientError(f"{wire.host(url)}: status {status} from the login")
    return status, answer
