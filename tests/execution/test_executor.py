"""Both executors, played through the same scenarios; Ray on a real cluster, in a process of its own."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from sao_data.errors import UsageError
from sao_data.execution import executor
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
    "gpus_there_are": [0, [0, 1]],
    "a_failure_that_passes": [[7], 3],
    "a_failure_that_stays": [STOPPED, 3],
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
