"""A contact sheet: many sounds on one page that opens by double click, each with player, waveform, mel
picture, prompt and seed. The sounds lie beside it; pictures are inside it; there is no script.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined

from sao_data.audio.shown import pictures
from sao_data.errors import UsageError

FILE = "index.html"
MARK = '<meta name="generator" content="sao contact sheet">'


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sound of the sheet."""

    path: Path
    prompt: str
    negative_prompt: str
    seed: int
    seconds: float
    remarks: tuple[str, ...]


def check_free(folder: Path) -> None:
    """UsageError if a page of somebody else lies where the sheet goes."""
    path = folder / FILE
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise UsageError(f"{path}: is no contact sheet, and is not overwritten; give another --out")


def write(folder: Path, entries: Sequence[Entry], *, title: str) -> Path:
    """Write the sheet of sounds that lie in `folder`."""
    pages = Environment(loader=PackageLoader("sao_model.sounds"), autoescape=True, undefined=StrictUndefined)
    text = pages.get_template("sheet.html.j2").render(title=title, rows=[_row(entry) for entry in entries])
    path = folder / FILE
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path


def _row(entry: Entry) -> dict[str, object]:
    samples_TC, rate = soundfile.read(entry.path, dtype="float32", always_2d=True)
    picture = base64.b64encode(pictures.mel(samples_TC.T, rate)).decode()
    return {
        "file": quote(entry.path.name),
        "name": entry.path.name,
        "prompt": entry.prompt,
        "negative_prompt": entry.negative_prompt,
        "seed": entry.seed,
        "seconds": f"{entry.seconds:.2f}",
        "remarks": entry.remarks,
        "waveform": pictures.waveform(samples_TC.T),
        "mel": f"data:image/png;base64,{picture}",
    }
