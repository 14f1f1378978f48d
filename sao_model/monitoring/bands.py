"""Known-good curves: the mean of several runs at every step, and how far from it a run may be.

The tolerance is two percent of the mean, and four times the deviation that one run more is expected to have:
the one between n runs, as a share of the mean, pooled over the steps around, times sqrt(1 + 1/n). Runs with
other seeds, or on other machines, are inside. Few runs understate it: four or more are good. Speeds and
shares of the time are left out: they are the machine's. Rates follow from the settings.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data import config as configs
from sao_data.errors import UsageError
from sao_data.shipped import manifests_folder
from sao_data.storage import documents
from sao_model import preset, run
from sao_model.monitoring import logs
from sao_model.monitoring.logs import Points

FORMAT = 1
_LEFT_OUT = re.compile(r"rate$|_share$|^samples_per_second$")
_DEVIATIONS, _RELATIVE = 4.0, 0.02
_AROUND = 3  # steps on either side whose deviations are pooled
# Settings that may change in the middle of a run (training/state.py): how long, how often, what is shown, how
# work is divided. Neither these nor the seed decide whose curves compare.
FREE = (
    "pace",
    "release",
    "accumulate",
    "checkpointing",
    "validation",
    "demos",
    "scores",
    "trackers",
    "preflight",
)
SEED = "seed"
FREE_OF_STREAM = ("num_threads", "num_prefetch", "verify", "num_retries", "retry_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One measure of known-good runs."""

    steps: tuple[int, ...]
    mean: tuple[float, ...]
    tolerance: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A file of bands."""

    format: int
    model: str
    settings: str  # digest of all that decides the curves
    dataset: str  # its name, and how many samples are trained on; '' = not known
    num_runs: int
    most_skipped: int  # steps, in any of the runs
    bands: dict[str, Band]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one run gives to compare."""

    folder: Path
    model: str
    settings: str
    dataset: str
    step: int
    num_skipped: int
    data_shares: tuple[float, ...]  # of the time, waiting for data
    curves: dict[str, Points]


def measure(folder: Path) -> Measured:
    """The curves of a run, and the digests by which they compare."""
    config, found = logs.read_config(folder), logs.read(folder)
    if not found.lines:
        raise UsageError(f"{folder}: nothing in its {run.LOG} yet; train for some steps first")
    every = logs.curves(found.lines)
    curves = {name: points for name, points in every.items() if not _LEFT_OUT.search(name)}
    for which in ("ema", "raw"):
        lines = [line for line in found.validations if line.get("weights") == which]
        curves |= {f"validation/{which}/{name}": points for name, points in logs.curves(lines).items()}
    return Measured(
        folder=folder,
        model=str(config["model"]),
        settings=settings(config),
        dataset=_dataset(logs.data_of(folder)),
        step=found.step,
        num_skipped=len(found.skips),
        data_shares=tuple(share for _, share in every.get("data_share", [])),
        curves=curves,
    )


def make(runs: Sequence[Measured]) -> Reference:
    """Bands around several runs of the same settings; UsageError if they are not."""
    first = runs[0]
    if len(runs) < 2:
        raise UsageError(f"{first.folder}: one run has no deviation; give at least two, of different seeds")
    for other in runs[1:]:
        if (other.settings, other.dataset) != (first.settings, first.dataset):
            what = "settings" if other.settings != first.settings else "dataset"
            raise UsageError(f"{other.folder}: has another {what} than {first.folder}; give runs of the same")
    names = [name for name in first.curves if all(name in each.curves for each in runs)]
    return Reference(
        format=FORMAT,
        model=first.model,
        settings=first.settings,
        dataset=first.dataset,
        num_runs=len(runs),
        most_skipped=max(each.num_skipped for each in runs),
        bands={name: band for name in names if (band := _band([each.curves[name] for each in runs])).steps},
    )


def read(path: Path) -> Reference:
    """A file of bands."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give one that `sao train compare` has written")
    fix = "write it again from the runs"
    found = documents.read(Reference, path.read_bytes(), where=str(path), fix=fix, error=UsageError)
    if found.format != FORMAT:
        raise UsageError(f"{path}: format {found.format}, this reads {FORMAT}; write it again from the runs")
    return found


def write(reference: Reference, path: Path) -> None:
    """Publish a file of bands, the same bytes for the same runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(configs.canonical(reference), sort_keys=True)
    run.write(path, (text.replace('}, "', '},\n"') + "\n").encode())


def shipped() -> dict[str, Path]:
    """The bands that ship: manifests/reference, or the copy inside an installed wheel."""
    return {path.stem: path for path in sorted((manifests_folder() / "reference").glob("*.json"))}


def find(measured: Measured) -> Reference:
    """The shipped bands of a run's settings; UsageError if there are none."""
    found = {name: read(path) for name, path in shipped().items()}
    for reference in found.values():
        if reference.settings == measured.settings:
            return reference
    there = ", ".join(found) or "none at all"
    raise UsageError(
        f"{measured.folder}: no known-good curves for these settings (there are: {there}); name a file of "
        "bands, or make one from several runs"
    )


def settings(config: dict[str, Any]) -> str:
    """Digest of what decides the curves: the settings that do, and the model's shape."""
    deciding = {key: value for key, value in config.items() if key not in (*FREE, SEED)}
    stream = {k: v for k, v in config.get("stream", {}).items() if k not in FREE_OF_STREAM}
    shape = preset.to_table(preset.read(str(config["model"])))
    return configs.digest(deciding | {"stream": stream, "model": shape})


def _dataset(data: Mapping[str, Any]) -> str:
    """What tells a dataset from another here: a digest would change with every word of a caption."""
    num = sum(int(shard["num_samples"]) for shard in data.get("shards", []))
    return f"{data['dataset']}, {num} samples" if data else ""


def _band(curves: Sequence[Points]) -> Band:
    """Mean and tolerance at the steps that all runs have."""
    tables = [dict(points) for points in curves]
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    columns = [[table[step] for table in tables] for step in steps]
    means = [sum(column) / len(column) for column in columns]
    # The deviations of a curve that falls to a twentieth fall with it: they are pooled as shares of the mean,
    # unless it crosses zero.
    every = [value for column in columns for value in column]
    is_relative = bool(every) and (min(every) > 0 or max(every) < 0)
    scales = [abs(mean) if is_relative else 1.0 for mean in means]
    variances = [
        sum(((value - mean) / scale) ** 2 for value in column) / (len(column) - 1)
        for column, mean, scale in zip(columns, means, scales, strict=True)
    ]
    around = [variances[max(0, at - _AROUND) : at + _AROUND + 1] for at in range(len(steps))]
    tolerances = [
        scale * _DEVIATIONS * math.sqrt(_mean(near) * (1 + 1 / len(tables))) + _RELATIVE * abs(mean)
        for near, mean, scale in zip(around, means, scales, strict=True)
    ]
    return Band(steps=tuple(steps), mean=_rounded(means), tolerance=_rounded(tolerances))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Six digits that say something."""
    return tuple(float(f"{value:.6g}") for value in values)
