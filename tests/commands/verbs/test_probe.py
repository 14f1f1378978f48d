"""`sao probe`: one JSON line a file, fixed keys, and an exit code about reading, not about audio."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys

from sao_data.commands.verbs import probe
from sao_data.measures import Measures, SourceMeasures
from tests.made import tone, wav_bytes
from tests.paths import ROOT

KEYS = [
    "file", "status", "reason", "detail", "container", "codec", "sample_rate", "num_channels", "num_frames",
    "num_frames_out", "seconds", "measures",
]  # fmt: skip


def run(*files: object) -> int:
    parser = argparse.ArgumentParser()
    probe.add_arguments(parser)
    return probe.run(parser.parse_args([str(file) for file in files]))


def test_probe_tells_of_each_file(tmp_path, capsys) -> None:
    good, bad, missing = tmp_path / "good", tmp_path / "bad", tmp_path / "missing"
    good.write_bytes(wav_bytes(tone(seconds=1, rate=48_000), 48_000))
    bad.write_bytes(b"no sound in here" * 10)
    assert run(bad, missing, good) == 2
    captured = capsys.readouterr()
    rejected, ok = (json.loads(line) for line in captured.out.splitlines())
    assert captured.err == f"{missing}: No such file or directory\n"
    assert list(rejected) == list(ok) == KEYS
    assert (rejected["status"], rejected["reason"], rejected["measures"]) == ("rejected", "not_audio", None)
    assert (ok["status"], ok["reason"], ok["num_frames"], ok["num_frames_out"]) == ("ok", "", 48_000, 44_100)
    assert (ok["seconds"], ok["container"], ok["sample_rate"]) == (1.0, "wav", 48_000)
    assert set(ok["measures"]) == {
        field.name for cls in (Measures, SourceMeasures) for field in dataclasses.fields(cls)
    }
    assert (ok["measures"]["is_dual_mono"], ok["measures"]["bits"]) == (True, 16)


def test_rejected_files_are_no_failure_of_probe(tmp_path, capsys) -> None:
    (tmp_path / "bad").write_bytes(b"")
    assert run(tmp_path / "bad") == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "empty"


def test_help_needs_no_decoder() -> None:
    code = "import sys, sao_data.commands.verbs.probe"
    script = f"{code}; print(sorted({{'av', 'numpy', 'scipy'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == "[]\n"
