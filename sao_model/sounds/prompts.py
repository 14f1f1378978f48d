"""A file of prompts: one a line, or a CSV whose columns are the fields of what is asked."""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sao_data.errors import UsageError
from sao_model.request import MOST_SEED

_MOST_NAME = 40  # characters of a prompt in a file's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One line: what is not said there is as for all."""

    prompt: str
    seconds: float | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    name: str = ""  # of its file, without suffix; '' = its number and prompt


COLUMNS = ("prompt", "seconds", "seed", "negative_prompt", "name")


def read(path: Path) -> list[Asked]:
    """All prompts of a file; UsageError that names the line of what is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"prompts: {path}: no such file; one prompt a line, or a .csv") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise UsageError(f"prompts: {path}: no text in UTF-8; save it as that") from error
    if path.suffix.lower() == ".csv":
        asked = _table(path, text)
    else:
        asked = [Asked(prompt=line.strip()) for line in text.split("\n") if line.strip()]
    if not asked:
        raise UsageError(f"prompts: {path}: no prompts in it; one a line, or a .csv with the column prompt")
    return asked


def file_name(number: int, prompt: str, suffix: str, num: int = 1) -> str:
    """ "003-rain-on-a-tin-roof.wav": the third of `num` sorts as asked, and says what it is, on any file
    system."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:_MOST_NAME].strip("-")
    place = f"{number:0{max(3, len(str(num)))}d}"
    return f"{place}-{slug}{suffix}" if slug else f"{place}{suffix}"


def _table(path: Path, text: str) -> list[Asked]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = list(rows.fieldnames or [])
        unknown = [name for name in columns if name not in COLUMNS or columns.count(name) > 1]
        if "prompt" not in columns or unknown:
            what = f"no column {unknown[0]!r} is known" if unknown else "the column prompt is missing"
            raise UsageError(f"prompts: {path}: {what}; columns are {', '.join(COLUMNS)}, each once")
        asked = [_asked(f"prompts: {path}:{rows.line_num}", row) for row in rows]
    except csv.Error as error:
        raise UsageError(
            f"prompts: {path}:{rows.line_num}: {error}; close quotes, or save it again"
        ) from error
    names = [each.name for each in asked if each.name]
    if len(set(names)) < len(names):
        raise UsageError(f"prompts: {path}: two lines have the same name; each sound needs its own")
    return asked


def _asked(where: str, row: dict[str, str | None]) -> Asked:
    if None in row:
        raise UsageError(f"{where}: more cells than columns; put a prompt with a comma in quotes")
    said = {key: (value or "").strip() for key, value in row.items()}
    if not said["prompt"]:
        raise UsageError(f"{where}: empty prompt; say what to generate, or delete the line")
    try:
        seconds = float(said["seconds"]) if said.get("seconds") else None
        seed = int(said["seed"]) if said.get("seed") else None
    except ValueError as error:
        raise UsageError(f"{where}: {error}; seconds are a number, a seed is a whole one") from error
    if seed is not None and not 0 <= seed <= MOST_SEED:
        raise UsageError(f"{where}: seed {seed}; give a number from 0 to 2^63 - 1")
    if seconds is not None and not math.isfinite(seconds):
        raise UsageError(f"{where}: seconds {seconds}; give a number")
    name = said.get("name", "")
    if name != Path(name).name or name.startswith("."):
        raise UsageError(f"{where}: name {name!r} is no file's; leave out slashes and a dot in front")
    return Asked(
        prompt=said["prompt"],
        seconds=seconds,
        seed=seed,
        negative_prompt=said.get("negative_prompt") or None,
        name=name,
    )
