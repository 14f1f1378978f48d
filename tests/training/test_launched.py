"""What starts the processes: Accelerate's launcher and its config files, Slurm, Ray, KubeRay."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from sao_model import dit, launched, run
from tests import processes, ranks
from tests.datasets_made import build, load, tone_wav, write_folder
from tests.paths import ROOT
from tests.training.test_training import TINY

EXAMPLES = ROOT / "docs" / "examples"
SLURM = EXAMPLES / "slurm.sh"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """A tiny training of a codec, into a folder, with settings."""
    folder = tmp_path_factory.mktemp("launched")
    sounds = write_folder(folder / "in", 4)
    for n in range(4):
        (sounds / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(folder, sounds), folder / "data")
    (folder / "mini.toml").write_text(TINY)
    losses = "fft_sizes = [256, 64]\nadversarial = 0.0\nfeature_matching = 0.0\n"
    (folder / "vae.toml").write_text(
        f'model = "{folder}/mini.toml"\nbatch_size = 2\n[stream]\nwindow_frames = 2048\n[losses]\n{losses}'
    )

    def made(out: Path, *sets: str) -> list[str]:
        script = [str(ROOT / "pipelines" / "train_vae.py"), "--config", f"{folder}/vae.toml"]
        plain = ["pace.log_every=1", "pace.save_every=100000", *sets]
        options = ["--data", f"{folder}/data", "--out", str(out)]
        return [*script, *options, *(word for each in plain for word in ("--set", each))]

    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---------------------------------------------------------------------------------- Accelerate's config files

FILES = {
    "cpu": (2, 1),
    "one_gpu": (1, 1),
    "eight_gpus": (8, 1),
    "two_machines_of_eight": (16, 2),
    "fsdp2": (8, 1),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in ranks.CONFIGS.glob("*.yaml")))
def test_every_config_file_is_one_of_accelerates(name: str) -> None:
    path = ranks.CONFIGS / f"{name}.yaml"
    found = load_config_from_file(str(path))
    assert (found.num_processes, found.num_machines) == FILES[name]
    words = ["--config_file", str(path), "--machine_rank", "1", "--main_process_ip", "127.0.0.1", "x.py"]
    asked, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    given = prepare_multi_gpu_env(asked)
    assert given["ACCELERATE_MIXED_PRECISION"] == "no"  # the preset's `precision` says it
    assert asked.nproc_per_node == str(found.num_processes // found.num_machines)
    assert ("FSDP_VERSION" in given) == (name == "fsdp2")
    assert asked.multi_gpu == (name not in ("one_gpu", "fsdp2"))
    assert f"[accelerate/{path.name}](accelerate/{path.name})" in (ROOT / "manifests/README.md").read_text()


def test_the_blocks_that_are_divided_are_the_transformers() -> None:
    given = ranks.divided()
    assert given["FSDP_TRANSFORMER_CLS_TO_WRAP"] == dit.Block.__name__
    shape = dit.Config(width=64, num_layers=2, num_heads=1, cross_dim=64)
    assert {type(block) for block in dit.DiT(shape).blocks} == {dit.Block}


# ---------------------------------------------------------------------------------------- what was asked for

LAUNCHER = "/usr/bin/python3 /usr/bin/accelerate launch"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"{LAUNCHER} --cpu --num_processes 2 x.py --num_processes 9", "for 2 .*--num_processes 2., "),
        ("python -m accelerate.commands.launch --num_processes=3 x.py", "for 3 processes .*_processes 3 …"),
        (f"{LAUNCHER} --config_file {{eight}} x.py", r"for 8 processes .*eight_gpus.yaml., "),
        (f"{LAUNCHER} --num_processes 1 x.py", ""),
        (f"{LAUNCHER} --cpu x.py", ""),
        ("bash -c machine", ""),
        ("/usr/bin/python3 -m pytest --num_processes 8", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_fewer_processes_than_asked_for_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, told: str
) -> None:
    words = line.format(eight=ranks.CONFIGS / "eight_gpus.yaml").split()
    monkeypatch.setattr(launched, "_parent", lambda: words)
    monkeypatch.setattr(launched, "default_config_file", str(tmp_path / "none.yaml"))
    said = launched.instead(1)
    assert re.search(told, said) if told else said == ""
    assert launched.instead(16) == ""


def test_the_crew_is_told_in_words() -> None:
    assert launched.crew([("a", "H200")]) == "1 process on 1 machine (a): H200"
    two = [("b", "H200"), ("a", "H200"), ("a", "CPU"), ("b", "H200")]
    assert launched.crew(two) == "4 processes on 2 machines (a, b): 3 on H200, 1 on CPU"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "crew", "told"),
    [
        (["--cpu", "--num_processes", "2"], "1 process on 1 machine", "(--num_processes 2), and 1 trains"),
        (["--config_file", "{folder}/multi_cpu.yaml"], "1 process on 1 machine", "for 2 processes (num_"),
        (["--multi_gpu", "--num_processes", "2", "--main_process_port", "0"], "2 processes on 1 machine", ""),
        (["--config_file", str(ranks.CONFIGS / "cpu.yaml"), "--main_process_port", "0"], "2 processes", ""),
        (["--config_file", str(ranks.CONFIGS / "one_gpu.yaml")], "1 process on 1 machine", ""),
    ],
)  # fmt: skip
def test_the_first_line_of_a_run_says_who_trains(
    command: Callable[..., list[str]], tmp_path: Path, words: list[str], crew: str, told: str
) -> None:
    text = "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_CPU\nuse_cpu: true\n"
    (tmp_path / "multi_cpu.yaml").write_text(
        text + "num_machines: 1\nnum_processes: 2\nmixed_precision: 'no'\n"
    )
    words = [word.format(folder=tmp_path) for word in words]
    code, said = ranks.launched(*words, *command(tmp_path / "run", "pace.steps=1"))
    assert code == 0, said
    first = next(line for line in said.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line))
    num = 2 if crew.startswith("2") else 1
    assert crew in first
    assert f"a batch of 2 is {num} x {2 // num} in memory at a time x accumulate = 1" in first
    assert ("accelerate launch was asked for" in said) == bool(told)
    assert told in said


# ------------------------------------------------------------------------------------ what becomes of signals


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("to", ["launcher", "all"])
def test_a_launcher_of_several_passes_its_signal_on(
    command: Callable[..., list[str]], tmp_path: Path, number: signal.Signals, to: str
) -> None:
    """Also where the processes had it already: it comes twice then."""
    launch = [*ranks.LAUNCH, "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    with _started([*launch, *command(tmp_path / "run", "pace.steps=100000")], tmp_path / "run") as (
        process,
        pids,
    ):
        for pid in [*(pids if to == "all" and number != signal.SIGINT else []), process.pid]:
            os.kill(pid, number)
        code, said = processes.ended(process)
    assert code == 1, said
    assert run.checkpoints(tmp_path / "run"), said
    assert said.count("stopped: SIG") == 2


@pytest.mark.slow
def test_the_launcher_of_one_dies_alone_and_its_process_is_told_itself(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    launch = [*ranks.LAUNCH, "--cpu", "--num_processes", "1"]
    with _started([*launch, *command(tmp_path / "run", "pace.steps=100000")], tmp_path / "run") as (
        process,
        pids,
    ):
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
        steps = len((tmp_path / "run" / run.LOG).read_text().splitlines())
        _wait_for_step(tmp_path / "run", steps + 2)  # it trains on
        os.kill(pids[0], signal.SIGTERM)
        assert "stopped: SIGTERM" in processes.ended(process)[1]  # until its end it holds the pipe
    assert run.checkpoints(tmp_path / "run")


@contextmanager
def _started(words: list[str], out: Path, **extra: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A launcher whose processes have done some steps, and their ids; nothing of it is left behind."""
    env = processes.environment(OMP_NUM_THREADS="1", **extra)
    process = processes.start(*words, env=env)
    pids: list[int] = []
    try:
        _wait_for_step(out, 3, process)
        pids = [pid for pid in processes.descendants(process.pid) if _is_training(pid)]
        yield process, pids
    finally:
        for pid in [*pids, process.pid]:
            if process.poll() is None or _is_training(pid):
                processes.kill(pid)
        if process.stdout:
            process.stdout.close()


