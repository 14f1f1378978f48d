"""`sao login`: a page to open, a code to paste, a login that is stored; --status and --logout."""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sao_data.commands.verbs import login
from sao_data.errors import MatchedNothing, UsageError
from sao_data.fetch import credentials
from tests.fakes.freesound import FakeFreesound
from tests.paths import ROOT

CANARY = "SECRET-canary-0002"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFreesound]:
    """A server, and a person whose key it knows."""
    monkeypatch.setenv("HOME", str(tmp_path))
    credentials.forget()
    with FakeFreesound(client_id="the-client", key=CANARY) as running:
        monkeypatch.setenv("FREESOUND_CLIENT_ID", "the-client")
        monkeypatch.setenv("FREESOUND_TOKEN", CANARY)
        yield running
    credentials.forget()


def run(fake: FakeFreesound, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    login.add_arguments(parser)
    return login.run(parser.parse_args(["freesound", "--set", f"base_url={fake.base}", *arguments]))


def pasted(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text + "\n"))


def allow(url: str) -> tuple[str, str]:
    """Open the page as the person does; the code it shows and the address it has."""
    with urllib.request.urlopen(url, timeout=600) as page:
        match = re.search(r'id="code">(\w+)<', page.read().decode())
        assert match
        return match[1], page.url


@pytest.mark.parametrize("pasting", ["code", "address"])
def test_a_code_is_turned_into_a_stored_login(
    fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pasting: str
) -> None:
    page = f"{fake.base}oauth2/authorize/?client_id=the-client&response_type=code"
    code, address = allow(page)
    pasted(monkeypatch, f"  {code if pasting == 'code' else address}  ")
    assert run(fake) == 0
    said = capsys.readouterr().out
    assert page in said
    assert str(credentials.grant_path()) in said
    grant = credentials.load_grant(fake.base)
    assert grant
    assert fake.credentials.bearer(grant.access_token)[0]
    for secret in (CANARY, code, grant.access_token, grant.refresh_token):
        assert secret not in said


@pytest.mark.parametrize("text", ["", "no code", "../../etc", "https://freesound.org/?code=", "x" * 300])
def test_what_is_no_code_is_not_sent(fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    pasted(monkeypatch, text)
    with pytest.raises(UsageError, match="that is no code"):
        run(fake)
    assert not fake.record.entries


def test_a_wrong_code_is_said(fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch) -> None:
    pasted(monkeypatch, "abcdefgh12345678")
    with pytest.raises(UsageError, match="each works once, for 10 minutes"):
        run(fake)
    assert credentials.load_grant(fake.base) is None


def test_a_wrong_key_is_said(fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREESOUND_TOKEN", "SECRET-other")
    pasted(monkeypatch, fake.credentials.code("the-client", "operator"))
    with pytest.raises(UsageError, match="FREESOUND_CLIENT_ID and FREESOUND_TOKEN do not belong together"):
        run(fake)


@pytest.mark.parametrize("missing", ["FREESOUND_TOKEN", "FREESOUND_CLIENT_ID"])
def test_what_is_missing_is_asked_for(
    fake: FakeFreesound, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(UsageError, match=f"set {missing}"):
        run(fake)


def test_status_and_logout(fake: FakeFreesound, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MatchedNothing, match="nobody is logged in; run `sao login freesound`"):
        run(fake, "--status")
    token = fake.login()
    credentials.save_grant(
        credentials.Grant(
            access_token=token.access,
            refresh_token=token.refresh,
            expires_at=1_785_000_000.0,
            client_id="the-client",
            base_url=fake.base,
        )
    )
    assert run(fake, "--status") == 0
    said = capsys.readouterr().out
    assert "API key   set" in said
    assert "of application the-client" in said
    assert "good until 2026-07-25T17:20Z" in said
    for secret in (CANARY, token.access, token.refresh):
        assert secret not in said
    assert run(fake, "--logout") == 0
    with pytest.raises(MatchedNothing, match="nobody was logged in"):
        run(fake, "--logout")


@pytest.mark.parametrize("assignment", ["base_url=https://evil.example/", "level=3", "base_url"])
def test_the_key_goes_to_no_other_address(assignment: str) -> None:
    parser = argparse.ArgumentParser()
    login.add_arguments(parser)
    with pytest.raises(UsageError):
        login.run(parser.parse_args(["freesound", "--set", assignment]))


def test_another_user_of_the_machine_sees_no_secret(fake: FakeFreesound, tmp_path: Path) -> None:
    """While it waits for the code, `ps` shows the command and nothing else."""
    code = (
        "import argparse; from sao_data.commands.verbs import login; p = argparse.ArgumentParser()\n"
        f"login.add_arguments(p); login.run(p.parse_args(['freesound', '--set', 'base_url={fake.base}']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin
    assert child.stdout
    line = next(line for line in child.stdout if "oauth2/authorize" in line)
    assert CANARY not in line
    if sys.platform == "linux":
        assert CANARY.encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes()
    child.communicate(allow(line.strip())[0] + "\n", timeout=600)
    assert child.returncode == 0
    assert credentials.load_grant(fake.base)
