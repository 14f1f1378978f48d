"""FOLDER:STRENGTH: an adapter as it is asked for. Plain values that need no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sao_data.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterAsked:
    """An adapter, and how strongly it is to act."""

    folder: str
    strength: float = 1.0  # of its change; 0 = none, negative = the other way


def parse(text: str) -> AdapterAsked:
    """An adapter of "FOLDER:0.8" or "FOLDER" (strength 1); UsageError where the strength is no number. A
    folder whose name holds a colon may be given with its strength, or, if it is there, without."""
    folder, colon, number = text.rpartition(":")
    if not text.strip(":"):
        raise UsageError(f"--lora {text!r}: names no folder; give FOLDER or FOLDER:STRENGTH")
    if not colon or (Path(text).is_dir() and not Path(folder).is_dir()):
        return AdapterAsked(folder=text)
    try:
        strength = float(number)
    except ValueError as error:
        raise UsageError(
            f"--lora {text}: the strength {number!r} is not a number; give {folder or 'FOLDER'}:0.8, or, if "
            f"the colon is of the folder's name, {text}:0.8"
        ) from error
    if not math.isfinite(strength):
        raise UsageError(f"--lora {text}: the strength {number!r} is not finite; give {folder}:0.8")
    return AdapterAsked(folder=folder, strength=strength)


def parse_all(texts: Sequence[str]) -> tuple[AdapterAsked, ...]:
    """The same of several; UsageError for one that is named twice."""
    asked = tuple(parse(text) for text in texts)
    seen: set[Path] = set()
    for each in asked:
        path = Path(each.folder).resolve()
        if path in seen:
            raise UsageError(
                f"--lora {each.folder}: given twice; give it once, with the sum of the strengths"
            )
        seen.add(path)
    return asked
