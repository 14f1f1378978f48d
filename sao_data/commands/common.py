"""What every entry point shares: where the repository is, where output goes, how a command ends."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from sao_data.errors import SaoError, Stopped, UsageError
from sao_data.shipped import ROOT

_TRANSIENT = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_SOON = 0.01  # s, until a stop that came at a bad moment is tried again


def output(given: str, name: str, root: Path = ROOT) -> str:
    """Absolute path or URL of a dataset directory; `out/NAME` below the repository (or cwd, if installed) if
    none is given. UsageError where a relative path would land in the temporary copy that a Ray job runs
    in."""
    if "://" in given or Path(given).is_absolute():
        return given
    base = Path.cwd() if given else (root if (root / "pyproject.toml").exists() else Path.cwd())
    path = Path(base, given or f"out/{name}").absolute()
    if in_job_copy(path):
        raise UsageError(
            f"--out {given or 'out/' + name}: this job runs in a temporary copy ({base}), "
            "so a relative output would be lost; give --out an absolute path or an object-store URL"
        )
    return str(path)


def output_folder(given: str, name: str, root: Path = ROOT) -> Path:
    """Like `output`, for what needs a local folder."""
    if "://" in given:
        raise UsageError(f"--out {given}: a training writes to a local or mounted folder; give a path")
    return Path(output(given, name, root))


def in_job_copy(path: Path) -> bool:
    """Does this path lie in the unpacked copy that `ray job submit --working-dir` makes?"""
    return "working_dir_files" in path.parts and any(part.startswith("_ray_pkg_") for part in path.parts)


def guard(command: Callable[[], int]) -> int:
    """Run a command; print a SaoError as one message and return its exit code; SIGTERM and Ctrl-C stop
    cleanly."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        return command()
    except SaoError as error:
        return _say(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        return 0
    except OSError as error:
        if (meant := _meaning(error)) is None:
            raise
        return _say(meant)


def printable(text: str) -> str:
    """Text for a terminal: control characters (escape sequences in titles, say) made visible."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _say(error: SaoError) -> int:
    word = "stopped" if isinstance(error, Stopped) else "error"
    sys.stderr.write(f"{word}: {printable(str(error))}\n")
    return error.exit_code


def _meaning(error: OSError) -> SaoError | None:
    """A full disk is transient, a folder without permission is usage; the rest is ours to explain."""
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    if error.errno in _TRANSIENT:
        return Stopped(f"{what}; nothing is lost: mend it and run the same command again")
    if error.errno in _CLOSED:
        return UsageError(f"{what}; may this user read and write there?")
    return None


def _stop(number: int, frame: FrameType | None) -> None:
    if _is_in_callback(frame):
        signal.signal(signal.SIGALRM, lambda _, later: _stop(number, later))
        signal.setitimer(signal.ITIMER_REAL, _SOON)
        return
    name = signal.Signals(number).name
    raise Stopped(f"{name} received; nothing is lost: run the same command again to continue")


def _is_in_callback(frame: FrameType | None) -> bool:
    """Did the signal come while libsndfile reads or writes by way of Python? What is raised there is dropped
    by cffi, and the library is told of a short read or write instead."""
    while frame is not None:
        code = frame.f_code
        if code.co_name.startswith("vio_") and Path(code.co_filename).name == "soundfile.py":
            return True
        frame = frame.f_back
    return False


def note(text: str) -> None:
    """Say something on stderr that is no error and belongs in no log."""
    sys.stderr.write(f"{printable(text)}\n")
