"""What codecs leave of sounds: a table in the shape of the paper's (tables 3, 4 and 7), whole and per class.

The class of a sound is the folder it lies in. Every sound is scored once and kept (scores.jsonl), so a run
that was stopped goes on, and a codec that is added is all that is run. Some sounds are kept to be listened
to, original and reconstructions side by side.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Protocol, TextIO
from urllib.parse import quote

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined

from sao_data.errors import MatchedNothing, UsageError
from sao_data.records import SAMPLE_RATE
from sao_model.evaluation.codecs.reconstructors import Floats, Reconstructor
from sao_model.evaluation.results import publish
from sao_model.metrics import intervals, reconstruction
from sao_model.metrics.intervals import Estimate
from sao_model.sounds import reading, writing

PAGE, TABLE, SCORES = "index.html", "codec_table.json", "scores.jsonl"
ALL = "all"
SUFFIXES = (
    ".wav",
    ".flac",
    ".mp3",
    ".ogg",
    ".opus",
    ".m4a",
    ".aac",
    ".aif",
    ".aiff",
    ".caf",
    ".wma",
    ".webm",
)
_QUIET = 1e-3  # peak, -60 dBFS: a distance relative to silence means nothing
_SHORTEST = 0.5  # s


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One sound through one codec."""

    stft: float  # distances: lower is better
    mel: float
    si_sdr: float  # dB: higher is better
    loudness: float  # LU of error
    width: float  # dB of error


