"""Both executors, played through the same scenarios; Ray on a real cluster, in a process of its own."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from sao_data import executor
from sao_data.errors import UsageError
from tests import executor_scenarios as scenarios
from tests import processes
from tests.conftest import Cluster

STOPPED = [
    "Stopped",
    "a unit failed 3 times ([Errno 5] disk on fire); nothing is lost: mend it and run again",
]
EXPECTED = {
    "results_come_in_any_order": [0, 1, 4, 9, 16, 25, 36, 49],
    "nothing_to_do": [],
    "weather_that_passes": [[7], 3],
    "weather_that_stays": [STOPPED, 3],
    "a_verdict": [["IntegrityError", "shard 3 is damaged"], 1],
    "a_bug": [False, True, 1],
    "a_service_is_shared": [list(range(1, 13)), 112],
    "a_service_may_say_no": ["UsageError", "no permits left"],
}


@pytest.fixture(scope="module")
def answers(ray_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every scenario as it went on the cluster."""
    tmp = tmp_path_factory.mktemp("scenarios")
    command = [str(processes.BIN / "python"), "-m", "tests.executor_scenarios", str(tmp)]
    status, said = processes.ran(*command, env=ray_cluster.env(), cwd=ray_cluster.root)
    assert status == 0, said
    return json.loads(next(line for line in said.splitlines() if line.startswith("{")))


@pytest.mark.parametrize("scenario", scenarios.COMMON, ids=lambda scenario: scenario.__name__)
def test_local(scenario: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    answer = scenario(executor.LocalExecutor(), tmp_path)
    assert json.loads(json.dumps(answer)) == EXPECTED[scenario.__name__]


@pytest.mark.ray_cluster
@pytest.mark.parametrize("name", EXPECTED)
def test_ray(name: str, answers: Any) -> None:
    assert answers[name] == EXPECTED[name]


@pytest.mark.ray_cluster
def test_a_killed_worker_is_replaced_and_a_deadly_unit_stops_the_run(answers: Any) -> None:
    assert answers["a_worker_killed_once"] == [[3], 2]
    assert answers["a_worker_killed_always"] == ["Stopped", True, 3]


@pytest.mark.ray_cluster
def test_units_that_nobody_waits_for_are_interrupted_so_that_they_tidy_up(answers: Any) -> None:
    assert answers["abandoned_units_are_interrupted"] == "interrupted"


@pytest.mark.ray_cluster
def test_a_failed_look_names_the_node(answers: Any) -> None:
    assert answers["a_node_that_cannot_see"].startswith("Ray node ")
    assert answers["a_node_that_cannot_see"].endswith(": cannot see /out")


@pytest.mark.ray_cluster
def test_ray_does_not_keep_the_signal_handler(answers: Any) -> None:
    assert answers["sigterm is still ours"]


def test_unknown_executors_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="slurm: want one of ray, local"):
        executor.make("slurm")


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
            executor._check_address(given)
    assert message in str(caught.value)


@pytest.mark.parametrize("address", ["", "auto", "local"])
def test_addresses_that_ray_resolves_itself_are_left_to_it(address: str) -> None:
    executor._check_address(address)


def test_somebody_listening_is_enough_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        executor._check_address(f"127.0.0.1:{server.getsockname()[1]}")


def test_the_address_of_a_dead_cluster_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert not executor._is_last_cluster_gone()
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
        assert not executor._is_last_cluster_gone()
    assert executor._is_last_cluster_gone()


@pytest.mark.parametrize(
    ("has_token", "mode", "then"), [(True, "", "token"), (True, "disabled", "disabled"), (False, "", "")]
)
def test_a_token_is_used_unless_somebody_said_otherwise(
    has_token: bool, mode: str, then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    if not mode:
        monkeypatch.delenv("RAY_AUTH_MODE")
    if has_token:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").touch()
    executor._use_token_if_there()
    assert os.environ.get("RAY_AUTH_MODE", "") == then
