"""A training run: where it is in time, its folder, its log, its checkpoints.

RUN/config.json               what is trained, as it was asked for
RUN/log.jsonl                 one JSON object a line: step, losses, rate, seconds
RUN/checkpoints/step-000100/  a loadable model folder of averaged weights; in it also
    training.safetensors      weights as trained, averages and the optimiser's moments
    loop.json                 step and data position: all else that a resume needs
    training_data.json        which samples these weights have seen, and what their works ask of a release
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sao_data.config import canonical, digest, parse
from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError, UsageError
from sao_data.loading.stream import Stream, StreamState
from sao_data.storage import checksums, documents
from sao_model import declared, optimiser, weights
from sao_model.declared import Declared
from sao_model.ema import Ema

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
LOOP = "loop.json"
DATA = declared.DATA
_READING = ("num_threads", "num_prefetch", "verify", "num_retries", "retry_seconds")


class RunProgress(Protocol):
    """Shows how far a run is."""

    def start(self, step: str, total: int | None, unit: str = ...) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long, and how often what; 0 = never."""

    steps: int = 1000
    log_every: int = 10
    save_every: int = 500
    keep_last: int = 3  # checkpoints; older ones go once a newer one is whole

    def __post_init__(self) -> None:
        if self.steps < 1 or self.keep_last < 1:
            raise UsageError(
                f"pace: steps {self.steps} and keep_last {self.keep_last}: want at least 1 of each"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """All that a resume needs beside the weights and moments."""

    step: int = 0  # optimiser steps done
    stream: StreamState = field(default_factory=StreamState)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """loop.json."""

    config: dict[str, Any]
    state: dict[str, Any]


class Run:
    """One run's folder, seen from one of its processes; only the main one writes."""

    def __init__(
        self, out: Path, accelerator: Accelerator, config: Any, pace: Pace, progress: RunProgress
    ) -> None:
        self.out = out.absolute()
        self.pace = pace
        self._accelerator = accelerator
        self._config = canonical(config)
        self._progress = progress
        self._began = time.monotonic()
        self._noted: dict[str, tuple[Tensor, int]] = {}

    def start(self, state: LoopState) -> None:
        """Make the folder, keep the log up to the state, show the progress."""
        if self._accelerator.is_main_process:
            self.out.mkdir(parents=True, exist_ok=True)
            for leftover in (self.out / CHECKPOINTS).glob(".tmp-*"):  # of a run killed while it saved
                shutil.rmtree(leftover)
            _write(self.out / "config.json", _json(self._config))
            self._trim_log(state.step)
            self._progress.start("train", self.pace.steps, "steps")
            self._progress.advance(state.step)
        self._accelerator.wait_for_everyone()

    def due(self, step: int, every: int) -> bool:
        """Is something due behind `step` steps? The last step is always due for what is done at all."""
        return every > 0 and (step % every == 0 or step == self.pace.steps)

    def advance(self) -> None:
        if self._accelerator.is_main_process:
            self._progress.advance(1)

    def note(self, **values: Tensor) -> None:
        """Add a step's losses to what the next log line averages; nothing is copied from the device."""
        for name, value in values.items():
            total, num = self._noted.get(name, (torch.zeros_like(value.detach(), dtype=torch.float64), 0))
            self._noted[name] = total + value.detach(), num + 1

    def log(self, step: int, named: Mapping[str, nn.Parameter], **values: float) -> None:
        """Append a line: losses since the last one, averaged over steps and processes. One that is not finite
        ends the run, as do such weights (`named`; on every process they are the same): none are saved."""
        numbers = {name: self._mean(total / num) for name, (total, num) in self._noted.items()} | values
        self._noted.clear()
        bad = [name for name, number in numbers.items() if not math.isfinite(number)]
        weight = "" if bad else weights.not_finite(named)
        if bad or weight:
            what = f"{bad[0]} is {numbers[bad[0]]}" if bad else f"{weight} is not finite"
            raise IntegrityError(f"{self.out}: {what} at step {step}; {self._way_out()}")
        if self._accelerator.is_main_process:
            seconds = round(time.monotonic() - self._began, 3)
            line = json.dumps({"step": step, "seconds": seconds, **numbers}, allow_nan=False)
            with (self.out / "log.jsonl").open("a") as file:
                file.write(line + "\n")
            shown = "  ".join(f"{name} {number:.4g}" for name, number in numbers.items())
            log.info("step %d of %d  %s", step, self.pace.steps, shown)

    def _way_out(self) -> str:
        """What helps against numbers that are not finite; the settings of this run lead there again."""
        found = checkpoints(self.out)
        last = f"{found[-1].name} is finite, but leads here again" if found else "nothing was saved"
        return f"{last}: {weights.ADVICE}"

    def checkpoint_folder(self, step: int) -> Path:
        return self.out / CHECKPOINTS / f"step-{step:08d}"

    def latest(self) -> Path | None:
        """The last whole checkpoint so far."""
        return next(reversed(checkpoints(self.out)), None)

    def prune(self) -> None:
        """Delete the oldest checkpoints, newest committed ones stay."""
        if self._accelerator.is_main_process:
            for folder in checkpoints(self.out)[: -self.pace.keep_last]:
                shutil.rmtree(folder)

    def finish(self) -> None:
        if self._accelerator.is_main_process:
            self._progress.finish()

    def _mean(self, value: Tensor) -> float:
        return float(self._accelerator.reduce(value.float(), reduction="mean"))

    def _trim_log(self, step: int) -> None:
        """Lines of steps that are about to be done again would stand there twice."""
        path = self.out / "log.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
            _write(path, "".join(line + "\n" for line in lines).encode())


def checkpoints(run: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(path for path in (run / CHECKPOINTS).glob("step-*") if (path / "model.json").exists())


def resolve(path: str | Path) -> Path:
    """A checkpoint folder, given itself or its run (then the latest one)."""
    folder = Path(path)
    if (folder / "model.json").exists():
        return folder
    found = checkpoints(folder)
    if not found:
        raise UsageError(f"{folder}: neither a checkpoint (no model.json) nor a run with checkpoints in it")
    return found[-1]


def to_resume(out: Path, resume: str) -> Path | None:
    """The checkpoint to continue from: "auto" the latest of the run, "never" none, else the one given."""
    found = checkpoints(out)
    if resume == "never":
        if found:
            raise UsageError(
                f"{out}: has {found[-1].name} already; --resume auto continues, or give another --out"
            )
        return None
    if resume == "auto":
        return found[-1] if found else None
    given = resolve(resume)
    if found and given.resolve() in [path.resolve() for path in found[:-1]]:
        raise UsageError(
            f"{given}: {out} has {found[-1].name} already, in the way; give another --out, or "
            "delete the later checkpoints"
        )
    return given


def read_state(checkpoint: Path, config: Any, free: tuple[str, ...] = ("pace", "release")) -> LoopState:
    """The loop state of a checkpoint; UsageError if it was made with other settings than these."""
    path = checkpoint / LOOP
    if not path.is_file():
        raise UsageError(f"{checkpoint}: no {LOOP}: a model, but not one that training can continue")
    fix = "restore it from a copy, or continue from an earlier checkpoint"
    facts = documents.checked(_Loop, checksums.read_file(checkpoint, LOOP), where=str(path), fix=fix)
    now, then = _deciding(canonical(config)), _deciding(facts["config"])
    changed = [key for key in now if key not in free and now[key] != then.get(key)]
    if changed:
        raise UsageError(
            f"{checkpoint}: made with another {', '.join(changed)}: was {then.get(changed[0])}, "
            f"now {now[changed[0]]}; "
            "continue with the same settings, or train into another --out"
        )
    return parse(LoopState, facts["state"], where=str(checkpoint / LOOP))


def _deciding(config: Any) -> dict[str, Any]:
    """Settings that decide what is learned; how fast samples are read does not."""
    stream = {key: value for key, value in config["stream"].items() if key not in _READING}
    return {**config, "stream": stream}


def loop_files(
    config: Any, state: LoopState, dataset: Dataset, stream: Stream, promise: Declared
) -> dict[str, bytes]:
    """loop.json and training_data.json of a checkpoint."""
    facts = dataset.facts
    data = {
        "dataset": facts["name"],
        "version": facts["version"],
        "root_digest": facts["root_digest"],
        "step": state.step,
        "parent": "",
        **promise.to_json(),
        "shards": stream.seen(state.stream).to_json(),
    }
    loop = {"config": canonical(config), "state": canonical(state)}
    return {LOOP: _json(loop), DATA: _json(data)}


def training_tensors(
    named: Mapping[str, nn.Parameter], optim: torch.optim.Optimizer, average: Ema
) -> dict[str, Tensor]:
    """Weights as trained, their averages and the optimiser's moments: all that a resume needs of tensors."""
    parts = (
        ("weight|", named),
        ("ema|", average.state_dict()),
        ("optimiser|", optimiser.state(optim, named)),
    )
    # Copies: the caller saves while the averages stand in for the weights.
    return {
        f"{prefix}{name}": value.detach().to("cpu", copy=True)
        for prefix, part in parts
        for name, value in part.items()
    }


@torch.no_grad()
def load_training(
    tensors: Mapping[str, Tensor],
    named: Mapping[str, nn.Parameter],
    optim: torch.optim.Optimizer,
    average: Ema,
) -> None:
    """Put back what `training_tensors` took."""

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    for name, value in under("weight|").items():
        named[name].copy_(value)
    average.load_state_dict(under("ema|"))
    optimiser.load_state(optim, named, under("optimiser|"))


def generator(seed: int, step: int, rank: int) -> torch.Generator:
    """Randomness of one step on one process: it follows from the three numbers, so a resume needs none."""
    mixed = int.from_bytes(bytes.fromhex(digest("noise", seed, step, rank))[:8], "big") >> 1
    return torch.Generator().manual_seed(mixed)


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):
        return 1 << 62  # half a line, written as the run was killed


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_bytes(data)
    os.replace(temporary, path)
