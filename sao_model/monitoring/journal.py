"""What a run writes down: losses since the last line, speed, where its time went, validations, trackers."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from sao_model import run

log = logging.getLogger(__name__)

_HALF = 1 << 62  # step of half a line, written as the run was killed


class Journal:
    """log.jsonl and validation.jsonl of a run, its trackers, and the clock; only the main process writes."""

    def __init__(self, out: Path, accelerator: Accelerator, num_steps: int) -> None:
        self._out = out
        self._accelerator = accelerator
        self._num_steps = num_steps
        self._began = self._told = time.monotonic()
        self._spent: dict[str, float] = {}  # seconds by what for, since the last line
        self._noted: dict[str, tuple[Tensor, int]] = {}
        self.num_samples = 0  # since the last line, of all processes

    def start(self, step: int, config: Mapping[str, Any]) -> None:
        """Cut off what was written behind the step that the run goes on from; tell the trackers."""
        if self._accelerator.is_main_process:
            for name in (run.LOG, run.VALIDATION):
                _trim(self._out / name, step)
        if self._accelerator.log_with:
            self._accelerator.init_trackers("sao", config=_flat(config))

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Count the seconds of this, as a share of all. On a GPU: until its work is done."""
        before = self._clock()
        yield
        self._spent[what] = self._spent.get(what, 0.0) + self._clock() - before

    def note(self, values: Mapping[str, Tensor]) -> None:
        """Add a step's losses to what the next line averages; nothing is copied from the device."""
        for name, value in values.items():
            total, num = self._noted.get(name, (torch.zeros_like(value.detach(), dtype=torch.float64), 0))
            self._noted[name] = total + value.detach(), num + 1

    def write(self, step: int, num_skipped: int, values: Mapping[str, float]) -> None:
        """Append a line: losses since the last one, averaged over steps and processes, samples a second, and
        shares of the time."""
        losses = self.means({name: total / num for name, (total, num) in self._noted.items()})
        now = self._clock()
        seconds = max(now - self._told, 1e-9)
        shares = {f"{name}_share": round(spent / seconds, 4) for name, spent in self._spent.items()}
        speed = {"samples_per_second": round(self.num_samples / seconds, 3), **shares}
        numbers = {**losses, **values, **speed}
        if num_skipped:
            numbers["skipped"] = num_skipped
        self._told, self.num_samples = now, 0
        self._noted.clear()
        self._spent.clear()
        at = {"step": step, "seconds": round(now - self._began, 3)}
        self.append(run.LOG, {**at, "processes": self._accelerator.num_processes, **numbers})
        if self._accelerator.is_main_process:
            log.info("step %d of %d  %s", step, self._num_steps, _shown({**losses, **values}))
        self._track(numbers, step)

    def tell(self, step: int, which: str, values: Mapping[str, float]) -> None:
        """Append a validation of the averaged weights (`which` = ema), or of those as trained (raw)."""
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            log.warning("step %d  validation (%s): not finite: %s", step, which, ", ".join(bad))
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self.append(run.VALIDATION, {"step": step, "weights": which, **finite})
        if self._accelerator.is_main_process:
            log.info("step %d  validation (%s)  %s", step, which, _shown(values))
        self._track({f"validation/{which}/{name}": value for name, value in finite.items()}, step)

    def append(self, name: str, facts: Mapping[str, Any]) -> None:
        """One line more in a file of the run, whole or not at all: a full disk does not end a training."""
        if not self._accelerator.is_main_process:
            return
        path, line = self._out / name, json.dumps(facts, allow_nan=False) + "\n"
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab", buffering=0) as file:
                written = file.write(line.encode())
            if written != len(line.encode()):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            log.warning("%s: a line is not written (%s)", path, error.strerror or error)
            with contextlib.suppress(OSError):
                os.truncate(path, size)

    def _track(self, numbers: Mapping[str, float], step: int) -> None:
        try:
            self._accelerator.log(dict(numbers), step=step)
        except OSError as error:
            log.warning("trackers: step %d is not written (%s)", step, error.strerror or error)

    def means(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Each value, mean over processes; all take part."""
        device = self._accelerator.device
        return {
            name: float(self._accelerator.reduce(value.detach().float().to(device), reduction="mean"))
            for name, value in values.items()
        }

    def _clock(self) -> float:
        """Now, in seconds; on a GPU when all work before is done."""
        if self._accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        return time.monotonic()


def losses(path: Path) -> dict[int, float]:
    """Validation loss of the averaged weights by step."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = (json.loads(line) for line in lines if _step(line) < _HALF)
    return {line["step"]: line["loss"] for line in found if line["weights"] == "ema" and "loss" in line}


def _trim(path: Path, step: int) -> None:
    """Lines of steps that are about to be done again would stand there twice."""
    if path.exists():
        lines = [line for line in path.read_text().splitlines() if _step(line) <= step]
        run.write(path, "".join(line + "\n" for line in lines).encode())


def _step(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):
        return _HALF


def _shown(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {number:.4g}" for name, number in values.items())


def _flat(table: Any, start: str = "") -> dict[str, str | int | float | bool]:
    """Settings as a tracker takes them: one level, plain values."""
    if isinstance(table, Mapping):
        return {k: v for key, value in table.items() for k, v in _flat(value, f"{start}{key}.").items()}
    plain = table if isinstance(table, str | int | float | bool) else str(table)
    return {start.rstrip("."): plain}
