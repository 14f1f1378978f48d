"""What a run has written down, read back: lines of its log, validations, steps that were skipped, sounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sao_data.errors import UsageError
from sao_data.storage import documents
from sao_model import run

Line = dict[str, Any]
Points = list[tuple[int, float]]  # step, value

_SOUNDS = "sounds.json"  # as training/demos.py writes it
_FIX = "restore it from a copy, or delete it"
BACK = "back_to"  # in a line of the log: weights went back to this checkpoint
_ABOUT = ("step", "seconds", "processes", "weights", "skipped", "epoch")  # are no measures


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """A run's two logs, each kind of line by itself, in order."""

    lines: tuple[Line, ...]  # losses and all else, every so many steps
    skips: tuple[Line, ...]  # of a step that was not finite: step, skipped, samples
    rollbacks: tuple[Line, ...]  # step, back_to
    validations: tuple[Line, ...]

    @property
    def step(self) -> int:
        """The last one that is told of; 0 = none."""
        return int(self.lines[-1]["step"]) if self.lines else 0

    def steps_per_second(self) -> float | None:
        """Of the last twenty lines that one start of the command wrote; None before the second of them."""
        if not self.lines:
            return None
        last = first = self.lines[-1]
        for line in reversed(self.lines[-20:-1]):
            if line["seconds"] >= first["seconds"]:
                break  # the clock began anew between them
            first = line
        seconds = last["seconds"] - first["seconds"]
        return float((last["step"] - first["step"]) / seconds) if seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSet:
    """What the weights of one step sound like."""

    step: int
    folder: Path
    sounds: tuple[Line, ...]  # file, weights, prompt, seed, seconds


def read(folder: Path) -> RunLog:
    """Both logs of a run; UsageError names a line that is none."""
    lines = _lines(folder / run.LOG)
    return RunLog(
        lines=tuple(line for line in lines if "seconds" in line),
        skips=tuple(line for line in lines if "samples" in line),
        rollbacks=tuple(line for line in lines if BACK in line),
        validations=tuple(_lines(folder / run.VALIDATION)),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a run; UsageError if the folder has none."""
    path = folder / run.CONFIG
    if not path.is_file():
        raise UsageError(f"{folder}: no run of a training (no {run.CONFIG} in it); give the --out of one")
    return documents.plain(path.read_bytes(), where=str(path), fix=_FIX, error=UsageError)


def data_of(folder: Path) -> dict[str, Any]:
    """training_data.json of a run's newest checkpoint; {} before there is one."""
    found = [path / run.DATA for path in run.checkpoints(folder)]
    if not found or not found[-1].is_file():
        return {}
    return documents.plain(found[-1].read_bytes(), where=str(found[-1]), fix=_FIX, error=UsageError)


def sound_sets(folder: Path) -> list[SoundSet]:
    """The sounds of every step that has some, oldest first."""
    found = []
    for path in sorted((folder / run.SOUNDS).glob(f"step-*/{_SOUNDS}")):
        there = [each for each in _sounds(path) if (path.parent / each["file"]).is_file()]
        step = run.step_of(path.parent)
        found.append(SoundSet(step=step, folder=path.parent, sounds=tuple(there)))
    return found


def curves(lines: Sequence[Line]) -> dict[str, Points]:
    """Every measure that lines tell of by step, in the order in which they first do."""
    found: dict[str, Points] = {}
    for line in lines:
        step = line["step"]
        for name, value in line.items():
            if name not in _ABOUT:
                found.setdefault(name, []).append((step, value))
    return found


def thinned(found: Points, most: int = 1000) -> Points:
    """At most so many points: the least and the greatest of each stretch, so that no spike is lost."""
    if len(found) <= most:
        return found
    table = _stretches(found, most // 2)
    starts = np.arange(len(table)) * table.shape[1]
    kept = {*(starts + table.argmin(1)).tolist(), *(starts + table.argmax(1)).tolist(), len(found) - 1}
    return [found[at] for at in sorted(kept) if at < len(found)]


def averaged(found: Points, most: int = 1000) -> Points:
    """The mean of each of half as many stretches, at its last step."""
    table = _stretches(found, most // 2)
    length = table.shape[1]
    steps = [found[min(at + length, len(found)) - 1][0] for at in range(0, len(found), length)]
    return list(zip(steps, table.mean(1).tolist(), strict=True))


def _stretches(found: Points, num: int) -> npt.NDArray[np.float64]:
    """Values in at most so many rows of the same length, the last one filled up with the last value."""
    length = -(-len(found) // num)
    values = np.array([value for _, value in found], np.float64)
    return np.pad(values, (0, -len(found) % length), mode="edge").reshape(-1, length)


def _lines(path: Path) -> list[Line]:
    """The objects of a file of lines; the last one may be half written."""
    if not path.is_file():
        return []
    texts = path.read_text(encoding="utf-8").splitlines()
    try:
        found: list[Line] = json.loads(f"[{','.join(texts)}]")  # twice as fast as one after the other
    except ValueError:
        found = list(_one_by_one(path, texts))
    for number, line in enumerate(found, 1):
        if not isinstance(line, dict) or not isinstance(line.get("step"), int):
            raise UsageError(f"{path}:{number}: no line of a training's log; delete that line")
    return found


def _one_by_one(path: Path, texts: Sequence[str]) -> Iterator[Line]:
    for number, text in enumerate(texts, 1):
        try:
            yield json.loads(text)
        except ValueError as error:
            if number < len(texts):
                raise UsageError(f"{path}:{number}: not JSON ({error}); delete that line") from error


def _sounds(path: Path) -> list[Line]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error}); {_FIX}") from error
    return [each for each in found if isinstance(each, dict) and "file" in each]
