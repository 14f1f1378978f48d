"""What a model has heard, in words: from the checkpoint's training_data.json, with what nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data.errors import UsageError
from sao_data.loading import training_data
from sao_model import declared

PAGE = "index.html"
_NOBODY = "trained before, by others or without a record; nothing is known"
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


def heard(
    checkpoint: Path,
    report: Path | None = None,
    adapters: Sequence[tuple[str, Path]] = (),
    what: str = "the model",
) -> Heard:
    """Read the record of a checkpoint and of named adapters in it; IntegrityError if one is damaged,
    UsageError for a report that is none."""
    trainings: list[PastTraining] = []
    missing: list[str] = []
    for name, folder in [(what, checkpoint), *((f"the adapter {name}", folder) for name, folder in adapters)]:
        if (data := declared.read(folder)) is None:
            missing.append(f"{name}: it does not say what it was trained on")
            continue
        # What an adapter's model has heard is the model's to say.
        own = {**data, "pretrained": []} if name != what else data
        trainings += _trainings(own, name)
        missing += [f"{part}: {_NOBODY}" for part in training_data.unrecorded(own)]
    last = adapters[-1][1] if adapters else checkpoint
    return Heard(
        trainings=tuple(trainings),
        not_covered=tuple(missing),
        command=f"pipelines/report.py --data DIR --checkpoint {last} --out REPORT",
        report=None if report is None else _report(report, tuple(trainings)),
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