def _is_training(pid: int) -> bool:
    words = processes.command_line(pid).split()
    return "python" in "".join(words[:1]) and any(word.endswith("train_vae.py") for word in words[1:3])


def _wait_for_step(out: Path, step: int, process: subprocess.Popen[str] | None = None) -> None:
    path = out / run.LOG

    def is_there() -> bool:
        assert process is None or process.poll() is None, processes.ended(process)
        return path.exists() and len(path.read_text().splitlines()) >= step

    processes.wait_for(is_there, f"step {step}")


# --------------------------------------------------------------------------------------------------- examples


def test_the_slurm_example_is_a_script_whose_launcher_takes_its_options() -> None:
    subprocess.run(["bash", "-n", SLURM], check=True)
    text = SLURM.read_text().replace("\\\n", " ")
    words = re.search(r"accelerate launch (.*) \$RUN_COMMAND", text)
    assert words
    plain = re.sub(r'"\$\w+"|"\$\{\w+:-(\d+)\}"|\$\(\(.*?\)\)', lambda found: found[1] or "2", words[1])
    asked = launch_command_parser().parse_args([*plain.split(), "x.py"])
    assert (asked.num_machines, asked.machine_rank, asked.num_processes) == (2, 2, 2)
    assert (asked.main_process_port, asked.same_network) == (29500, True)
    script = re.search(r"RUN_COMMAND:-(\S+)(.*)\}", text)
    assert script
    assert os.access(ROOT / script[1], os.X_OK)
    assert set(re.findall(r"--\w+", script[2])) == {"--config", "--data", "--vae", "--out"}
    before_the_end = re.search(r"^#SBATCH --signal=USR1@(\d+)$", text, re.MULTILINE)
    grace = re.search(r"TORCH_ELASTIC_SHUTDOWN_TIMEOUT=(\d+)", text)
    assert before_the_end
    assert grace
    assert int(grace[1]) < int(before_the_end[1])


