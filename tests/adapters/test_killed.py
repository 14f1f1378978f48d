"""kill -9 at every file operation of an adapter's training, and its training as two processes."""

import shutil
from pathlib import Path

import pytest

from sao_data.dataset.reader import Dataset
from tests import ranks
from tests.paths import ROOT
from tests.training.made_runs import losses, tensors
from tests.training.test_killed import check, killed
from tests.warm import Warm

_PRESET = """
model = ""
batch_size = 4
start_from = "{base}"
[adapter]
kind = "lora"
rank = 2
dropout = 0.1
[optimiser]
lr = 0.02
[preflight]
check = false
[pace]
steps = 6
log_every = 1
save_every = 2
keep_last = 1
keep_best = 0
"""


@pytest.fixture(scope="module")
def command(tones: Dataset, base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    preset = tmp_path_factory.mktemp("killed") / "dit.toml"
    preset.write_text(_PRESET.format(base=base))
    script = str(ROOT / "pipelines" / "train_dit.py")
    return [script, "--config", str(preset), "--data", tones.storage.url, "--vae", str(base), "--out"]


@pytest.fixture(scope="module")
def unbroken(
    command: list[str], warm_torch: Warm, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int]:
    out = tmp_path_factory.mktemp("unbroken") / "run"
    answer = killed(warm_torch, 0, [*command, str(out)])
    assert answer.returncode == 0, answer.stderr
    return out, int(answer.stdout.split()[-1])


@pytest.mark.slow
def test_a_kill_within_a_save_loses_nothing(
    unbroken: tuple[Path, int], command: list[str], warm_torch: Warm, tmp_path: Path
) -> None:
    whole, num = unbroken
    check(warm_torch, round(0.9 * num), command, tmp_path / "run", whole)


@pytest.mark.slow
def test_a_kill_at_each_file_operation_loses_nothing(
    unbroken: tuple[Path, int], command: list[str], warm_torch: Warm, tmp_path: Path
) -> None:
    whole, num = unbroken
    assert num > 30
    for last in range(1, num + 1):
        check(warm_torch, last, command, tmp_path / "run", whole)
        shutil.rmtree(tmp_path / "run")


@pytest.mark.slow
def test_two_processes_learn_the_same(command: list[str], warm_torch: Warm, tmp_path: Path) -> None:
    """But for the order of sums; without dropout, whose masks follow from a process's own samples."""
    for num in (1, 2):
        script = [*command, str(tmp_path / str(num)), "--set", "adapter.dropout=0", "--set", "pace.steps=2"]
        for answer in ranks.forked(warm_torch, script, num):
            assert answer.returncode == 0, answer.stderr
    one, two = tensors(tmp_path / "1"), tensors(tmp_path / "2")
    assert one.keys() == two.keys()
    assert max(float((one[n] - two[n]).abs().max()) for n in one if n.startswith("weight|")) < 1e-4
    for (_, ours), (_, theirs) in zip(losses(tmp_path / "1"), losses(tmp_path / "2"), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
