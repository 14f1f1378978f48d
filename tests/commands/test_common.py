"""How every command starts and ends: where output goes, exit codes, signals, nothing raw on the terminal."""

import errno
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sao_data import errors
from sao_data.commands import common
from tests import processes

JOB = Path("/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_abc")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put back the signal handlers that `guard` replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("given", ["/data/demo", "s3://bucket/demo"])
def test_absolute_paths_and_urls_stay_as_given(given: str) -> None:
    assert common.output(given, "demo") == given


def test_without_out_the_repository_has_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert common.output("", "demo", tmp_path) == str(tmp_path / "out" / "demo")


def test_an_installed_package_writes_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert common.output("", "demo", tmp_path / "site-packages") == str(tmp_path / "out" / "demo")
    assert common.output("here", "demo", tmp_path / "site-packages") == str(tmp_path / "here")


def test_a_relative_output_in_the_copy_of_a_job_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "cwd", lambda: JOB)
    with pytest.raises(errors.UsageError, match="--out here: this job runs in a temporary copy"):
        common.output("here", "demo")
    assert common.output("/data/demo", "demo") == "/data/demo"


def test_the_default_output_in_the_copy_of_a_job_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "working_dir_files" / "_ray_pkg_abc"
    root.mkdir(parents=True)
    (root / "pyproject.toml").touch()
    with pytest.raises(errors.UsageError, match=r"out/demo: this job .* give --out an absolute path"):
        common.output("", "demo", root)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.UsageError("no"), 2, "error: no\n"),
        (errors.TooManyRejects("no"), 3, "error: no\n"),
        (errors.Stopped("no"), 4, "stopped: no\n"),
        (errors.IntegrityError("no"), 5, "error: no\n"),
        (errors.Locked("no"), 6, "error: no\n"),
        (errors.MatchedNothing("a\x1b[31mb"), 7, "error: a\\x1b[31mb\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/out/shards"),
            4,
            "stopped: /out/shards: No space left on device; nothing is lost: mend it and run the same "
            "command again\n",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/out/lock"),
            2,
            "error: /out/lock: Read-only file system; may this user read and write there?\n",
        ),
    ],
)
def test_errors_that_a_user_can_mend_are_one_message_and_a_code(
    error: Exception, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> int:
        raise error

    assert common.guard(command) == code
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone", "x"), KeyError("ours")])
def test_errors_of_our_own_keep_their_traceback(error: Exception) -> None:
    def command() -> int:
        raise error

    with pytest.raises(type(error)):
        common.guard(command)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_cleanly_with_4(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        os.kill(os.getpid(), number)
        return 0

    assert common.guard(command) == 4
    assert f"stopped: {number.name} received; nothing is lost" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["read", "write"])
def test_a_signal_within_a_librarys_callback_stops_as_cleanly(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is raised there is dropped: the stop comes a little later, the call ends as if none had come."""

    class Signalling(io.BytesIO):
        num = 0

        def readinto(self, buffer: Any) -> int:
            self._signal("read")
            return super().readinto(buffer)

        def write(self, data: Any) -> int:
            self._signal("write")
            return super().write(data)

        def _signal(self, now: str) -> None:
            self.num += now == name
            if now == name and self.num == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    done = []

    def command() -> int:
        file = Signalling()
        soundfile.write(file, np.zeros((100_000, 2)), 44_100, format="WAV")
        file.seek(0)
        audio, _ = soundfile.read(file)
        done.append((len(audio), file.num))
        while True:  # nothing is left to do but to stop
            time.sleep(0.01)

    assert common.guard(command) == 4
    said = capsys.readouterr().err
    assert "stopped: SIGTERM received; nothing is lost" in said
    assert "Exception ignored" not in said
    assert done == [] or done[0][0] == 100_000


def test_a_reader_that_leaves_is_no_error() -> None:
    program = (
        "import sys; from sao_data.commands import common\n"
        "def command():\n"
        "    for _ in range(100_000): print('line')\n"
        "    return 0\n"
        "sys.exit(common.guard(command))"
    )
    shell = f'"{sys.executable}" -c "$0" | head -n 1; echo "status ${{PIPESTATUS[0]}}"'
    status, said = processes.ran("bash", "-c", shell, program)
    assert (status, said) == (0, "line\nstatus 0\n")
