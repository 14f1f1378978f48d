"""The attribution report of a published dataset, or of a part of it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable

from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.report import files
from sao_data.dataset.commit import info_of
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.records import SAMPLE_RATE, CatalogueRow, SampleRow, Shard
from sao_data.storage import documents, layout
from sao_data.storage.backend import Storage, write_if_changed


def check_out(out: Storage, dataset: Dataset) -> None:
    """UsageError unless `out` is empty or holds an earlier report on this dataset, outside the dataset."""
    found = set(out.entries())
    if not found:
        return
    if layout.OWNER in found or out.url.rstrip("/") == f"{dataset.storage.url.rstrip('/')}/attribution":
        raise UsageError(f"--out {out.url}: the dataset has its report; give a folder of its own")
    name = _name_of_report(out) if "summary.json" in found else ""
    if not name:
        raise UsageError(f"--out {out.url}: not empty and no report (found {min(found)}); give another --out")
    if name != dataset.facts["name"]:
        raise UsageError(f"--out {out.url}: holds the report on {name!r}; give another --out")


def _name_of_report(out: Storage) -> str:
    """The dataset that the report there is on; '' if it is no report of ours."""
    where = f"{out.url}/summary.json"
    said = documents.plain(out.read("summary.json"), where=where, fix="give another --out", error=UsageError)
    return str(said.get("name", "")) if "root_digest" in said else ""


def write(
    dataset: Dataset,
    out: Storage,
    seen: Collection[SampleRow] | None = None,
    warnings: tuple[str, ...] = (),
) -> DatasetInfo:
    """Write the report's files to `out`; return what it says in numbers. `seen`: report on these samples only
    (those that a checkpoint has seen); `warnings`: what the report has to say of itself."""
    check_out(out, dataset)
    rows, shards = list(dataset.catalogue()), dataset.shards()
    if seen is not None:
        rows, shards = _only_seen(rows, seen), _seen_shards(dataset, seen)
    info = info_of(dataset.facts["manifest"], rows, shards, dataset.facts["root_digest"], warnings)
    for name, data in files(info, rows):
        write_if_changed(out, name, data)
    return info


def _only_seen(rows: list[CatalogueRow], seen: Collection[SampleRow]) -> list[CatalogueRow]:
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


def _seen_shards(dataset: Dataset, seen: Collection[SampleRow]) -> list[Shard]:
    """Shards with the number of seen samples in them."""
    nums = Counter(sample.shard for sample in seen)
    return [dataclasses.replace(s, num_samples=nums[s.name]) for s in dataset.shards() if nums[s.name]]
