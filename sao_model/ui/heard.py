"""What a model has heard, in words: from the checkpoint's training_data.json, with what nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data.errors import UsageError
from sao_data.loading import training_data
from sao_model import declared

PAGE = "index.html"
_SUMMARY = "summary.json"  # of a report: its dataset in numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTraining:
    """One training behind the weights."""

    what: str  # the model, or which part of it
    dataset: str
    version: str
    root_digest: str
    step: int
    num_heard: int  # samples of it that were drawn at least once
    num_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An attribution report, and whether it is about what this model has heard."""

    words: str
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """All that is known, and what is not."""

    trainings: tuple[PastTraining, ...]
    not_covered: tuple[str, ...]
    command: str  # that makes the report
    report: Report | None = None


def heard(checkpoint: Path, report: Path | None = None) -> Heard:
    """Read a checkpoint's record; IntegrityError if it is damaged, UsageError for a report that is none."""
    data = declared.read(checkpoint)
    trainings = () if data is None else tuple(_trainings(data, "the model"))
    missing = (
        ("the model: it does not say what it was trained on",)
        if data is None
        else tuple(_not_covered(data, ""))
    )
    return Heard(
        trainings=trainings,
        not_covered=missing,
        command=f"pipelines/report.py --data DIR --checkpoint {checkpoint} --out REPORT",
        report=None if report is None else _report(report, trainings),
    )


def check_report(folder: Path) -> None:
    """UsageError for a folder that is no report."""
    if not (folder / PAGE).is_file() or not (folder / _SUMMARY).is_file():
        raise UsageError(
            f"--report {folder}: no {PAGE} and {_SUMMARY} in it; give a folder that pipelines/report.py wrote"
        )


def _trainings(data: Mapping[str, Any], what: str) -> Iterator[PastTraining]:
    path = Path(training_data.FILE)
    shards = data["shards"]
    yield PastTraining(
        what=what,
        dataset=data["dataset"],
        version=data["version"],
        root_digest=data["root_digest"],
        step=data["step"],
        num_heard=sum(
            len(training_data.places_seen(shard, range(shard["num_samples"]), path)) for shard in shards
        ),
        num_samples=sum(shard["num_samples"] for shard in shards),
    )
    for part in data.get("pretrained", []):
        if part.get("training_data"):
            yield from _trainings(part["training_data"], f"its {part['part']}")


def _not_covered(data: Mapping[str, Any], of: str) -> Iterator[str]:
    for part in data.get("pretrained", []):
        name = f"{of}{part['part']}" + (f" ({part['name']})" if part.get("name") else "")
        if part.get("training_data"):
            yield from _not_covered(part["training_data"], f"{part['part']}: ")
        else:
            yield f"{name}: trained before, by others or without a record; nothing is known"


def _report(folder: Path, trainings: tuple[PastTraining, ...]) -> Report:
    check_report(folder)
    try:
        facts = json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))
        words = f"{facts['kept']:,} works by {facts['num_authors']:,} named authors"
        root, name = facts["root_digest"], f"{facts['name']} {facts['version']}"
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--report {folder}: {_SUMMARY} cannot be read ({error}); write the report again"
        ) from error
    known = {training.root_digest for training in trainings}
    remark = "" if root in known else f"It is about {name}, of which this model has no record."
    return Report(words=f"{words} ({name})", remark=remark)
