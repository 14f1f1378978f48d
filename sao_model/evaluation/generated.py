"""Sounds for a protocol's prompts from a checkpoint: each with its prompt's own seed, into OUT/sounds, under
a name made of its key. A run that was stopped goes on; more prompts change no sound that is there.

Under `accelerate launch` the prompts are dealt out to the processes, and the first one scores.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from accelerate import PartialState

from sao_data.errors import UsageError
from sao_model import devices, generation, making, opened
from sao_model.evaluation.protocol import PAPER_WINDOW, EvaluationProtocol, Prompt
from sao_model.evaluation.settings import GeneratingSettings
from sao_model.training.loop import RunProgress

SOUNDS = "sounds"
_MOST_NAME = 80  # characters
_PATIENCE = timedelta(days=30)  # processes that are done wait for the slowest


def window(model: str) -> float:
    """Seconds that a checkpoint can make at once."""
    shape = opened.find(model).describe().config
    return shape.num_frames / shape.sample_rate


def model_facts(model: str) -> dict[str, str]:
    """Which model a checkpoint is: its name, and the sha256 of its parts."""
    described = opened.find(model).describe()
    parts = {f"{name}_sha256": digest for name, digest in making.digests(described).items()}
    return {"model": described.config.name, **parts}


def cut(protocol: EvaluationProtocol, model: str) -> float:
    """Seconds that every sound is cut to: the protocol's, else the model's window, else the paper's."""
    if protocol.seconds:
        return min(protocol.seconds, window(model)) if model else protocol.seconds
    return window(model) if model else PAPER_WINDOW


def name_of(key: str) -> str:
    """A key as the name of a file, without suffix."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", key).lstrip(".")[:_MOST_NAME]
    return plain if plain == key else f"{plain}-{sha256(key.encode()).hexdigest()[:8]}"


def generate(
    model: str,
    prompts: Sequence[Prompt],
    config: GeneratingSettings,
    out: Path,
    progress: RunProgress,
    *,
    seconds: float,
) -> bool:
    """Make what is not there yet; True in the process that goes on to score."""
    is_cpu = devices.device(config.device).type == "cpu"
    state = PartialState(cpu=is_cpu, **({"timeout": _PATIENCE} if _is_launched() else {}))
    mine = list(prompts)[state.process_index :: state.num_processes]
    if mine:
        _check_settings(model, config, out / SOUNDS)
        lines = out / f"prompts-{state.process_index}.csv"
        _write(lines, mine, seconds)
        asked = generation.Config(
            prompts=str(lines),
            steps=config.steps,
            cfg_scale=config.cfg_scale,
            sampler=config.sampler,
            batch_size=config.batch_size,
            precision=config.precision,
            device=config.device,  # without a number: each process has its own GPU
            seed=0,  # every line has its own
        )
        making.generate(model, asked, out / SOUNDS, progress, with_sheet=False)
        lines.unlink()
    state.wait_for_everyone()
    return bool(state.is_main_process)


def _check_settings(model: str, config: GeneratingSettings, folder: Path) -> None:
    """UsageError where sounds lie that another model made, or other settings."""
    now = {name: getattr(config, name) for name in ("steps", "cfg_scale", "sampler", "precision", "device")}
    now["model_digest"] = making.digests(opened.find(model).describe())
    for path in sorted(folder.glob("*.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # cut by a kill: it is made again
        other = [name for name, value in now.items() if said.get(name) != value]
        if other:
            raise UsageError(
                f"{path}: made with other settings ({other[0]}); give another --out, or the model and "
                "settings that began this one"
            )


def _is_launched() -> bool:
    """Are there other processes? As `accelerate launch` and torchrun say it."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _write(path: Path, prompts: Sequence[Prompt], seconds: float) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "prompt", "seconds", "seed"))
    for each in prompts:
        length = min(each.seconds or seconds, seconds)
        writer.writerow((name_of(each.key), each.text, f"{length:.6f}", each.seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")
