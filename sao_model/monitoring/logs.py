"""What a run has written down, read back: lines of its log, validations, steps that were skipped, sounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def names(lines: Sequence[Line]) -> list[str]:
    """Every measure that lines tell of, in the order in which they first do."""
    found = {name: None for line in lines for name in line if name not in _ABOUT}
    return list(found)


def points(lines: Sequence[Line], name: str) -> Points:
    """One measure by step."""
    return [(line["step"], float(line[name])) for line in lines if name in line]


def thinned(found: Points, most: int = 1000) -> Points:
    """At most so many points: the least and the greatest of each stretch, so that no spike is lost."""
    if len(found) <= most:
        return found
    num, kept = most // 2, []
    for at in range(num):
        stretch = found[at * len(found) // num : (at + 1) * len(found) // num]
        kept += sorted({min(stretch, key=_value), max(stretch, key=_value)})
    return kept


_value: Callable[[tuple[int, float]], float] = lambda point: point[1]  # noqa: E731


def _lines(path: Path) -> list[Line]:
    """The objects of a file of lines; the last one may be half written."""
    if not path.is_file():
        return []
    texts, found = path.read_text(encoding="utf-8").splitlines(), []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            found.append({**line, "step": int(line["step"])})
        except (ValueError, KeyError, TypeError) as error:
            if number < len(texts):
                raise UsageError(
                    f"{path}:{number}: no line of a training's log ({error}); delete that line"
                ) from error
    return found


def _sounds(path: Path) -> list[Line]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error}); {_FIX}") from error
    return [each for each in found if isinstance(each, dict) and "file" in each]
