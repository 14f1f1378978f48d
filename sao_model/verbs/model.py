"""What a model is made of: parameters, bytes, dtype, digest and licence terms of every part; and what it
needs in memory for generating and for training, by the formulas of sao_model/memory.py.

X is a preset (tiny, stable_audio_open), a TOML file, a checkpoint, a folder of diffusers or
stable-audio-tools, or an adapter: of that is shown for which model it is, and what it has heard. Nothing is
loaded or downloaded: parts are counted on PyTorch's meta device. `digest` is the sha256 of a stored part, ''
if it is not stored, or in several files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sao_model.checkpoint import StoredPart
    from sao_model.preset import Config

HELP = "what a model is made of: parameters, bytes, digests, terms"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="X",
        help="preset, TOML file, checkpoint, published folder, or adapter",
    )
    parser.add_argument(
        "--lora",
        metavar="A:STRENGTH",
        action="append",
        default=[],
        help="adapter to show with it; it must fit",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write a table, or {name, parts, total, memory}, to standard output."""
    from sao_data.config import canonical
    from sao_model import memory

    if folder := _adapter(args.model):
        return _show_adapter(folder, args)
    config, parts = _described(args.model)
    adapters = _adapters(args.model, args.lora)
    needed = memory.needs(config, {key: part.parameters for key, part in parts.items()})
    if args.json:
        table = {
            "name": config.name,
            "parts": {key: _facts(part) for key, part in parts.items()},
            "total": sum(part.parameters for part in parts.values()),
            "memory": canonical(needed),
            **({"loras": adapters} if adapters else {}),
        }
        sys.stdout.write(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
        return 0
    held = [line for each in adapters for line in _adapter_lines(each)]
    for line in [config.name, *lines(parts), *held, "memory", *memory.lines(needed)]:
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


def _adapter(name: str) -> Path | None:
    """The adapter's folder, where X is one, or a run that makes some."""
    from sao_model import run
    from sao_model.adapters import folders

    path = Path(name)
    if path.is_dir() and not folders.is_one(path) and not (path / "model.json").is_file():
        path = next(reversed(run.checkpoints(path)), path)
    return path if folders.is_one(path) else None


def _show_adapter(folder: Path, args: argparse.Namespace) -> int:
    """What one adapter is."""
    from sao_data.errors import UsageError

    if args.lora:
        raise UsageError(f"{args.model}: an adapter; --lora goes with its model")
    table = _adapter_facts(folder)
    if args.json:
        sys.stdout.write(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
        return 0
    for line in _adapter_lines(table):
        sys.stdout.write(line + "\n")
    return 0


def _adapters(name: str, asked: list[str]) -> list[dict[str, Any]]:
    """What is said of the adapters of a model; UsageError for one that does not fit."""
    from sao_data.errors import UsageError
    from sao_model import opened
    from sao_model.adapters import attached

    if asked and not Path(name).is_dir():
        raise UsageError(f"{name}: no checkpoint; --lora goes with a checkpoint or a published folder")
    found = attached.find(asked, opened.find(name)) if asked else ()
    return [{"strength": each.strength, **_adapter_facts(each.folder)} for each in found]


def _adapter_facts(folder: Path) -> dict[str, Any]:
    from sao_data.config import canonical
    from sao_model.adapters import folders
    from sao_model.ui import heard

    described = folders.describe(folder)
    known = heard.heard(folder, what="the adapter")
    return {
        "adapter": str(folder),
        "kind": described.kind,
        "rank": described.rank,
        "alpha": described.alpha,
        "layers": len(described.layers),
        "parameters": described.parameters,
        "bytes": described.bytes,
        "digest": described.sha256,
        "model": described.model,
        "base": described.base,
        "terms": described.terms,
        "heard": canonical(known.trainings),
        "not_covered": canonical(known.not_covered),
    }


def _adapter_lines(facts: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    at = f" at strength {facts['strength']:g}" if "strength" in facts else ""
    size, digest = f"{facts['bytes'] / 2**20:,.1f} MiB", facts["digest"][:12]
    terms = ", ".join(sorted(set(facts["terms"].values()))) or "not stated"
    heard = [
        f"  heard: {each['what']}, {each['num_heard']:,} of {each['num_samples']:,} samples of "
        f"{each['dataset']} {each['version']} by step {each['step']:,}"
        for each in facts["heard"]
    ]
    return [
        f"adapter {facts['adapter']}{at}",
        f"  {facts['kind']}, rank {facts['rank']}, alpha {facts['alpha']:g}, on {facts['layers']} layers of "
        f"{facts['model']} (dit sha256 {facts['base']['dit'][:12]})",
        f"  {facts['parameters']:,} parameters {size}  sha256 {digest}",
        f"  terms of its model's weights: {terms}",
        *heard,
        *(f"  not covered: {each}" for each in facts["not_covered"]),
    ]


def _facts(part: StoredPart) -> dict[str, int | str]:
    return {
        "parameters": part.parameters,
        "bytes": part.bytes,
        "dtype": part.dtype,
        "digest": part.sha256,
        "terms": part.terms,
    }
