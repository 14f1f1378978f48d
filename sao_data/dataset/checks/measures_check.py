"""Checking the table of measures: a row for every clip that was measured, and what it repeats of others.

What was measured cannot be derived again without the audio as it was received. That the rows are those of
the catalogue's clips, that the kept ones are the samples, and that they say the same of loudness, length,
language, year and tags, can.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator

from sao_data.dataset.reader import Dataset
from sao_data.ids import clip_id, parse_key
from sao_data.measures import MeasuredClip, lufs_text
from sao_data.records import CatalogueRow, Sample, SampleRow
from sao_data.storage import layout

_BEFORE = ("list", "decide", "fetch", "normalise")  # stages that come before a clip is measured
Said = dict[str, object]


class MeasuresCheck:
    """Takes what every sample says, then tells what the table does not bear out."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._kept: dict[str, bytes] = {}  # digest of what a row repeats, by clip id
        self._clips: dict[str, Counter[str]] = {}  # rows of each recording: kept, rejected by filters, all
        self._reasons: dict[str, set[str]] = {}
        self._found = list(self._read())

    def add(self, row: SampleRow, sample: Sample) -> None:
        """Compare a sample with its row."""
        key = clip_id(row.recording_id, sample.clip)
        if self._kept.get(key, wanted := _digest(_of_sample(sample))) != wanted:
            what = "loudness, length, language, year or tags are not those of its sample"
            self._found.append(f"{layout.MEASURES}: {key}: {what} {row.key}")

    def findings(self) -> Iterator[str]:
        """All that is wrong, one sentence each."""
        yield from self._found
        packed = set(_clips(self._dataset.samples()))
        for key in sorted(packed ^ self._kept.keys()):
            told = "is in a shard, and not kept by it" if key in packed else "is kept by it, and in no shard"
            yield f"{layout.MEASURES}: {key} {told}"
        for row in self._dataset.catalogue():
            yield from self._of_recording(row)
        for recording_id in sorted(self._clips):
            yield f"{layout.MEASURES}: {recording_id}: is not in the catalogue"

    def _read(self) -> Iterator[str]:
        """Note every row; what is wrong with rows by themselves."""
        before = ""
        for row in self._dataset.measures():
            nums = self._clips.setdefault(row.recording_id, Counter())
            nums.update(all=1, kept=row.kept, curate=row.stage == "curate")
            if row.kept:
                self._kept[row.id] = _digest(_of_row(row))
            self._reasons.setdefault(row.recording_id, set()).add(row.reason)
            if row.id != clip_id(row.recording_id, row.clip):
                yield f"{layout.MEASURES}: {row.id} is no name of clip {row.clip} of {row.recording_id}"
            if row.id <= before:
                yield f"{layout.MEASURES}: {row.id} stands behind {before}"
            if row.kept == bool(row.reason):
                ended = "kept, yet with" if row.kept else "left out without"
                yield f"{layout.MEASURES}: {row.id}: {ended} a reason"
            before = row.id

    def _of_recording(self, row: CatalogueRow) -> Iterator[str]:
        nums = self._clips.pop(row.id, Counter())
        was_measured = row.kept or row.stage not in _BEFORE
        if was_measured != (nums["all"] > 0):
            yield f"{layout.MEASURES}: {row.id}: {nums['all']} clips, and the catalogue has it {_ended(row)}"
        elif (nums["kept"], nums["curate"]) != (row.num_clips, row.num_clips_rejected):
            told = f"{nums['kept']} clips kept and {nums['curate']} rejected by filters"
            wanted = f"the catalogue has {row.num_clips} and {row.num_clips_rejected}"
            yield f"{layout.MEASURES}: {row.id}: {told}, {wanted}"
        elif was_measured and not row.kept and row.reason not in self._reasons[row.id]:
            yield f"{layout.MEASURES}: {row.id}: no clip of it was left out as {row.reason}"


def _clips(samples: Iterable[SampleRow]) -> Iterator[str]:
    """Clip ids; a name that is none is told elsewhere (sample_check)."""
    for row in samples:
        with contextlib.suppress(ValueError):
            yield clip_id(*parse_key(row.key))


def _ended(row: CatalogueRow) -> str:
    return "kept" if row.kept else f"left out at {row.stage} ({row.reason})"


def _of_row(row: MeasuredClip) -> Said:
    said: Said = {name: getattr(row, name) for name in ("num_frames", "recording_frames", "language", "year")}
    kind = "/".join(part for part in (row.container, row.codec) if part)
    same = {"lufs": lufs_text(row.lufs), "tags": list(row.tags), "rendition": row.rendition}
    return said | same | {"original_type": kind}


def _of_sample(sample: Sample) -> Said:
    names = ("num_frames", "recording_frames", "language", "year", "lufs", "tags", "rendition")
    return {name: getattr(sample, name) for name in (*names, "original_type")}


def _digest(said: Said) -> bytes:
    """Short, as it is held of every kept clip."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()[:16]
