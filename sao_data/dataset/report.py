"""The attribution report of a published dataset, or of a part of it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Protocol

from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.report import files
from sao_data.dataset.commit import info_of
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.records import SAMPLE_RATE, CatalogueRow, Shard
from sao_data.storage import documents, layout
from sao_data.storage.backend import Storage, write_if_changed


class HeardClip(Protocol):
    """A sample that was heard."""

    @property
    def recording_id(self) -> str: ...
    @property
    def shard(self) -> str: ...
    @property
    def num_frames(self) -> int: ...


class HeardWorks(Protocol):
    """What a checkpoint has heard of a dataset (loading/heard/works.py)."""

    @property
    def samples(self) -> Collection[HeardClip]: ...
    @property
    def past(self) -> Collection[CatalogueRow]:
        """Works that are not in this version, as they were."""

    @property
    def reason(self) -> str:
        """Why all other works are left out of the report."""

    @property
    def past_shards(self) -> Collection[Shard]:
        """Shards that are no longer as they were."""


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
    heard: HeardWorks | None = None,
    warnings: tuple[str, ...] = (),
) -> DatasetInfo:
    """Write the report's files to `out`; return what it says in numbers. `heard`: report on what a checkpoint
    has heard only; `warnings`: what the report has to say of itself."""
    check_out(out, dataset)
    rows, shards = list(dataset.catalogue()), dataset.shards()
    if heard is not None:
        gone = {row.id: row for row in heard.past}
        rows = [*(row for row in rows if row.id not in gone), *gone.values()]
        rows, shards = (
            _only_seen(rows, heard.samples, heard.reason),
            _seen_shards([*shards, *heard.past_shards], heard.samples),
        )
    info = info_of(dataset.facts["manifest"], rows, shards, dataset.facts["root_digest"], warnings)
    for name, data in files(info, rows):
        write_if_changed(out, name, data)
    return info


def _only_seen(rows: list[CatalogueRow], seen: Collection[HeardClip], reason: str) -> list[CatalogueRow]:
    """The catalogue as these weights know it: what they never saw counts as left out by training."""
    frames, clips, shards = Counter[str](), Counter[str](), dict[str, set[str]]()
    for sample in seen:
        frames[sample.recording_id] += sample.num_frames
        clips[sample.recording_id] += 1
        shards.setdefault(sample.recording_id, set()).add(sample.shard)
    return [
        _as_seen(row, frames[row.id], clips[row.id], shards.get(row.id, ()), reason) if row.kept else row
        for row in rows
    ]


def _as_seen(
    row: CatalogueRow, num_frames: int, num_clips: int, shards: Iterable[str], reason: str
) -> CatalogueRow:
    if num_clips:
        seconds = round(num_frames / SAMPLE_RATE, 3)
        return dataclasses.replace(row, num_clips=num_clips, seconds=seconds, shards=tuple(sorted(shards)))
    return dataclasses.replace(
        row, kept=False, stage="train", reason=reason, num_clips=0, seconds=None, shards=()
    )


def _seen_shards(shards: Iterable[Shard], seen: Collection[HeardClip]) -> list[Shard]:
    """Shards with the number of seen samples in them, those of one name as one: the newest."""
    nums, named = (
        Counter(sample.shard for sample in seen),
        {shard.name: shard for shard in reversed([*shards])},
    )
    return [dataclasses.replace(named[name], num_samples=nums[name]) for name in sorted(named) if nums[name]]
