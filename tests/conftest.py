"""What many tests share, each made once, when first asked for: a real Ray cluster, a demo dataset, commands
without imports. And what none of them waits for: the disk."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from tests import processes
from tests.fakes import s3_server
from tests.warm import Warm

hypothesis.settings.register_profile("here", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("here")

_NOT_COPIED = shutil.ignore_patterns(".*", "out", "build", "dist", "__pycache__")
# Two workers end together only if what takes longest does not begin last; a cluster costs while it is there.
_FIRST = ("test_model_commands", "test_training", "test_kill", "test_commands", "test_first_hour", "test_run")
_LAST = ("test_ray_jobs", "test_executor", "test_readers")
_OBJECT_STORE = 100_000_000  # bytes; our tasks carry names, not audio
_CLUSTER_PORTS = (
    "--port",
    "--dashboard-port",
    "--ray-client-server-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--runtime-env-agent-port",
    "--metrics-export-port",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster."""

    address: str  # HOST:PORT for RAY_ADDRESS
    jobs: str  # http://HOST:PORT for `ray job submit`
    root: Path  # a copy of the repository; `ray start` ran there
    mark: str  # in the environment of every process it started

    def env(self, **extra: str) -> dict[str, str]:
        """For a program that is to join this cluster."""
        return processes.environment(RAY_ADDRESS=self.address, RAY_AUTH_MODE="disabled", **extra)

    def submit_env(self, **extra: str) -> dict[str, str]:
        """For `ray job submit`."""
        return processes.environment(RAY_API_SERVER_ADDRESS=self.jobs, RAY_AUTH_MODE="disabled", **extra)

    def workers(self, task: str) -> list[int]:
        """Processes that are running a task of this name just now."""
        return [
            pid
            for pid in processes.marked(self.mark)
            if processes.command_line(pid).startswith(f"ray::{task}")
        ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order above; those that are not named there in between, as they are."""

    def place(item: pytest.Item) -> int:
        name = item.path.stem
        if name in _LAST:
            return 1 + _LAST.index(name)
        return _FIRST.index(name) - len(_FIRST) if name in _FIRST else 0

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _disk_not_waited_for() -> Iterator[None]:
    """No power cut is tested: in this process nothing is synced to the disk. Commands, which are processes of
    their own, do sync."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield


@contextlib.contextmanager
def copied_repository() -> Iterator[Path]:
    """A copy of the working tree, so that no test touches a developer's out/ or another test's."""
    with tempfile.TemporaryDirectory(prefix="sao-copy-", dir="/tmp") as folder:
        yield Path(shutil.copytree(processes.ROOT, Path(folder) / "sao", ignore=_NOT_COPIED))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Cluster]:
    """A real cluster, started with `ray start` in a copy of the repository."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    with copied_repository() as copy, running_cluster(copy, RAY_AUTH_MODE="disabled") as cluster:
        yield cluster


@contextlib.contextmanager
def running_cluster(root: Path, **extra: str) -> Iterator[Cluster]:
    """A cluster of one node and two CPUs, started in `root`; ended by the ids of its own processes."""
    with tempfile.TemporaryDirectory(prefix="sao-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        mark = f"SAO_TEST_CLUSTER={secrets.token_hex(8)}"
        try:
            yield _start_cluster(root, Path(folder), mark, extra)
        finally:
            processes.kill_marked(mark)  # never `ray stop`: it ends every cluster of the machine


@pytest.fixture(scope="session")
def demo_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as `--executor local` builds it; read, never changed: all workers share it."""

    def make(out: Path) -> None:
        status, said = processes.ran(*processes.INGEST, "--executor", "local", "--out", str(out))
        assert status == 0, said

    return made_once(tmp_path_factory, "demo", make)


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Commands of the data road."""
    with Warm("sao_data.ingest.run", "pyarrow.parquet", "pyloudnorm", "soundfile", "soxr", "av", "jinja2",
              "rich.progress") as server:  # fmt: skip
        yield server


@pytest.fixture(scope="session")
def warm_torch() -> Iterator[Warm]:
    """Commands of the model road."""
    with Warm("pydantic", "pyarrow.parquet", "pyloudnorm", "soundfile", "torch._dynamo", "accelerate",
              "transformers", "peft", "rich.progress") as server:  # fmt: skip
        yield server


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker to ask makes and the others find."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / name).exists():
            make(root / f"{name}.part")
            (root / f"{name}.part").rename(root / name)
    return root / name


def _start_cluster(root: Path, folder: Path, mark: str, extra: dict[str, str]) -> Cluster:
    ports = _free_ports(len(_CLUSTER_PORTS))
    options = [part for name, port in zip(_CLUSTER_PORTS, ports, strict=True) for part in (name, str(port))]
    name, _, value = mark.partition("=")
    env = processes.environment(**extra, **{name: value})
    log = folder / "start.log"
    with log.open("w") as file:  # a file: its daemons inherit it and would hold a pipe open for ever
        # in the background of a shell, as scripts start it: its processes ignore SIGINT
        started = subprocess.run(
            ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", str(processes.BIN / "ray"),
             "start", "--head", "--num-cpus", "2", "--disable-usage-stats",
             "--object-store-memory", str(_OBJECT_STORE), "--temp-dir", str(folder),
             "--dashboard-host", "127.0.0.1", "--include-log-monitor", "false", *options],
            cwd=root, env=env, stdout=file, stderr=file, timeout=600, check=False,
        )  # fmt: skip
    assert started.returncode == 0, log.read_text()
    return Cluster(address=f"127.0.0.1:{ports[0]}", jobs=f"http://127.0.0.1:{ports[1]}", root=root, mark=mark)


def _free_ports(num: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(num)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


@pytest.fixture(scope="session")
def s3() -> Iterator[s3_server.S3]:
    """An object store on loopback, known to this process and to those it starts."""
    pytest.importorskip("moto", reason="moto (a server of S3 for tests) is not installed")
    with s3_server.served() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        yield server
