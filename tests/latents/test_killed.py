"""kill -9 at any file operation of an encode or a take-down: the same command ends as if there were none."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sao_data.errors import Stopped
from sao_data.execution import executor
from sao_data.latents import part
from tests.datasets_made import tree
from tests.latents.conftest import LatentWorld, encode, made_dataset, sounds
from tests.paths import ROOT
from tests.warm import Answer, Warm

LENGTHS = (0.2, 0.1, 0.3, 0.25)
REQUEST = ("--id", "folder:tone-001-wav", "--reason", "request", "--apply")


@pytest.fixture(scope="module")
def before(latent_world: LatentWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, encoded, that has since grown."""
    tmp = tmp_path_factory.mktemp("before")
    data = made_dataset(tmp, sounds(tmp / "in", LENGTHS), tmp / "data")
    encode(data, latent_world.vae, tmp / "latents")
    made_dataset(tmp, sounds(tmp / "in", (0.4, 0.2), first=len(LENGTHS)), tmp / "data")
    return tmp


def killed(warm: Warm, last: int, folder: Path, *command: str | Path) -> Answer:
    return warm.ran("-m", "tests.killed", str(last), folder, *command)


def encoding(here: Path, world: LatentWorld) -> list[str | Path]:
    script = ROOT / "pipelines" / "encode.py"
    return [
        script,
        "--data",
        here / "data",
        "--vae",
        world.vae,
        "--out",
        here / "latents",
        "--executor",
        "local",
    ]


def taking(here: Path, world: LatentWorld) -> list[str | Path]:
    return ["-m", "sao_data", "takedown", here / "data", *REQUEST]


def copied(before: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    for name in ("data", "latents"):
        shutil.copytree(before / name, to / name)
    return to


@pytest.mark.parametrize(
    ("what", "share"),
    [
        pytest.param(taking, 0.7, marks=pytest.mark.slow),
        (encoding, 0.7),
        pytest.param(encoding, None, marks=pytest.mark.slow),
        pytest.param(taking, None, marks=pytest.mark.slow),
    ],
)
def test_a_kill_loses_nothing(
    what: Callable[[Path, LatentWorld], list[str | Path]],
    share: float | None,
    before: Path,
    latent_world: LatentWorld,
    warm_torch: Warm,
    tmp_path: Path,
) -> None:
    command = what
    if command is taking:  # of latents that are whole
        before = copied(before, tmp_path / "before")
        assert warm_torch.ran(*encoding(before, latent_world)).returncode == 0
    here = copied(before, tmp_path / "whole")
    done = killed(warm_torch, 0, here / "latents", *command(here, latent_world))
    assert done.returncode == 0, done.stderr
    wanted, num = tree(here / "latents"), int(done.stdout.split()[-1])
    assert num > 10
    for last in range(1, num + 1) if share is None else [round(share * num)]:
        here = copied(before, tmp_path / "killed")
        ended = killed(warm_torch, last, here / "latents", *command(here, latent_world))
        assert ended.returncode == -9, (last, ended.stdout, ended.stderr)
        again = warm_torch.ran(*command(here, latent_world))
        assert again.returncode == 0, (last, again.stderr)
        assert tree(here / "latents") == wanted, last


def test_a_full_disk_stops_and_the_same_command_continues(
    before: Path, latent_world: LatentWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = copied(before, tmp_path)
    world = LatentWorld(folder=here, model=latent_world.model, vae=latent_world.vae)
    monkeypatch.setattr(executor.time, "sleep", lambda _: None)
    real = part._Writer.add

    def full(self: part._Writer, file: object, entry: part.PartEntry) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(part._Writer, "add", full)
    with pytest.raises(Stopped, match=r"No space left on device.; nothing is lost: mend it and run again"):
        encode(world.data, world.vae, here / "latents")
    assert not list((here / "latents" / "shards").glob(".tmp-*"))
    monkeypatch.setattr(part._Writer, "add", real)
    encode(world.data, world.vae, here / "latents")
    encode(world.data, world.vae, here / "fresh")
    assert tree(here / "latents") == tree(here / "fresh")
