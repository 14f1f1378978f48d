"""kill -9 at every file operation of a save: the same command ends as if there had been none."""

import shutil
from pathlib import Path

import pytest

from sao_data.dataset.reader import Dataset
from sao_model import run
from tests.paths import ROOT
from tests.training.made_runs import assert_same
from tests.warm import Answer, Warm

# Of the codec with its discriminators: three savings, of which the last two delete an older checkpoint.
_PRESET = """
model = "{model}"
batch_size = 4
[stream]
window_frames = 2048
[losses]
fft_sizes = [256, 64]
[adversary.discriminator]
filters = 2
fft_sizes = [256, 64]
[pace]
steps = 6
log_every = 1
save_every = 2
keep_last = 1
keep_best = 0
"""


@pytest.fixture(scope="module")
def command(tone_data: Dataset, mini_model: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    preset = tmp_path_factory.mktemp("killed") / "vae.toml"
    preset.write_text(_PRESET.format(model=mini_model))
    script = ROOT / "pipelines" / "train_vae.py"
    return [str(script), "--config", str(preset), "--data", tone_data.storage.url, "--out"]


@pytest.fixture(scope="module")
def unbroken(
    command: list[str], warm_torch: Warm, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int]:
    """A run that nobody kills, and how many file operations it had."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    answer = killed(warm_torch, 0, [*command, str(out)])
    assert answer.returncode == 0, answer.stderr
    return out, int(answer.stdout.split()[-1])


def killed(warm: Warm, last: int, command: list[str]) -> Answer:
    return warm.ran("-m", "tests.killed", str(last), "/checkpoints", *command)


def check(warm: Warm, last: int, command: list[str], out: Path, unbroken: Path) -> None:
    ended = killed(warm, last, [*command, str(out)])
    assert ended.returncode == -9, (last, ended.stdout, ended.stderr)
    for folder in run.checkpoints(out):
        assert not run.problem(folder), (last, folder)
    again = warm.ran(*command, str(out))
    assert again.returncode == 0, (last, again.stderr)
    assert_same(out, unbroken)
    assert [p.name for p in (out / run.CHECKPOINTS).iterdir() if p.name.startswith(".tmp-")] == []


@pytest.mark.parametrize("share", [0.97])
def test_a_kill_within_a_save_loses_nothing(
    share: float, unbroken: tuple[Path, int], command: list[str], warm_torch: Warm, tmp_path: Path
) -> None:
    whole, num = unbroken
    check(warm_torch, round(share * num), command, tmp_path / "run", whole)


@pytest.mark.slow
def test_a_kill_at_each_file_operation_loses_nothing(
    unbroken: tuple[Path, int], command: list[str], warm_torch: Warm, tmp_path: Path
) -> None:
    whole, num = unbroken
    assert num > 30
    for last in range(1, num + 1):
        check(warm_torch, last, command, tmp_path / "run", whole)
        shutil.rmtree(tmp_path / "run")
