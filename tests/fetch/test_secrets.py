"""A canary as API key, and the tokens of a login: they turn up in requests to the API and nowhere else."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sao_data.errors import SaoError
from sao_data.fetch import credentials, terms
from sao_data.fetch.permits import Permits, QuotaWindows
from sao_data.fetch.tokens import Tokens
from sao_data.fetch.workspace import Workspace
from sao_data.licences import Release
from sao_data.plugins import DamagedFile
from sao_data.storage import layout
from sao_data.storage.backend import LocalStorage
from tests.fakes.freesound import FakeFreesound, Quirks, as_json, make
from tests.fetch.made_web import log_in, web

FAULTS = [
    "reset", "hang", "bad_gateway", "unavailable", "gateway_timeout", "throttled_minute", "throttled_day",
    "expired_bearer", "overloaded", "search_down", "server_error", "gone", "truncated", "reset_mid",
    "wrong_md5", "html_200", "empty_200", "hostile_disposition", "redirect_cdn",
]  # fmt: skip


def canaries(fake: FakeFreesound) -> list[str]:
    """Every secret there has been."""
    live = [token for token in fake.credentials._tokens.values()]
    return [fake.client.key, *(t.access for t in live), *(t.refresh for t in live)]


def told(error: BaseException) -> str:
    """All that an exception and what led to it can be made to say."""
    everything = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(error.args)
    return everything + repr(vars(error)) + repr(pickle.dumps(error)) + repr(error.__context__)


def attempt(call: Callable[[], object]) -> str:
    try:
        call()
    except (SaoError, OSError, DamagedFile) as error:
        return told(error)
    return ""


@pytest.mark.parametrize("kind", FAULTS)
def test_no_failure_tells_a_secret(
    fake: FakeFreesound, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [*canaries(fake), log_in(fake).access_token]
    fake.quirks = Quirks(ranges=True)
    storage = LocalStorage(tmp_path / "out")
    fake.faults.add(kind, at_most=0, seconds=1)
    client = web(fake, attempts=2, permits=Permits(QuotaWindows(), storage, "work/permits.json", fake.clock))
    said = attempt(lambda: client.get_json("search/"))
    path = tmp_path / "x.partial"
    for _ in range(2):
        said += attempt(lambda: client.get_json("me/", auth="oauth"))
        said += attempt(
            lambda: client.download("sounds/1000/download/", path, expected_bytes=44, auth="oauth")
        )
    secrets += canaries(fake)
    assert fake.record.entries
    files = [p.read_text(errors="replace") for p in (tmp_path / "out").rglob("*") if p.is_file()]
    for secret in secrets:
        assert secret not in said
        assert secret not in caplog.text
        assert not [text for text in files if secret in text]
        assert secret not in repr(client.__dict__)
    assert not fake.record.leaks


def test_a_server_that_repeats_the_secret_is_not_quoted(
    fake: FakeFreesound, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = fake.client.key
    for status in (400, 401, 403, 404, 429, 500):
        fake.faults.answer(as_json({"detail": f"you sent {key}"}, status), "search")
        fake.faults.answer(make(status, "text/html", key.encode()), "me")
        client = web(fake, attempts=1, windows=None)
        said = attempt(lambda client=client: client.get_json("search/"))
        assert said
        assert key not in said
        fake.faults.clear()
    assert key not in caplog.text


def test_the_token_endpoint_is_not_quoted_either(fake: FakeFreesound) -> None:
    grant = log_in(fake)
    fake.faults.answer(as_json({"error": f"bad {grant.refresh_token}"}, 400), "access_token")
    fake.credentials.expire(grant.access_token)
    said = attempt(lambda: web(fake).get_json("me/", auth="oauth"))
    assert "the login was refused (bad ***)" in said
    assert grant.refresh_token not in said


def test_what_is_sent_to_workers_holds_no_secret(fake: FakeFreesound, tmp_path: Path) -> None:
    grant = log_in(fake)
    tokens = Tokens(fake.base, clock=fake.clock)
    tokens.set_credential(credentials.Secrets(key=fake.client.key, client_id="me"))
    assert tokens.bearer() == grant.access_token
    workspace = Workspace(
        url=str(tmp_path / "out"), folder="work/sources/0", permits=NoPermits(), tokens=tokens
    )
    sent = pickle.dumps(workspace)
    shown = repr(workspace) + repr(tokens) + repr(grant) + repr(credentials.Secrets(key=fake.client.key))
    for secret in canaries(fake):
        assert secret.encode() not in sent
        assert secret not in shown
    again = pickle.loads(sent)
    assert again.storage.url == str(tmp_path / "out")
    assert again.name("pages", "1.json") == "work/sources/0/pages/1.json"


class NoPermits:
    """Can be pickled, as the proxy of a service can."""

    def ask(self) -> float:
        return 0.0

    def report_refusal(self, detail: str) -> None: ...

    def next_at(self) -> float:
        return 0.0

    def why(self) -> str:
        return ""


def test_terms_hold_no_secret(fake: FakeFreesound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREESOUND_TOKEN", fake.client.key)
    storage = LocalStorage(tmp_path)
    terms.check(storage, Release(), permission="", accept=True)
    assert fake.client.key not in storage.read(layout.TERMS).decode()


def test_the_url_that_is_kept_as_evidence_holds_no_secret(fake: FakeFreesound) -> None:
    answer = web(fake).get_json("search/", [("query", "rain")])
    everything: Any = (answer.url, answer.body.decode(), repr(answer))
    assert fake.client.key not in repr(everything)
    assert "query token" not in {r.auth for r in fake.record.entries}
