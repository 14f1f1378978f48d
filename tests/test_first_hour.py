"""README followed word by word in a bare clone: nothing is there but what its commands have made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.conftest import copied_repository
from tests.test_docs import DOCUMENTS, blocks

# Lines that are not run here, and why.
EXCUSED = {
    "make demo": "installs; what it makes afterwards is the fixture",
    "make test": "is running",
    "ray start --head": "tests/pipelines/test_ray_jobs.py starts a cluster",
    "ray job submit": "tests/pipelines/test_ray_jobs.py submits both forms",
    "sao login freesound": "needs an account",
    "everything.toml": "needs an account, and terabytes",
    "pip install": "installs",
    "sao ui": "serves until it is stopped; tests/model/test_ui_browser.py uses it",
}
# Lines that need the demo's model, or train one.
SLOW = (
    "sao finetune",
    "pipelines/generate.py",
    "pipelines/encode.py",
    "accelerate launch",
    "--checkpoint out/runs",
)

LINES = [line for block in blocks("README.md", "sh") for line in block.splitlines() if line.strip()]
RUN = [line for line in LINES if not any(words in line for words in EXCUSED)]
FAST = [line for line in RUN if not any(words in line for words in SLOW)]


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A copy of the repository with an environment, and in out/demo what `make demo` leaves but the model."""
    with copied_repository() as copy:
        assert not (copy.parent / "shared").exists()
        (copy / ".venv").symlink_to(processes.BIN.parent)
        status, said = run(copy, ".venv/bin/sao demo --data-only --executor local")
        assert status == 0, said
        yield copy


def run(folder: Path, line: str) -> tuple[int, str]:
    """Run one line in a shell there, as a person would with the environment active."""
    env = processes.environment(PYTHONPATH=str(folder), OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    return processes.ran("bash", "-c", line, env=env, cwd=folder)


def test_every_excuse_is_needed() -> None:
    assert [words for words in EXCUSED if not any(words in line for line in LINES)] == []
    assert len(FAST) > 10


@pytest.mark.parametrize("line", FAST)
def test_a_command_of_the_readme_runs_in_a_bare_clone(clone: Path, line: str) -> None:
    status, said = run(clone, line)
    assert status == 0, said


@pytest.mark.slow  # trains a tiny model twice: the demo's, and the one that README shows
def test_the_commands_of_the_model_run_in_a_bare_clone(clone: Path) -> None:
    status, said = run(clone, ".venv/bin/sao demo --executor local")
    assert status == 0, said
    for line in RUN:
        if line not in FAST:
            status, said = run(clone, line)
            assert status == 0, f"{line}: {said}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_needs_what_is_not_in_the_repository(path: Path) -> None:
    fences = re.findall(r"^```(?:sh|console|bash)\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    assert [line for body in fences for line in body.splitlines() if "shared" in line.split("#")[0]] == []
