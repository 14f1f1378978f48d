"""The folder of a page: every sound with its facts, the sounds that were begun with, newest first.

DIR/007-rain.wav, 007-rain.json      one sound and how it was made
DIR/008-rain/001-rain.wav, …         variations, with a sheet of them
DIR/originals/0123456789abcdef-me.wav    a sound that others began with, under its sha256
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data.storage import checksums
from sao_model.generation import Config, facts_path
from sao_model.sounds import prompts, writing

log = logging.getLogger(__name__)

ORIGINALS = "originals"
_DIGITS = 16  # of a sha256 in a name
_MOST_NAME = 60  # characters kept of an upload's name


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSound:
    """One sound that was made."""

    name: str  # below the folder, with "/"
    facts: dict[str, Any]


def newest(folder: Path, most: int) -> list[MadeSound]:
    """The `most` sounds made last, newest first; variations in their order."""
    found: list[MadeSound] = []
    for path in _sounds(folder):
        if len(found) == most:
            break
        facts = _facts(path)
        if facts is not None:
            found.append(MadeSound(name=path.relative_to(folder).as_posix(), facts=facts))
    return found


def named(folder: Path, name: str) -> MadeSound | None:
    """The sound of this name; None if there is none, whatever the name says."""
    path = sound(folder, name)
    facts = None if path is None else _facts(path)
    return None if facts is None else MadeSound(name=name, facts=facts)


def sound(folder: Path, name: str) -> Path | None:
    """A sound's path; None for what is none or lies elsewhere."""
    path = (folder / name).resolve()
    inside = path.is_relative_to(folder.resolve())
    return path if inside and path.suffix.lower() in writing.SUBTYPES and path.is_file() else None


def next_path(folder: Path, config: Config) -> Path:
    """Where the next sound goes, or the folder of the next variations."""
    last = max((_number(path) for path in folder.glob("[0-9]*")), default=0)
    suffix = "" if config.is_folder else f".{config.format}"
    return folder / prompts.file_name(last + 1, config.prompt, suffix)


def keep_original(folder: Path, upload: Path) -> Path:
    """Copy an uploaded sound to where it is found again by its content."""
    plain = re.sub(r"[^\w.-]+", "-", upload.name).strip("-.")[-_MOST_NAME:] or "sound"
    digest = checksums.sha256(upload)
    found = original(folder, digest)
    if found is not None:
        return found
    path = folder / ORIGINALS / f"{digest[:_DIGITS]}-{plain}"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    shutil.copyfile(upload, temporary)
    os.replace(temporary, path)
    return path


def original(folder: Path, sha256: str) -> Path | None:
    """The kept sound with this content."""
    found = sorted((folder / ORIGINALS).glob(f"{sha256[:_DIGITS]}-*")) if sha256 else []
    return found[0] if found else None


def _sounds(folder: Path) -> Iterator[Path]:
    """Sounds with facts beside them, by their numbers, without a look inside."""
    found = [*folder.glob("[0-9]*.json"), *folder.glob("[0-9]*/[0-9]*.json")]
    for path in sorted(found, key=lambda path: _order(folder, path)):
        for suffix in writing.SUBTYPES:
            if path.with_suffix(suffix).is_file():
                yield path.with_suffix(suffix)


def _order(folder: Path, path: Path) -> tuple[int, str, int]:
    top = path.relative_to(folder).parts[0]
    return -_number(folder / top), top, _number(path)


def _number(path: Path) -> int:
    match = re.match(r"[0-9]+", path.name)
    return int(match[0]) if match else 0


def _facts(path: Path) -> dict[str, Any] | None:
    """What the JSON says; a warning for one that says nothing."""
    try:
        facts = json.loads(facts_path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        facts = None
    if isinstance(facts, dict) and {"prompt", "seed", "seconds", "steps"} <= facts.keys():
        return facts
    log.warning("%s: does not say how %s was made; it is left out", facts_path(path), path.name)
    return None
