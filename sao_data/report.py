"""The attribution report of a published dataset, or of the part of it that a checkpoint has seen."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sao_data import config
from sao_data.attribution.info import DatasetInfo, info_from
from sao_data.attribution.report import files
from sao_data.errors import IntegrityError, UsageError
from sao_data.licences import Policy, Release
from sao_data.provenance import Dataset
from sao_data.records import SAMPLE_RATE, CatalogueRow, SampleRow, Shard
from sao_data.storage import Storage, write_if_changed
from sao_data.words import policy_lines, release_lines


def write(dataset: Dataset, out: Storage, checkpoint: str | None = None) -> DatasetInfo:
    """Write the report's files to `out`; return what it says in numbers."""
    rows, shards = list(dataset.catalogue()), dataset.shards()
    warnings: tuple[str, ...] = ()
    if checkpoint:
        seen, step = _seen(dataset, Path(checkpoint))
        rows, shards = _only_seen(rows, seen), _seen_shards(dataset, seen)
        warnings = (f"Only the works that the checkpoint {Path(checkpoint).name} had seen by step {step:,}.",)
    info = _info(dataset, rows, shards, warnings)
    for name, data in files(info, rows):
        write_if_changed(out, name, data)
    return info


def _info(
    dataset: Dataset, rows: list[CatalogueRow], shards: list[Shard], warnings: tuple[str, ...]
) -> DatasetInfo:
    facts, manifest = dataset.facts, dataset.facts["manifest"]
    where = f"{dataset.storage.url}/dataset.json"
    policy = config.parse(Policy, manifest["policy"], where=where)
    release = config.parse(Release, manifest["release"], where=where)
    return info_from(
        rows,
        shards,
        name=facts["name"],
        description=manifest["description"],
        version=facts["version"],
        root_digest=facts["root_digest"],
        policy=policy_lines(policy),
        release=release_lines(release),
        warnings=warnings,
        contact=manifest["contact"],
    )


def _seen(dataset: Dataset, checkpoint: Path) -> tuple[list[SampleRow], int]:
    """Samples whose bit is set in CKPT/training_data.json, and the step; refuses another dataset's
    checkpoint."""
    path = checkpoint / "training_data.json" if checkpoint.is_dir() else checkpoint
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        shards = {entry["name"]: entry for entry in data["shards"]}
        name, root, step = data["dataset"], data["root_digest"], int(data["step"])
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: not there; --checkpoint takes a checkpoint folder made by training"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a training_data.json ({error!r})") from error
    if root != dataset.facts["root_digest"]:
        here = f"{dataset.facts['name']} {dataset.facts['version']}"
        raise UsageError(f"{path}: trained on {name} {root[:12]}, this is {here}; give --data that version")
    in_order: dict[str, list[SampleRow]] = {}
    for row in sorted(dataset.samples(), key=lambda row: (row.shard, row.flac_offset)):
        in_order.setdefault(row.shard, []).append(row)
    rows = [row for shard, rows in in_order.items() for row in _picked(rows, shards.get(shard), path)]
    return rows, step


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
