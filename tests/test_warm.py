"""A forked command ends, speaks and is placed as one from scratch."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.warm import Warm

ENDINGS = {
    "print('out'); import sys; print('err', file=sys.stderr)": 0,
    "raise SystemExit": 0,
    "raise SystemExit(3)": 3,
    "raise KeyError('nobody caught it')": 1,
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
    "import atexit; atexit.register(print, 'last words')": 0,
    "import os, sys; print(os.environ['WORD'], os.getcwd(), sys.argv)": 0,
}


@pytest.mark.parametrize("code", ENDINGS)
def test_a_forked_command_ends_as_one_from_scratch(code: str, warm: Warm, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    answer = warm.ran(script, "--word", "x", cwd=tmp_path, WORD="given")
    env = processes.environment(WORD="given")
    status, said = processes.ran(sys.executable, str(script), "--word", "x", env=env, cwd=tmp_path)
    last = said.splitlines()[-1:] if status == 1 else said.splitlines()  # the frames of a traceback differ
    assert (answer.returncode, status) == (ENDINGS[code], ENDINGS[code])
    assert (answer.stdout + answer.stderr).splitlines()[-len(last) or None :] == last


def test_commands_of_the_data_find_their_imports_done(warm: Warm, tmp_path: Path) -> None:
    """`sao_data.ingest` alone, which is a package, would import nothing."""
    script = tmp_path / "script.py"
    script.write_text("import sys; print('sao_data.ingest.run' in sys.modules)")
    assert warm.ran(script).stdout == "True\n"
