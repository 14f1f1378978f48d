"""Commands as processes: started in a clean environment, found and killed by their own ids. Linux only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.paths import ROOT

BIN = Path(sys.executable).parent
INGEST = [sys.executable, str(ROOT / "pipelines" / "ingest.py")]
_PATIENCE = 600.0  # seconds until a wait is a failure: a guard against hanging, on any machine under any load
_STEP = 0.01


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without anything of Ray's, the interpreter's folder first on PATH."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    plain["PATH"] = f"{BIN}{os.pathsep}{plain.get('PATH', os.defpath)}"
    return plain | {"RAY_USAGE_STATS_ENABLED": "0"} | extra


def start(*command: str, env: dict[str, str] | None = None, cwd: Path = ROOT) -> subprocess.Popen[str]:
    """Start a command in a session of its own; stdout and stderr in one pipe."""
    return subprocess.Popen(
        command,
        env=env or environment(),
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; its exit status and all it said."""
    try:
        text, _ = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        kill_group(process)
        text, _ = process.communicate()
        raise AssertionError(f"{process.args!r}: does not end; it said:\n{text}") from None
    return process.returncode, text


def ran(*command: str, env: dict[str, str] | None = None, cwd: Path = ROOT) -> tuple[int, str]:
    """Run a command to its end; its exit status and all it said."""
    return ended(start(*command, env=env, cwd=cwd))


def wait_for(condition: Callable[[], object], what: str, patience: float = _PATIENCE) -> None:
    """Look until the condition holds; AssertionError if it never does."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(_STEP)


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process and those of its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    """Signal one process; False if it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def descendants(*roots: int) -> list[int]:
    """Living processes below these, zombies left out."""
    parents = dict(_parents())
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - set(roots))


def command_line(pid: int) -> str:
    """How a process was called (or has renamed itself); '' once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def marked(mark: str) -> list[int]:
    """Living processes that were started with this text in their environment, and all that they started."""
    own = [pid for pid, _ in _parents() if pid != os.getpid() and mark.encode() in _environ(pid)]
    return sorted({*own, *descendants(*own)})


def kill_marked(mark: str) -> None:
    """SIGKILL to every process that `marked` finds, until there is none."""
    known: set[int] = set()
    for _ in range(50):
        # What renames itself (Ray's agents) overwrites its environment: remember it while it has a parent.
        known = {pid for pid in known if command_line(pid)} | set(marked(mark))
        if not known:
            return
        for pid in known:
            kill(pid)
        time.sleep(0.05)
    raise AssertionError(f"still alive: {[command_line(pid) for pid in known]}")


def _parents() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_text(errors="replace")
            except OSError:
                continue
            state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
            if state != "Z":
                yield int(name), int(parent)


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
