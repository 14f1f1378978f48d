"""Keys from the environment, the login from a file of one's own, and renewing it once."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.fetch import credentials, oauth
from sao_data.fetch.credentials import Secrets
from sao_data.fetch.tokens import Tokens
from sao_data.fetch.wire import FREESOUND, TransientError
from tests.fakes.freesound import FakeFreesound, SimulatedClock
from tests.fetch.made_web import log_in


def tokens(fake: FakeFreesound) -> Tokens:
    made = Tokens(fake.base, clock=fake.clock, sleep=fake.sleep)
    made.set_credential(Secrets(key=fake.client.key, client_id=fake.client.client_id))
    return made


def test_the_key_leaves_the_environment_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREESOUND_TOKEN", " SECRET-canary \n")
    monkeypatch.setenv("FREESOUND_CLIENT_ID", "me")
    assert credentials.from_environment() == Secrets(key="SECRET-canary", client_id="me")
    seen = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ)"], capture_output=True, check=True
    )
    assert b"canary" not in seen.stdout
    assert b"HOME" in seen.stdout
    assert credentials.from_environment().key == "SECRET-canary"


@pytest.mark.parametrize("value", ["SECRET canary", "SECRET\nX-Evil: canary", "ключ-canary", "canary\x00"])
def test_a_key_that_cannot_be_one_is_not_repeated(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(os, "environ", {"FREESOUND_TOKEN": value})
    with pytest.raises(UsageError, match="FREESOUND_TOKEN has characters that none has") as caught:
        credentials.from_environment()
    assert "canary" not in str(caught.value)


def test_what_is_missing_is_said_with_the_next_step(
    fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no API key; get one at"):
        credentials.require(login=False, base_url=fake.base)
    monkeypatch.setenv("FREESOUND_TOKEN", "SECRET-canary")
    assert credentials.require(login=False, base_url=fake.base).key == "SECRET-canary"
    with pytest.raises(
        UsageError, match='need a login; run `sao login freesound`, or set rendition = "preview"'
    ):
        credentials.require(login=True, base_url=fake.base)
    log_in(fake)
    assert credentials.require(login=True, base_url=fake.base).client_id == fake.client.client_id


def test_a_grant_is_its_owners_alone_from_the_first_byte(fake: FakeFreesound, home: Path) -> None:
    grant = log_in(fake)
    path = credentials.grant_path()
    assert path == home / ".config" / "sao" / "freesound.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert credentials.load_grant(fake.base) == grant
    assert [p.name for p in path.parent.iterdir()] == ["freesound.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_grant_that_others_can_read_is_refused(fake: FakeFreesound, mode: int) -> None:
    log_in(fake)
    credentials.grant_path().chmod(mode)
    with pytest.raises(UsageError, match=rf"not yours alone \(mode {mode:o}\).*chmod 600"):
        credentials.load_grant(fake.base)


def test_a_grant_is_not_shown_to_another_server(fake: FakeFreesound) -> None:
    log_in(fake)
    with pytest.raises(UsageError, match=f"is for {fake.base}, not {FREESOUND}"):
        credentials.load_grant(FREESOUND)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"access_token": "SECRET-canary"}', "SECRET-canary"]
)
def test_a_damaged_grant_is_said_and_not_repeated(fake: FakeFreesound, text: str) -> None:
    log_in(fake)
    credentials.grant_path().write_text(text)
    with pytest.raises(UsageError, match="damaged; run `sao login freesound` again") as caught:
        credentials.load_grant(fake.base)
    assert "canary" not in repr(caught.value)


def test_a_grant_whose_token_could_not_stand_in_a_header_is_damaged(fake: FakeFreesound) -> None:
    log_in(fake)
    table = json.loads(credentials.grant_path().read_text())
    credentials.grant_path().write_text(json.dumps(table | {"access_token": "a\r\nX: canary"}))
    with pytest.raises(UsageError, match="damaged"):
        credentials.load_grant(fake.base)


def test_logging_out_is_forgetting(fake: FakeFreesound) -> None:
    log_in(fake)
    assert credentials.delete_grant()
    assert not credentials.delete_grant()
    assert credentials.load_grant(fake.base) is None


def test_a_renewed_login_is_stored_before_it_is_used(fake: FakeFreesound) -> None:
    old = log_in(fake)
    fresh = tokens(fake).expired(old.access_token)
    stored = credentials.load_grant(fake.base)
    assert stored
    assert stored.access_token == fresh != old.access_token
    assert stored.refresh_token != old.refresh_token


def test_a_renewed_login_that_cannot_be_stored_still_serves_this_run(
    fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = log_in(fake)

    def full(_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(credentials, "save_grant", full)
    ours = tokens(fake)
    fresh = ours.expired(old.access_token)
    assert fake.credentials.bearer(fresh)[0]
    assert ours.bearer() == ours.expired(old.access_token) == fresh  # what the file has is worthless
    assert "cannot be stored" in caplog.text


def test_what_another_process_has_renewed_is_taken_from_the_file(fake: FakeFreesound) -> None:
    old = log_in(fake)
    ours, theirs = tokens(fake), tokens(fake)
    assert ours.bearer() == theirs.bearer() == old.access_token
    fresh = theirs.expired(old.access_token)
    assert ours.expired(old.access_token) == fresh
    assert fake.credentials.num_refreshes == 1


def test_a_file_that_is_out_of_date_too_is_renewed(fake: FakeFreesound, clock: SimulatedClock) -> None:
    old = log_in(fake)
    ours = tokens(fake)
    theirs = tokens(fake).expired(old.access_token)
    clock.advance(90_000)
    assert ours.bearer() not in (old.access_token, theirs)
    assert fake.credentials.num_refreshes == 2


def test_renewing_is_tried_again_after_a_transient_failure(
    fake: FakeFreesound, clock: SimulatedClock
) -> None:
    old = log_in(fake)
    fake.faults.add("bad_gateway", "access_token")
    assert tokens(fake).expired(old.access_token) != old.access_token
    fake.faults.clear()
    fake.faults.add("reset", "access_token", at_most=0)
    with pytest.raises(TransientError, match=r"the connection broke \(5 attempts\); check the network"):
        tokens(fake).expired(tokens(fake).bearer())


def test_a_key_that_does_not_belong_to_the_login(fake: FakeFreesound) -> None:
    old = log_in(fake)
    made = Tokens(fake.base, clock=fake.clock)
    made.set_credential(Secrets(key="SECRET-canary"))
    with pytest.raises(UsageError, match="do not belong together") as caught:
        made.expired(old.access_token)
    assert "canary" not in str(caught.value)


def test_a_code_works_once_and_for_ten_minutes(fake: FakeFreesound, clock: SimulatedClock) -> None:
    secrets = Secrets(key=fake.client.key, client_id=fake.client.client_id)
    code = fake.credentials.code(fake.client.client_id, "operator")
    assert oauth.exchange(fake.base, secrets, code, clock=clock).expires_at == clock() + 86_400
    late = fake.credentials.code(fake.client.client_id, "operator")
    clock.advance(601)
    for used_up in (code, late):
        with pytest.raises(UsageError, match="each works once, for 10 minutes"):
            oauth.exchange(fake.base, secrets, used_up)


def test_the_service_is_made_empty_and_a_copy_of_it_is_empty(fake: FakeFreesound) -> None:
    made = tokens(fake)
    assert made.key() == fake.client.key
    sent = pickle.dumps(made)
    assert fake.client.key.encode() not in sent
    with pytest.raises(UsageError, match="no API key"):
        pickle.loads(sent).key()


def test_a_service_at_another_address_is_not_made() -> None:
    with pytest.raises(UsageError, match="is not Freesound"):
        Tokens("https://evil.example/apiv2/")
