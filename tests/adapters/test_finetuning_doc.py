"""docs/finetuning.md from nothing to a sound: every command of it runs, on the tiny model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sao_model import checkpoint
from tests import processes
from tests.adapters.test_finetune import folder_of
from tests.conftest import copied_repository
from tests.test_docs import blocks

EXCUSED = {
    "sao demo": "makes the model and data that are put there instead; tests/test_first_hour.py runs it",
    "sao ui": "serves until it is stopped; tests/model/test_ui_browser.py uses it",
}
LINES = [line for block in blocks("docs/finetuning.md", "sh") for line in block.splitlines() if line.strip()]
# All as they stand there, but fewer steps: it is the road that is tried.
FEWER = {"dit_lora_tiny.toml": "--set pace.steps=2 --set pace.save_every=1 --set demos.steps=2"}


def test_every_excuse_is_needed() -> None:
    assert all(any(line.startswith(words) for line in LINES) for words in EXCUSED)
    assert len(LINES) - len(EXCUSED) >= 7


@pytest.mark.slow  # two trainings and a few sounds of the tiny model
def test_every_command_runs(demo_dataset: Path) -> None:
    with copied_repository() as copy:
        (copy / ".venv").symlink_to(processes.BIN.parent)
        (copy / "out").mkdir()
        (copy / "out" / "demo").symlink_to(demo_dataset)
        model = copy / "model"
        checkpoint.save(checkpoint.from_preset("tiny"), model)
        folder_of(copy / "sounds", 50)
        path = f"{copy}:{os.environ.get('PYTHONPATH', '')}"
        env = processes.environment(PYTHONPATH=path, OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
        env["PATH"] = f"{processes.BIN}:{env['PATH']}"
        for line in LINES:
            if any(line.startswith(words) for words in EXCUSED):
                continue
            asked = line.replace("out/demo/models/dit", str(model))
            asked += "".join(f" {more}" for name, more in FEWER.items() if name in line)
            status, said = processes.ran("bash", "-c", asked, env=env, cwd=copy)
            assert status == 0, f"{line}: {said}"
        assert (copy / "bell.wav").is_file()
        assert (copy / "out" / "mine" / "report" / "index.html").is_file()
        assert (copy / "out" / "mine" / "model" / "model.json").is_file()