@pytest.mark.slow
@pytest.mark.parametrize("to", ["the shell of the step", "all processes of the step"])
def test_the_slurm_example_saves_and_goes_back_into_the_queue(
    command: Callable[..., list[str]], tmp_path: Path, to: str
) -> None:
    """With a stand-in for Slurm: what it does is to start the step and to send the signal."""
    stand_ins = {
        "srun": 'shift; exec "$@"\n',
        "scontrol": f'if [ "$1" = show ]; then echo 127.0.0.1; else echo "$@" >> {tmp_path}/asked; fi\n',
    }
    (tmp_path / "bin").mkdir()
    for name, body in stand_ins.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}")
        (tmp_path / "bin" / name).chmod(0o755)
    out = tmp_path / "run"
    slurm = {"SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "here", "SLURM_JOB_ID": "7"}
    extra = slurm | {"PER_MACHINE": "2", "PORT": str(free_port())}
    extra["RUN_COMMAND"] = " ".join(command(out, "pace.steps=100000"))
    extra["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{processes.environment()['PATH']}"
    with _started(["bash", str(SLURM)], out, **extra) as (process, pids):
        assert len(pids) == 2
        step = processes.descendants(process.pid)
        if to == "the shell of the step":
            step = [pid for pid in step if processes.command_line(pid).startswith("bash -c machine")][:1]
        for pid in step:
            processes.kill(pid, signal.SIGUSR1)
        code, said = processes.ended(process)
    assert code == 4, said
    assert run.checkpoints(out), said
    assert (tmp_path / "asked").read_text() == "requeue 7\n"


def test_the_ray_cluster_is_one_that_ray_up_takes() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util")
    described = yaml.safe_load((EXAMPLES / "ray_cluster.yaml").read_text())
    util.validate_config(util.prepare_config(described))
    starts = [*described["head_start_ray_commands"], *described["worker_start_ray_commands"]]
    assert all(line.startswith("cd /mnt/cluster/sao && ") for line in starts)


def test_the_ray_job_has_what_kuberay_asks_of_one() -> None:
    job = yaml.safe_load((EXAMPLES / "kuberay_rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    fields = {
        "entrypoint",
        "submissionMode",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "backoffLimit",
    }
    assert spec.keys() == fields | {"rayClusterSpec"}
    assert spec["submissionMode"] in ("K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode")
    cluster = spec["rayClusterSpec"]
    pins = (ROOT / "constraints.txt").read_text()
    assert f"\nray=={cluster['rayVersion']}\n" in pins
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert container.keys() == {"name", "image", "resources", "volumeMounts"}
        assert container["image"] == groups[0]["template"]["spec"]["containers"][0]["image"]
        claimed = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == claimed
    assert all(g["minReplicas"] <= g["replicas"] <= g["maxReplicas"] for g in cluster["workerGroupSpecs"])
    python, script, *options = spec["entrypoint"].split()
    assert python == "python"
    assert (ROOT / Path(script).relative_to("/sao")).exists()
    assert options[::2] == ["--manifest", "--out"]