MEANINGS = {
    "stft": "STFT distance ↓", "mel": "MEL distance ↓", "si_sdr": "SI-SDR, dB ↑",
    "loudness": "loudness error, LU ↓", "width": "width error, dB ↓",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSound:
    """A row of scores.jsonl."""

    file: str  # relative to the folder of sounds
    sha256: str
    seconds: float  # that were looked at, at most
    codec: str
    identity: str
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One codec over the sounds of a class."""

    codec: str
    kind: str  # class, or "all"
    estimates: dict[str, Estimate]  # by metric; those without a value for any sound are left out


class _Progress(Protocol):
    """sao_data/commands/progress.py."""

    def start(self, step: str, total: int | None) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecTable:
    """All of it."""

    cells: tuple[Cell, ...]
    left_out: dict[str, str]  # sounds that were not measured, and why


def measure(
    folder: Path,
    codecs: Sequence[Reconstructor],
    out: Path,
    shown: _Progress,
    *,
    seconds: float,
    keep: int,
) -> CodecTable:
    """Score all sounds below a folder, `seconds` of each at most, and write scores, table and page to `out`;
    the first `keep` sounds of each class can be listened to."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise MatchedNothing(f"{folder}: no sounds below it ({', '.join(SUFFIXES)})")
    out.mkdir(parents=True, exist_ok=True)
    kept = _kept(files, folder, keep)
    rows: list[ScoredSound] = []
    left_out: dict[str, str] = {}
    known = {(row.sha256, row.identity, row.seconds): row for row in _read(out / SCORES)}
    shown.start("measure", len(files) * len(codecs))
    with _appended(out / SCORES) as log:
        for path in files:
            name = path.relative_to(folder).as_posix()
            original, sha256, why = _original(path, seconds)
            if original is None:
                left_out[name] = why
                shown.advance(len(codecs))
                continue
            for codec in codecs:
                row = known.get((sha256, codec.identity, seconds))
                pair = _places(out, name, codec.name) if path in kept else None
                if row is None or (pair and not all(place.is_file() for place in pair)):
                    rebuilt = codec.rebuild(original)
                    row = _scored(name, sha256, seconds, codec, original, rebuilt)
                    log.write(json.dumps(asdict(row), sort_keys=True) + "\n")
                    log.flush()
                    if pair:
                        _write_pair(pair, original, rebuilt)
                rows.append(replace(row, file=name, codec=codec.name))
                shown.advance(1)
    shown.finish()
    if not rows:
        first = next(iter(left_out.items()))
        raise MatchedNothing(f"{folder}: no sound could be measured; {first[0]}: {first[1]}")
    table = CodecTable(cells=tuple(_cells(rows, [codec.name for codec in codecs])), left_out=left_out)
    publish(out / TABLE, json.dumps(_plain(table, codecs, seconds), indent=1, sort_keys=True) + "\n")
    publish(out / PAGE, _page(table, codecs, [p.relative_to(folder).as_posix() for p in kept], out))
    return table


def lines(table: CodecTable) -> Iterator[str]:
    """The table as text: a block a class."""
    for kind in dict.fromkeys(cell.kind for cell in table.cells):
        yield f"{kind}"
        for cell in table.cells:
            if cell.kind == kind:
                said = (f"{name} {_short(estimate)}" for name, estimate in cell.estimates.items())
                num = max(estimate.num for estimate in cell.estimates.values())
                yield f"  {cell.codec:24s} n {num:<5d} {'   '.join(said)}"
    for name, why in table.left_out.items():
        yield f"left out  {name}: {why}"


def _original(path: Path, seconds: float) -> tuple[Floats | None, str, str]:
    """Its samples, its sha256, or why it is left out."""
    try:
        found = reading.read(path, SAMPLE_RATE)
    except UsageError as error:
        return None, "", str(error).removeprefix(f"{path}: ")
    samples_CT = found.samples_CT[:, : round(seconds * SAMPLE_RATE)]
    if samples_CT.shape[1] < _SHORTEST * SAMPLE_RATE:
        return None, "", f"shorter than {_SHORTEST} s"
    if abs(samples_CT).max() < _QUIET:
        return None, "", "silent (below -60 dBFS)"
    return samples_CT, found.sha256, ""


def _scored(
    name: str, sha256: str, seconds: float, codec: Reconstructor, original: Floats, rebuilt: Floats
) -> ScoredSound:
    pair = (torch.from_numpy(rebuilt)[None], torch.from_numpy(original)[None])
    found = {key: float(value) for key, value in reconstruction.distances(*pair, SAMPLE_RATE).items()}
    scores = Scores(
        **found,
        loudness=reconstruction.loudness_error(rebuilt, original),
        width=reconstruction.width_error(rebuilt, original),
    )
    return ScoredSound(
        file=name, sha256=sha256, seconds=seconds, codec=codec.name, identity=codec.identity, scores=scores
    )


def _cells(rows: Sequence[ScoredSound], names: Sequence[str]) -> Iterator[Cell]:
    kinds = sorted({_kind(row.file) for row in rows} - {""})
    for kind in (ALL, *kinds):
        for name in names:
            of = [r.scores for r in rows if r.codec == name and (kind == ALL or _kind(r.file) == kind)]
            values = {f.name: [float(getattr(one, f.name)) for one in of] for f in fields(Scores)}
            finite = {key: [v for v in each if math.isfinite(v)] for key, each in values.items()}
            estimates = {key: intervals.of_mean(each) for key, each in finite.items() if each}
            if estimates:
                yield Cell(codec=name, kind=kind, estimates=estimates)


def _kind(name: str) -> str:
    """The folder a sound lies in, below the folder of all; '' for none."""
    return name.partition("/")[0] if "/" in name else ""


def _kept(files: Sequence[Path], folder: Path, keep: int) -> list[Path]:
    counts: dict[str, int] = {}
    chosen = []
    for path in files:
        kind = _kind(path.relative_to(folder).as_posix())
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= keep:
            chosen.append(path)
    return chosen


def _places(out: Path, name: str, codec: str) -> tuple[Path, Path]:
    """Where an original and its reconstruction lie."""
    stem = name.replace("/", "__")
    return out / "original" / f"{stem}.flac", out / codec / f"{stem}.flac"


def _write_pair(pair: tuple[Path, Path], original: Floats, rebuilt: Floats) -> None:
    for place, samples in zip(pair, (original, rebuilt), strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        writing.write(place, samples, SAMPLE_RATE)


def _appended(path: Path) -> TextIO:
    """The file to go on with; a line that a kill cut off is ended."""
    is_cut = path.is_file() and not path.read_bytes().endswith(b"\n")
    file = path.open("a", encoding="utf-8")
    file.write("\n" * is_cut)
    return file


def _read(path: Path) -> Iterator[ScoredSound]:
    """Rows that are whole: the last one may have been cut off by a kill."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            yield ScoredSound(**row | {"scores": Scores(**row["scores"])})
        except (ValueError, TypeError, KeyError):
            continue


def _plain(table: CodecTable, codecs: Sequence[Reconstructor], seconds: float) -> dict[str, object]:
    return {
        "codecs": {codec.name: codec.identity for codec in codecs},
        "seconds": seconds,
        "cells": [
            {
                "codec": cell.codec,
                "class": cell.kind,
                "metrics": {k: asdict(e) for k, e in cell.estimates.items()},
            }
            for cell in table.cells
        ],
        "left_out": table.left_out,
    }


def _page(table: CodecTable, codecs: Sequence[Reconstructor], kept: Sequence[str], out: Path) -> str:
    names = [codec.name for codec in codecs]
    pages = Environment(
        loader=PackageLoader("sao_model.evaluation"), autoescape=True, undefined=StrictUndefined
    )
    sounds = []
    for name in kept:
        places = [_places(out, name, codec) for codec in names]
        if all(place.is_file() for pair in places for place in pair):
            links = [_link(places[0][0], out), *(_link(pair[1], out) for pair in places)]
            sounds.append({"name": name, "links": list(zip(["original", *names], links, strict=True))})
    return pages.get_template("codecs.html.j2").render(
        codecs=[(codec.name, codec.identity) for codec in codecs],
        kinds=list(dict.fromkeys(cell.kind for cell in table.cells)),
        cells=table.cells,
        metrics=MEANINGS,
        short=_short,
        sounds=sounds,
        left_out=table.left_out,
    )


def _link(place: Path, out: Path) -> str:
    return quote(place.relative_to(out).as_posix())


def _short(estimate: Estimate) -> str:
    """0.86 (0.81–0.92)."""
    if math.isnan(estimate.low):
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"
