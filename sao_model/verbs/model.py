"""What a model is made of: parameters, bytes, dtype, digest and licence terms of every part; and what it
needs in memory for generating and for training, by the formulas of sao_model/memory.py.

X is a preset (tiny, stable_audio_open), a TOML file, a checkpoint, or a folder of diffusers or
stable-audio-tools. Nothing is loaded or downloaded: parts are counted on PyTorch's meta device. `digest` is
the sha256 of a stored part, '' if it is not stored, or in several files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_model.checkpoint import StoredPart
    from sao_model.preset import Config

HELP = "what a model is made of: parameters, bytes, digests, terms"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="X",
        help="preset, TOML file, checkpoint, or published folder",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write a table, or {name, parts, total, memory}, to standard output."""
    from sao_data.config import canonical
    from sao_model import memory

    config, parts = _described(args.model)
    needed = memory.needs(config, {key: part.parameters for key, part in parts.items()})
    if args.json:
        table = {
            "name": config.name,
            "parts": {key: _facts(part) for key, part in parts.items()},
            "total": sum(part.parameters for part in parts.values()),
            "memory": canonical(needed),
        }
        sys.stdout.write(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
        return 0
    for line in [config.name, *lines(parts), "memory", *memory.lines(needed)]:
        sys.stdout.write(line + "\n")
    return 0


def lines(parts: Mapping[str, StoredPart]) -> list[str]:
    """A line for every part, and the total."""
    shown = []
    for key, part in parts.items():
        digest = f"sha256 {part.sha256[:12]}" if part.sha256 else "not stored"
        shown.append(
            f"{key:14s}{part.parameters:>15,d} parameters {part.bytes / 2**20:>10,.1f} MiB  {part.dtype:10s}"
            f"{digest}  {part.terms or 'terms not stated'}"
        )
    return [*shown, f"{'total':14s}{sum(part.parameters for part in parts.values()):>15,d} parameters"]


def _described(name: str) -> tuple[Config, dict[str, StoredPart]]:
    """Config and parts; a checkpoint says them in model.json, anything else is counted without memory."""
    from sao_model import checkpoint, opened, preset

    if Path(name).is_dir():
        description = opened.find(name).describe()
        return description.config, description.parts
    import torch

    from sao_model.model import StableAudioModel

    config = preset.read(name)
    with torch.device("meta"):
        model = StableAudioModel(config)
    return config, checkpoint.measure(model)


def _facts(part: StoredPart) -> dict[str, int | str]:
    return {
        "parameters": part.parameters,
        "bytes": part.bytes,
        "dtype": part.dtype,
        "digest": part.sha256,
        "terms": part.terms,
    }
