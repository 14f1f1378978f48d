"""`ray job submit` against a real cluster: the promised commands, and the mistakes that people make."""

import contextlib
import json
import secrets
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.conftest import Cluster, running_cluster
from tests.datasets_made import tree, write_folder

pytestmark = pytest.mark.ray_cluster

SUBMIT = (str(processes.BIN / "ray"), "job", "submit")
IN_A_COPY = (*SUBMIT, "--working-dir", ".", "--", "python", "pipelines/ingest.py")
ELSEWHERE = (
    'name = "elsewhere"\nscreening = "off"\n\n[[source]]\nplugin = "folder"\npath = "../../recordings"\n'
)


@pytest.fixture(scope="module")
def jobs(ray_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.Popen[str]]:
    """Every job of this file, submitted at once: each takes seconds to start and to end."""
    root, out = ray_cluster.root, tmp_path_factory.mktemp("jobs")
    write_folder(root.parent / "recordings", 1)  # beside the repository, so not in the copy that Ray makes
    (root / "manifests" / "elsewhere.toml").write_text(ELSEWHERE)
    env = ray_cluster.submit_env()
    by_address = processes.environment(RAY_ADDRESS=ray_cluster.jobs, RAY_AUTH_MODE="disabled")
    absolute = ("--manifest", "manifests/demo.toml", "--out", str(out / "demo"))
    missing = ("--manifest", "manifests/elsewhere.toml", "--out", str(out / "elsewhere"))
    return {
        "literal": processes.start(*SUBMIT, "pipelines/ingest.py", env=env, cwd=root),
        "copy": processes.start(*IN_A_COPY, *absolute, env=by_address, cwd=root),
        "relative": processes.start(*IN_A_COPY, "--out", "out/lost", env=env, cwd=root),
        "missing": processes.start(*IN_A_COPY, *missing, env=env, cwd=root),
        "no dashes": processes.start(*SUBMIT, "pipelines/ingest.py", "--limit", "3", env=env, cwd=root),
    }


@pytest.fixture(scope="module")
def said(jobs: dict[str, subprocess.Popen[str]]) -> Iterator[dict[str, tuple[int, str]]]:
    """How each job ended and what its log says."""
    try:
        yield {name: processes.ended(job) for name, job in jobs.items()}
    finally:
        for job in jobs.values():
            processes.kill_group(job)


Said = dict[str, tuple[int, str]]


def test_the_literal_command_builds_the_demo_below_the_repository(
    said: Said, ray_cluster: Cluster, demo_dataset: Path
) -> None:
    status, log = said["literal"]
    assert status == 0, log
    assert f"{ray_cluster.root}/out/demo" in log
    assert tree(ray_cluster.root / "out" / "demo", work=True) == tree(demo_dataset, work=True)


def test_a_job_in_a_copy_of_the_repository_writes_the_same_bytes(
    said: Said, demo_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    status, log = said["copy"]
    assert status == 0, log
    line = next(line for line in log.splitlines() if line.startswith("dataset "))
    assert tree(Path(line.split()[1]), work=True) == tree(demo_dataset, work=True)


def test_a_relative_output_in_the_copy_is_refused_with_the_fix(said: Said) -> None:
    status, log = said["relative"]
    assert (status, "exit code 2" in log) == (1, True), log
    assert "error: --out out/lost: this job runs in a temporary copy" in log
    assert "give --out an absolute path or an object-store URL" in log


def test_input_that_is_not_in_the_copy_is_refused_with_its_path(said: Said) -> None:
    status, log = said["missing"]
    assert (status, "exit code 2" in log) == (1, True), log
    assert "/recordings: no such folder; set source.path" in log


def test_options_without_dashes_are_rays_own_and_rejected_by_it(said: Said) -> None:
    status, log = said["no dashes"]
    assert (status, "No such option '--limit'" in log) == (2, True), log


def test_the_address_of_a_cluster_that_is_gone_is_refused_with_the_fix(tmp_path: Path) -> None:
    env = processes.environment(RAY_ADDRESS="127.0.0.1:1")
    status, log = processes.ran(*processes.INGEST, "--out", str(tmp_path / "out"), env=env)
    assert status == 2, log
    assert "error: no Ray cluster answers at 127.0.0.1:1" in log
    assert "start one with `ray start --head`, unset RAY_ADDRESS, or use --executor local" in log


RECORD = """
import json, sys
from ray._raylet import GcsClient
client, key, space = GcsClient(address=sys.argv[1]), b"CLUSTER_METADATA", b"cluster"
said = json.loads(client.internal_kv_get(key, space))
client.internal_kv_put(key, json.dumps(said | json.loads(sys.argv[2])).encode(), True, space)
print(json.dumps({name: said[name] for name in ("ray_version", "python_version")}))
"""


@contextlib.contextmanager
def _other_versions(cluster: Cluster, **versions: str) -> Iterator[None]:
    """The cluster's own record says that it runs these."""

    def written(changes: dict[str, str]) -> dict[str, str]:
        command = [str(processes.BIN / "python"), "-c", RECORD, cluster.address, json.dumps(changes)]
        status, said = processes.ran(*command, env=cluster.env())
        assert status == 0, said
        before: dict[str, str] = json.loads(said.splitlines()[-1])
        return before

    before = written(versions)
    try:
        yield
    finally:
        written(before)


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"ray_version": "2.39.0"}, "runs Ray 2.39.0 on Python 3."),
        ({"python_version": "3.9.18"}, "on Python 3.9.18, this command Ray 2."),
    ],
)
def test_a_cluster_of_another_version_is_refused_with_both(
    ray_cluster: Cluster, tmp_path: Path, versions: dict[str, str], said: str
) -> None:
    with _other_versions(ray_cluster, **versions):
        command = (*processes.INGEST, "--out", str(tmp_path / "out"), "--executor", "ray")
        status, log = processes.ran(*command, env=ray_cluster.env())
    assert (status, "Traceback" in log) == (2, False), log
    assert f"error: the Ray cluster at {ray_cluster.address} runs Ray " in log
    assert said in log
    assert "both have to be equal: start the cluster with the Python of this command" in log


