"""A client of the fake server, on the fake's clock."""

from __future__ import annotations

import random
from typing import Any

from sao_data.fetch import credentials
from sao_data.fetch.credentials import Grant, Secrets
from sao_data.fetch.permits import LEVELS, Permits, QuotaWindows
from sao_data.fetch.tokens import Tokens
from sao_data.fetch.web import Web
from tests.fakes.freesound import FakeFreesound


def web(
    fake: FakeFreesound, *, key: str | None = None, windows: QuotaWindows | None = LEVELS[1], **more: Any
) -> Web:
    """A Web with permits of its own, and the fake's key unless another is given."""
    tokens = Tokens(fake.base, clock=fake.clock, sleep=fake.sleep)
    tokens.set_credential(
        Secrets(key=fake.client.key if key is None else key, client_id=fake.client.client_id)
    )
    settings = {"user_agent": "sao-test/1", "clock": fake.clock, "sleep": fake.sleep, "rng": random.Random(1)}
    permits = more.pop("permits", None) or Permits(windows, None, "", fake.clock)
    return Web(fake.base, more.pop("credentials", tokens), permits, **{**settings, **more})


def log_in(fake: FakeFreesound, *, seconds: float = 86_400.0) -> Grant:
    """Store a grant as `sao login` does; it looks good for that long."""
    token = fake.login()
    grant = Grant(
        access_token=token.access,
        refresh_token=token.refresh,
        expires_at=fake.clock() + seconds,
        client_id=fake.client.client_id,
        base_url=fake.base,
    )
    credentials.save_grant(grant)
    return grant
