"""Joining a Ray cluster: addresses that lead nowhere, tokens, and the cluster that is no more."""

import os
import socket
from pathlib import Path

import pytest

from sao_data.errors import SaoError, Stopped, UsageError
from sao_data.execution import ray_cluster


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:{closed}", "no Ray cluster answers at 127.0.0.1:"),
        ("ray://127.0.0.1:{closed}", "use --executor local"),
        ("http://127.0.0.1:8265", "is the job server's address: submit with `ray job submit"),
        ("somewhere", "want HOST:PORT"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_with_the_fix(address: str, message: str) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can listen there
        taken.bind(("127.0.0.1", 0))
        given = address.format(closed=taken.getsockname()[1])
        with pytest.raises(UsageError) as caught:
            ray_cluster.check_address(given)
    assert message in str(caught.value)


@pytest.mark.parametrize("address", ["", "auto", "local"])
def test_addresses_that_ray_resolves_itself_are_left_to_it(address: str) -> None:
    ray_cluster.check_address(address)


def test_somebody_listening_is_enough_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ray_cluster.check_address(f"127.0.0.1:{server.getsockname()[1]}")


def test_the_address_of_a_dead_cluster_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert not ray_cluster.is_last_cluster_gone()
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
        assert not ray_cluster.is_last_cluster_gone()
    assert ray_cluster.is_last_cluster_gone()


@pytest.mark.parametrize(
    ("has_token", "mode", "address", "then"),
    [
        (True, "", "", "token"),
        (True, "disabled", "", "disabled"),
        (True, "", "127.0.0.1:6379", "token"),
        (False, "", "127.0.0.1:6379", ""),
    ],
)
def test_a_token_is_used_unless_somebody_said_otherwise(
    has_token: bool, mode: str, address: str, then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_environment(tmp_path, monkeypatch)
    for name, value in (("RAY_AUTH_MODE", mode), ("RAY_ADDRESS", address)):
        if value:
            monkeypatch.setenv(name, value)
    if has_token:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").touch()
    ray_cluster.prepare_token()
    assert os.environ.get("RAY_AUTH_MODE", "") == then
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_local_cluster_of_our_own_gets_a_token_that_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_environment(tmp_path, monkeypatch)
    ray_cluster.prepare_token()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert list(tmp_path.iterdir()) == []


def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster, no token, no word of either; what is set later is taken back."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


MISMATCH = (
    "Version mismatch: The cluster was started with:\n    Ray: {0}\n    Python: {1}\n"
    "This process on node 10.0.0.1 was started with:\n    Ray: {2}\n    Python: {3}\n"
)


@pytest.mark.parametrize(
    ("address", "said", "parts"),
    [
        (
            "h:1",
            MISMATCH.format("2.39.0", "3.11.7", "2.60.0", "3.11.7"),
            ["at h:1 runs Ray 2.39.0 on Python 3.11.7"],
        ),
        (
            "",
            MISMATCH.format("2.60.0", "3.9.1", "2.60.0", "3.11.7"),
            ["cluster runs Ray 2.60.0 on Python 3.9.1"],
        ),
        (
            "",
            MISMATCH.format("3.0.0.dev0", "3.9.1", "2.60.0", "3.11.7"),
            ["Ray 3.0.0.dev0", "ray==3.0.0.dev0 under"],
        ),
        (
            "h:1",
            "Failed to connect to GCS.\n Last 3 lines\nof files",
            ["h:1: Failed to connect to GCS. Last 3 lines of"],
        ),
    ],
)
def test_a_refusal_is_one_line_with_both_facts_and_the_fix(address: str, said: str, parts: list[str]) -> None:
    message = str(ray_cluster.refusal(address, said))
    assert "\n" not in message
    assert "--executor local" in message
    assert ("this command Ray 2.60.0 on Python 3.11.7" in message) == ("mismatch" in said)
    assert [part for part in parts if part not in message] == []


def test_a_stop_that_ray_wrapped_comes_out_as_it_was() -> None:
    with pytest.raises(Stopped, match="SIGTERM"), ray_cluster.unwrapped_signals():
        raise SystemError("returned a result with an exception set") from Stopped("SIGTERM received")
    with pytest.raises(SystemError) as caught, ray_cluster.unwrapped_signals():
        raise SystemError("something else")
    assert not isinstance(caught.value, SaoError)
