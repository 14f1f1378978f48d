"""Commands without the seconds that their imports take: forked from a process that has imported it all.

Each is a process of its own, with its arguments, environment, folder, output and exit status. What a command
imports, and when, is not seen here: each has a test as a process from scratch as well.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from tests import processes

_PATIENCE = 600.0  # seconds: a guard against hanging
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a process with threads cannot be forked

Answer = subprocess.CompletedProcess[str]


class Warm:
    """Runs commands, each a script's path or `-m` and a module, then its arguments. A context manager."""

    def __init__(self, *modules: str) -> None:
        command = [sys.executable, "-m", "tests.warm", *modules]
        self._server = subprocess.Popen(
            command, env=processes.environment(**_ONE_THREAD), cwd=processes.ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Warm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        processes.kill_group(self._server)
        self._server.communicate()

    def ran(self, *command: str | Path, cwd: Path = processes.ROOT, **extra: str) -> Answer:
        """One command to its end; `extra` goes into its environment."""
        (answer,) = self.all_ran([command], [extra], cwd)
        return answer

    def all_ran(
        self, commands: list[tuple[str | Path, ...]], extra: list[dict[str, str]], cwd: Path = processes.ROOT
    ) -> list[Answer]:
        """Commands side by side, all to their ends."""
        assert self._server.stdin is not None
        with tempfile.TemporaryDirectory(prefix="sao-warm-", dir="/tmp") as folder:
            jobs = [
                {
                    "command": [str(word) for word in command],
                    "environment": processes.environment(**more),
                    "cwd": str(cwd),
                    "said": f"{folder}/{number}",
                }
                for number, (command, more) in enumerate(zip(commands, extra, strict=True))
            ]
            self._server.stdin.write(json.dumps(jobs) + "\n")
            self._server.stdin.flush()
            codes = self._codes(commands)
            return [_answer(job, code) for job, code in zip(jobs, codes, strict=True)]

    def children(self) -> list[int]:
        """Ids of the commands that run just now, in the order in which they were given."""
        return processes.descendants(self._server.pid)

    def _codes(self, commands: list[tuple[str | Path, ...]]) -> list[int]:
        assert self._server.stdout is not None
        if not select.select([self._server.stdout], [], [], _PATIENCE)[0]:
            processes.kill_group(self._server)
            raise AssertionError(f"{commands}: does not end")
        codes: list[int] = json.loads(self._server.stdout.readline())
        return codes


def _answer(job: dict[str, Any], code: int) -> Answer:
    out, err = (Path(f"{job['said']}.{name}").read_text() for name in ("out", "err"))
    return Answer(job["command"], code, out, err)


def main() -> None:
    """Fork a child for each job of each line; in the child, be that command."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        children = []
        for job in json.loads(line):
            children.append(os.fork())
            if not children[-1]:
                _be(job)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def _be(job: dict[str, Any]) -> None:
    """Be this command to its end. The interpreter is not torn down: that takes longer than most commands."""
    code = 1
    try:
        _become(job)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        if sys.exc_info()[1]:
            traceback.print_exc()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become(job: dict[str, Any]) -> None:
    for number, name in enumerate(("in", "out", "err")):
        path = os.devnull if name == "in" else f"{job['said']}.{name}"
        handle = os.open(path, os.O_RDONLY if name == "in" else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["cwd"])
    script, *sys.argv[1:] = job["command"]
    if script == "-m":
        module = sys.argv.pop(1)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = script
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