@pytest.mark.slow  # starts a second node
def test_a_node_that_cannot_see_the_output_is_named(ray_cluster: Cluster, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    with _blind_node(ray_cluster, hidden):
        command = (*processes.INGEST, "--out", str(hidden / "out"))
        status, log = processes.ran(*command, env=ray_cluster.env(), cwd=ray_cluster.root)
    assert status == 2, log
    assert "error: Ray node blind" in log
    assert f"cannot see {hidden}/out; give --out a folder that every node mounts" in log
    assert not list(hidden.glob("out/work/decide/*")), "work began before every node was asked"


def test_a_token_that_is_wanted_and_not_there_is_explained(ray_cluster: Cluster, tmp_path: Path) -> None:
    env = ray_cluster.env(HOME=str(tmp_path)) | {"RAY_AUTH_MODE": "token"}
    status, log = processes.ran(*processes.INGEST, "--out", str(tmp_path / "out"), env=env)
    assert status == 2, log
    assert "error: Ray refuses the connection" in log
    assert "set RAY_AUTH_MODE=token for this command too, or RAY_AUTH_MODE=disabled" in log


@pytest.mark.slow
def test_a_cluster_with_a_token_is_joined_by_who_has_it(ray_cluster: Cluster, tmp_path: Path) -> None:
    home, stranger = tmp_path / "home", tmp_path / "stranger"
    stranger.mkdir(parents=True)
    env = processes.environment(HOME=str(home))
    processes.ran(str(processes.BIN / "ray"), "get-auth-token", "--generate", env=env)
    with running_cluster(ray_cluster.root, HOME=str(home)) as cluster:
        env["RAY_ADDRESS"] = cluster.address
        command = (*processes.INGEST, "--limit", "2", "--out")
        status, log = processes.ran(*command, str(tmp_path / "one"), env=env)
        assert status == 0, log
        status, log = processes.ran(*command, str(tmp_path / "two"), env=env | {"HOME": str(stranger)})
        assert (status, "If there is one: Ray's token authentication is on" in log) == (2, True), log
        assert "RAY_AUTH_MODE=disabled for both `ray start` and this command" in log


@contextlib.contextmanager
def _blind_node(cluster: Cluster, hidden: Path) -> Iterator[None]:
    """A second node whose view of `hidden` is an empty folder of its own."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here: unshare -m is not permitted")
    mark = f"SAO_TEST_NODE={secrets.token_hex(8)}"
    name, _, value = mark.partition("=")
    script = f'mount -t tmpfs none "{hidden}" && exec "$@"'
    log = hidden.parent / "node.log"
    try:
        with log.open("w") as file:
            subprocess.run(
                ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh",
                 str(processes.BIN / "ray"), "start", "--address", cluster.address, "--node-name", "blind",
                 "--num-cpus", "1", "--object-store-memory", "100000000", "--disable-usage-stats"],
                env=processes.environment(RAY_AUTH_MODE="disabled", **{name: value}),
                stdout=file, stderr=file, check=False, timeout=600,
            )  # fmt: skip
        processes.wait_for(lambda: "blind" in _living_nodes(cluster), f"the node: {log.read_text()}")
        yield
    finally:
        for pid in processes.marked(mark):
            if "/raylet " in processes.command_line(pid):
                processes.kill(pid, signal.SIGTERM)  # it says goodbye; if killed it is missed late
        processes.wait_for(lambda: "blind" not in _living_nodes(cluster), "the node to be gone")
        processes.kill_marked(mark)


def _living_nodes(cluster: Cluster) -> set[str]:
    """Names of the nodes that the cluster counts as alive."""
    with urllib.request.urlopen(f"{cluster.jobs}/nodes?view=summary", timeout=60) as response:
        summary = json.load(response)["data"]["summary"]
    return {node["raylet"]["nodeName"] for node in summary if node["raylet"]["state"] == "ALIVE"}
