"""The attribution report of a published dataset, or of the part of it that a checkpoint has seen."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.report import files
from sao_data.dataset import owner
from sao_data.dataset.commit import info_of
from sao_data.dataset.verify import Dataset
from sao_data.errors import IntegrityError, UsageError
from sao_data.loading.training_data import read as read_training_data
from sao_data.records import SAMPLE_RATE, CatalogueRow, SampleRow, Shard
from sao_data.storage import documents as stored
from sao_data.storage.backend import Storage, write_if_changed


def check_out(out: Storage, dataset: Dataset) -> None:
    """UsageError unless `out` is empty or holds an earlier report on this dataset, outside the dataset."""
    found = set(out.entries())
    if not found:
        return
    if owner.FILE in found or out.url.rstrip("/") == f"{dataset.storage.url.rstrip('/')}/attribution":
        raise UsageError(f"--out {out.url}: the dataset has its report; give a folder of its own")
    name = _name_of_report(out) if "summary.json" in found else ""
    if not name:
        raise UsageError(f"--out {out.url}: not empty and no report (found {min(found)}); give another --out")
    if name != dataset.facts["name"]:
        raise UsageError(f"--out {out.url}: holds the report on {name!r}; give another --out")


def _name_of_report(out: Storage) -> str:
    """The dataset that the report there is on; '' if it is no report of ours."""
    where = f"{out.url}/summary.json"
    said = stored.plain(out.read("summary.json"), where=where, fix="give another --out", error=UsageError)
    return str(said.get("name", "")) if "root_digest" in said else ""


def write(dataset: Dataset, out: Storage, checkpoint: str | None = None) -> DatasetInfo:
    """Write the report's files to `out`; return what it says in numbers."""
    check_out(out, dataset)
    rows, shards = list(dataset.catalogue()), dataset.shards()
    warnings: tuple[str, ...] = ()
    if checkpoint:
        seen, step, elsewhere = _seen(dataset, Path(checkpoint))
        rows, shards = _only_seen(rows, seen), _seen_shards(dataset, seen)
        warnings = (f"Only the works that the checkpoint {Path(checkpoint).name} had seen by step {step:,}.",)
        more = (f"A part of it was trained on {other}: see the report of that." for other in elsewhere)
        warnings += tuple(more)
    info = info_of(dataset.facts["manifest"], rows, shards, dataset.facts["root_digest"], warnings)
    for name, data in files(info, rows):
        write_if_changed(out, name, data)
    return info


def _seen(dataset: Dataset, checkpoint: Path) -> tuple[list[SampleRow], int, list[str]]:
    """Samples whose bit is set in CKPT/training_data.json, and the step; refuses another dataset's
    checkpoint."""
    path = _training_data(checkpoint)
    data = read_training_data(path)
    step: int = data["step"]
    parts = [part["training_data"] for part in data.get("pretrained", []) if part.get("training_data")]
    here, elsewhere = _by_dataset(dataset, [data, *parts])
    if not here:
        given = f"{dataset.facts['name']} {dataset.facts['version']}"
        raise UsageError(
            f"{path}: trained on {', '.join(elsewhere)}, this is {given}; give --data that version"
        )
    in_order: dict[str, list[SampleRow]] = {}
    for row in sorted(dataset.samples(), key=lambda row: (row.shard, row.flac_offset)):
        in_order.setdefault(row.shard, []).append(row)
    seen = {
        row.key: row
        for history in here
        for shard, rows in in_order.items()
        for row in _picked(rows, history.get(shard), path)
    }
    return list(seen.values()), step, elsewhere


History = dict[str, dict[str, object]]  # shard name -> its entry in training_data.json


def _by_dataset(dataset: Dataset, histories: list[dict[str, Any]]) -> tuple[list[History], list[str]]:
    """Histories over this dataset version, and the names of other datasets that parts were trained on."""
    here, elsewhere = [], []
    for history in histories:
        if history["root_digest"] == dataset.facts["root_digest"]:
            here.append({str(entry["name"]): entry for entry in history["shards"]})
        else:
            elsewhere.append(f"{history['dataset']} {history['root_digest'][:12]}")
    return here, sorted(set(elsewhere))


def _training_data(checkpoint: Path) -> Path:
    """training_data.json of a checkpoint folder, or of a run's latest checkpoint."""
    if checkpoint.is_dir() and not (checkpoint / "training_data.json").exists():
        found = sorted(checkpoint.glob("checkpoints/step-*/training_data.json"))
        return found[-1] if found else checkpoint / "training_data.json"
    return checkpoint / "training_data.json" if checkpoint.is_dir() else checkpoint


def _picked(rows: list[SampleRow], entry: dict[str, object] | None, path: Path) -> list[SampleRow]:
    """Rows whose bit is set: sample i of a shard is bit i % 8 (least significant first) of byte i // 8."""
    if entry is None:
        return []
    try:
        bitmap = base64.b64decode(str(entry["seen"]), validate=True)
    except (binascii.Error, KeyError) as error:
        raise IntegrityError(f"{path}: the bitmap of {entry.get('name')} is damaged") from error
    if len(bitmap) * 8 < len(rows):
        raise IntegrityError(f"{path}: the bitmap of {entry['name']} is too short for {len(rows)} samples")
    return [row for i, row in enumerate(rows) if bitmap[i // 8] >> i % 8 & 1]


def _only_seen(rows: list[CatalogueRow], seen: list[SampleRow]) -> list[CatalogueRow]:
    """The catalogue as these weights know it: what they never saw counts as left out by training."""
    frames, clips, shards = Counter[str](), Counter[str](), dict[str, set[str]]()
    for sample in seen:
        frames[sample.recording_id] += sample.num_frames
        clips[sample.recording_id] += 1
        shards.setdefault(sample.recording_id, set()).add(sample.shard)
    return [
        _as_seen(row, frames[row.id], clips[row.id], shards.get(row.id, ())) if row.kept else row
        for row in rows
    ]


def _as_seen(row: CatalogueRow, num_frames: int, num_clips: int, shards: Iterable[str]) -> CatalogueRow:
    if num_clips:
        seconds = round(num_frames / SAMPLE_RATE, 3)
        return dataclasses.replace(row, num_clips=num_clips, seconds=seconds, shards=tuple(sorted(shards)))
    return dataclasses.replace(
        row, kept=False, stage="train", reason="not_seen", num_clips=0, seconds=None, shards=()
    )


def _seen_shards(dataset: Dataset, seen: list[SampleRow]) -> list[Shard]:
    """Shards with the number of seen samples in them."""
    nums = Counter(sample.shard for sample in seen)
    return [dataclasses.replace(s, num_samples=nums[s.name]) for s in dataset.shards() if nums[s.name]]
