"""`pipelines/encode.py` as a person calls it: here, as a Ray job; and a training from what it leaves."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from sao_data.commands import main
from tests import processes
from tests.conftest import Cluster
from tests.datasets_made import tree
from tests.latents.conftest import LatentWorld
from tests.paths import ROOT
from tests.warm import Warm

ENCODE = ROOT / "pipelines" / "encode.py"
SUBMIT = (str(processes.BIN / "ray"), "job", "submit")
DIT = """
model = "{model}"
batch_size = 2
[preflight]
check = false
[pace]
steps = 2
log_every = 1
save_every = 2
"""


def given(world: LatentWorld) -> list[str]:
    return ["--data", str(world.folder / "data"), "--vae", str(world.vae), "--set", "device=cpu"]


@pytest.fixture
def beside(latent_world: LatentWorld, tmp_path: Path) -> Path:
    """A folder from which the dataset lies as it does from the latents of the other tests."""
    return latent_world.folder / tmp_path.name


def test_from_scratch_it_encodes_and_says_how_much(latent_world: LatentWorld, beside: Path) -> None:
    command = [sys.executable, ENCODE, *given(latent_world), "--executor", "local", "--out", beside]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    version = latent_world.data.facts["version"]
    assert f"made {version}: 19 samples, 0.00 hours, 0.1 MB in 5 shards\nencoded 19, copied 0" in done.stdout
    assert "encoding: 19 of 19 samples in" in done.stderr
    assert tree(beside) == tree(latent_world.folder / "latents")


def test_its_answers_are_those_of_the_contract(
    latent_world: LatentWorld, warm_torch: Warm, tmp_path: Path
) -> None:
    done = latent_world.folder / "latents"
    local = ("--executor", "local")
    for words, status, said in (
        (["--dry-run", "--out", tmp_path / "new"], 0, "19 samples, 0.0 MB of latents; to encode: 19 samples"),
        (["--set", "marign=3", "--out", tmp_path / "new"], 2, "unknown key 'marign'; did you mean 'margin'?"),
        (["--set", "margin=3", "--out", done], 2, "error: "),
        (["--out", latent_world.folder / "data"], 2, "format sao-dataset 1, this reads sao-latents 1"),
    ):
        answer = warm_torch.ran(ENCODE, *given(latent_world), *local, *words)
        assert (answer.returncode, said in answer.stdout + answer.stderr) == (status, True), answer
    assert not (tmp_path / "new").exists()


def test_a_dit_learns_from_the_folder_alone(
    latent_world: LatentWorld, warm_torch: Warm, tmp_path: Path
) -> None:
    (tmp_path / "dit.toml").write_text(DIT.format(model=latent_world.model))
    command = [
        ROOT / "pipelines" / "train_dit.py",
        "--config",
        tmp_path / "dit.toml",
        "--vae",
        latent_world.vae,
    ]
    answer = warm_torch.ran(*command, "--out", tmp_path / "run", "--latents", latent_world.folder / "latents")
    assert answer.returncode == 0, answer.stderr
    assert "encoded once by this VAE; no audio is read" in answer.stderr
    answer = warm_torch.ran(*command, "--out", tmp_path / "run")
    assert answer.returncode == 2
    assert "what to learn from? give --data DIR, or --latents DIR" in answer.stderr
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        words = [
            "--config",
            tmp_path / "dit.toml",
            "--latents",
            latent_world.folder / "latents",
            "--gpus",
            "1",
        ]
        assert main.main(["train", "plan", *map(str, words)]) == 0
    assert "of latents, encoded once" in out.getvalue()


@pytest.mark.slow
@pytest.mark.ray_cluster
def test_a_ray_job_writes_the_same_bytes(
    latent_world: LatentWorld, ray_cluster: Cluster, beside: Path
) -> None:
    env = processes.environment(RAY_ADDRESS=ray_cluster.jobs, RAY_AUTH_MODE="disabled")
    command = [*SUBMIT, "--working-dir", ".", "--", "python", "pipelines/encode.py", *given(latent_world)]
    status, log = processes.ran(*command, "--out", str(beside), env=env, cwd=ray_cluster.root)
    assert status == 0, log
    assert "encoded 19, copied 0" in log
    assert tree(beside) == tree(latent_world.folder / "latents")
    status, log = processes.ran(*command, "--out", "out/lost", env=env, cwd=ray_cluster.root)
    assert (status, "so a relative output would be lost; give --out an absolute path" in log) == (1, True), (
        log
    )
