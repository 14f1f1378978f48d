"""`sao probe FILE…`: what each file is, whether the dataset would take it, and how it measures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sao_data.audio.sandbox import Sandbox

HELP = "decode audio files and say what they are, one JSON line each"

_KEYS = (
    "file", "status", "reason", "detail", "container", "codec", "sample_rate", "num_channels", "num_frames",
    "num_frames_out", "seconds", "measures",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio files")


def run(args: argparse.Namespace) -> int:
    """Probe every file: 0 if all could be read, whatever they turned out to be, else 2."""
    from sao_data.audio import AudioConfig
    from sao_data.audio.measuring import speech
    from sao_data.audio.sandbox import Sandbox

    status = 0
    with Sandbox(AudioConfig(speech=speech.is_installed())) as sandbox:
        for name in args.files:
            try:
                line = _line(sandbox, name)
            except OSError as error:
                sys.stderr.write(f"{name}: {error.strerror or error}\n")
                status = 2
                continue
            sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")
    return status


def _line(sandbox: Sandbox, name: str) -> dict[str, Any]:
    """The keys of _KEYS in order; None where a rejected file has no value."""
    import dataclasses

    from sao_data.audio.rejected import AudioRejected
    from sao_data.records import SAMPLE_RATE

    found: dict[str, Any] = {"file": name, "status": "ok", "reason": "", "detail": ""}
    try:
        probe = sandbox.probe(Path(name))
    except AudioRejected as error:
        found |= {"status": "rejected", "reason": error.reason, "detail": error.detail}
    else:
        found |= dataclasses.asdict(probe) | {
            "seconds": round(probe.num_frames_out / SAMPLE_RATE, 3),
            "detail": " ".join(probe.notes),
            "measures": dataclasses.asdict(probe.measures) | dataclasses.asdict(probe.source),
        }
    return {key: found.get(key) for key in _KEYS}
