"""Runs that are killed, stopped or doubled end, when run again, in the very bytes of an undisturbed run."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from tests import processes
from tests.conftest import Cluster
from tests.datasets_made import tree

SMALL = ("--set", "source.0.count=12", "--set", "source.0.seconds=0.3", "--set", "num_buckets=3")
LARGER = ("--set", "source.0.count=24", "--set", "num_buckets=6")
AGAIN = "nothing is lost: run the same command again to continue"
MOST_RESTARTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What an undisturbed run makes."""

    files: dict[str, str]  # sha256 by name, work/ included
    seconds: float


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a kill loop did."""

    kills: dict[str, int]
    restarts: int = 0


Process = subprocess.Popen[str]
Kill = Callable[[Process, random.Random], bool]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return undisturbed(tmp_path_factory.mktemp("small") / "out", SMALL)


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return undisturbed(tmp_path_factory.mktemp("larger") / "out", LARGER)


def undisturbed(out: Path, settings: tuple[str, ...]) -> Build:
    began = time.monotonic()
    status, said = processes.ended(local(out, settings))
    assert status == 0, said
    return Build(files=tree(out, work=True), seconds=time.monotonic() - began)


def local(out: Path, settings: tuple[str, ...] = SMALL) -> Process:
    return processes.start(*processes.INGEST, "--executor", "local", "--out", str(out), *settings)


def kill_driver(process: Process, rng: random.Random) -> bool:
    return processes.kill(process.pid)


def kill_group(process: Process, rng: random.Random) -> bool:
    processes.kill_group(process)
    return True


def kill_child(process: Process, rng: random.Random) -> bool:
    children = processes.descendants(process.pid)
    return bool(children) and processes.kill(rng.choice(children))


LOCAL_KILLS: dict[str, Kill] = {"driver": kill_driver, "group": kill_group, "child": kill_child}


def kill_loop(
    start: Callable[[], Process], kills: Mapping[str, Kill], num: int, seconds: float, seed: int
) -> Tally:
    """Start, kill at a seeded moment, start again, `num` times at most; then let it end by itself."""
    rng, tally = random.Random(seed), Tally(kills=dict.fromkeys(kills, 0))
    while True:
        process = start()
        if sum(tally.kills.values()) < num:
            try:
                process.wait(rng.uniform(0.2, seconds))
            except subprocess.TimeoutExpired:
                mode = rng.choice(sorted(kills))
                tally.kills[mode] += kills[mode](process, rng)
        status, said = processes.ended(process)
        processes.wait_for(partial(no_audio_child, process.pid), "the audio child to follow")
        if status == 0:
            return tally
        assert status in (-signal.SIGKILL, 4), said
        tally.restarts += 1
        assert tally.restarts <= MOST_RESTARTS


def no_audio_child(parent: int) -> bool:
    """Is there no audio child of this process, dead or alive? Their command line names it."""
    return not any(f"sandbox_worker {parent}" in line for line in map(processes.command_line, everybody()))


def everybody() -> list[int]:
    return processes.descendants(1)


def leftovers(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.name.startswith(".tmp-") or path.name == "spool"]


def assert_like(build: Build, out: Path) -> None:
    assert tree(out, work=True) == build.files
    assert leftovers(out) == []
    assert verify(open_dataset(str(out))) == []


def local_trials(build: Build, tmp: Path, total: int) -> Tally:
    """Fresh directories, up to three kills each, until there were `total`."""
    sum_of = Tally(kills=dict.fromkeys(LOCAL_KILLS, 0))
    for trial in range(total):
        left = total - sum(sum_of.kills.values())
        if left <= 0:
            break
        out = tmp / f"trial-{trial}"
        tally = kill_loop(partial(local, out), LOCAL_KILLS, min(left, 3), build.seconds, seed=trial)
        assert_like(build, out)
        sum_of.restarts += tally.restarts
        for mode, num in tally.kills.items():
            sum_of.kills[mode] += num
    return sum_of


def test_kills_at_any_moment_leave_no_trace(small: Build, tmp_path: Path) -> None:
    tally = local_trials(small, tmp_path, total=3)
    assert sum(tally.kills.values()) >= 2
    assert tally.restarts >= 1


@pytest.mark.slow
def test_twenty_kills_at_any_moment_leave_no_trace(small: Build, tmp_path: Path) -> None:
    tally = local_trials(small, tmp_path, total=20)
    assert sum(tally.kills.values()) == 20


def test_a_killed_audio_child_is_replaced_without_a_restart(small: Build, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = local(out)
    processes.wait_for(lambda: processes.descendants(process.pid), "the audio child")
    processes.kill(processes.descendants(process.pid)[0])
    status, said = processes.ended(process)
    assert status == 0, said
    assert_like(small, out)


def test_sigterm_stops_with_4_and_the_next_run_completes(small: Build, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = local(out)
    processes.wait_for(lambda: list(out.glob("work/spool/*")), "audio in the sandbox")
    processes.kill(process.pid, signal.SIGTERM)
    status, said = processes.ended(process)
    assert (status, f"stopped: SIGTERM received; {AGAIN}" in said) == (4, True), said
    assert not (out / "dataset.json").exists()
    assert list(out.glob("work/spool/*")) == []
    assert processes.ended(local(out))[0] == 0
    assert_like(small, out)


def test_a_second_run_into_the_same_directory_is_refused_and_names_the_first(
    small: Build, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = local(out)
    processes.wait_for(lambda: list(out.glob("work/spool/*")), "the first run at work")
    processes.kill(first.pid, signal.SIGSTOP)
    try:
        status, said = processes.ended(local(out))
    finally:
        processes.kill(first.pid, signal.SIGCONT)
    assert status == 6, said
    assert f"{out}: in use by process {first.pid} on " in said
    status, said = processes.ended(first)
    assert status == 0, said
    assert_like(small, out)


@pytest.mark.slow  # the local form runs always
@pytest.mark.ray_cluster
def test_sigterm_stops_a_run_on_ray_and_its_tasks(
    larger: Build, tmp_path: Path, ray_cluster: Cluster
) -> None:
    out = tmp_path / "out"
    process = on_ray(ray_cluster, out)
    processes.wait_for(lambda: ray_cluster.workers("prepare"), "tasks at work")
    processes.kill(process.pid, signal.SIGTERM)
    status, said = processes.ended(process)
    assert (status, f"stopped: SIGTERM received; {AGAIN}" in said) == (4, True), said
    processes.wait_for(lambda: not ray_cluster.workers("prepare"), "its tasks to end")
    assert processes.ended(local(out, LARGER))[0] == 0
    assert_like(larger, out)


@pytest.mark.slow
@pytest.mark.ray_cluster
def test_killed_drivers_and_workers_of_ray_leave_no_trace(
    larger: Build, tmp_path: Path, ray_cluster: Cluster
) -> None:
    """Every other restart is local: quick enough to meet the tasks that a killed driver left behind."""
    out, tallies = tmp_path / "out", []

    def kill_worker(process: Process, rng: random.Random) -> bool:
        at_work = ray_cluster.workers("prepare") + ray_cluster.workers("pack")
        return bool(at_work) and processes.kill(rng.choice(at_work))

    for trial in range(6):
        out = tmp_path / f"trial-{trial}"
        starts = iter(range(MOST_RESTARTS))

        def start(out: Path = out, starts: Iterator[int] = starts) -> Process:
            quickly = next(starts) % 2
            process = local(out, LARGER) if quickly else on_ray(ray_cluster, out)
            if not quickly:
                processes.wait_for(lambda: ray_cluster.workers("p") or process.poll() is not None, "tasks")
            return process

        kills = {"driver": kill_driver, "worker": kill_worker}
        tallies.append(kill_loop(start, kills, 2, larger.seconds / 3, seed=trial))
        assert_like(larger, out)
    assert sum(sum(tally.kills.values()) for tally in tallies) >= 6
    assert sum(tally.kills["worker"] for tally in tallies) >= 1


def on_ray(cluster: Cluster, out: Path) -> Process:
    command = (*processes.INGEST, "--executor", "ray", "--out", str(out), *LARGER)
    return processes.start(*command, env=cluster.env())
