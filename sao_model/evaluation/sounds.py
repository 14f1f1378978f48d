"""A set of sounds: a folder of any audio, or a series of a dataset; each decoded, cut and checked, or left
out and counted. Decoding and the way to 44.1 kHz stereo of 16 bits are those of the data road.

    T frames   C channels
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soxr

from sao_data.audio import convert
from sao_data.audio.limits import AudioConfig
from sao_data.audio.rejected import AudioRejected
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.loading import stream
from sao_data.records import SAMPLE_RATE, SampleRow
from sao_data.storage import shards
from sao_model.evaluation import lists
from sao_model.evaluation.protocol import Prompt
from sao_model.sounds.reading import PcmBlocks

Floats = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aac", ".aif", ".aiff", ".wma"}
_SILENT = -60.0  # dBFS, of the peak, below which a sound is silent


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundItem:
    """A sound that may be read."""

    key: str
    prompt: str
    group: str  # key of the reference clip it is held against; '' = none
    open: Callable[[], BinaryIO]
    path: Path | None = None  # where there is a file


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSound:
    """One that was read, and is of use."""

    item: SoundItem
    pcm_TC: Pcm  # 44.1 kHz stereo, cut
    sha256: str  # of that

    @property
    def seconds(self) -> float:
        return len(self.pcm_TC) / SAMPLE_RATE

    def at(self, sample_rate: int) -> Floats:
        """(C, T) in -1 to 1, at another rate."""
        samples_TC = self.pcm_TC.astype(np.float32) / np.float32(32_768)
        if sample_rate != SAMPLE_RATE:
            samples_TC = soxr.resample(samples_TC, SAMPLE_RATE, sample_rate, quality="HQ")
        return np.ascontiguousarray(samples_TC.T)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutSound:
    """One that is of no use, and why."""

    key: str
    reason: str  # silent, too_short, or the decoder's
    detail: str


def of_folder(folder: Path, prompts_file: str = "") -> list[SoundItem]:
    """Every audio file below a folder, by name; prompts from a CSV or from the FILE.json beside each."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one with audio files")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not paths:
        raise UsageError(f"{folder}: no audio in it ({', '.join(sorted(SUFFIXES))})")
    said = _prompts(prompts_file, {path.relative_to(folder).as_posix() for path in paths})
    items, keys = [], set()
    for path in paths:
        name = path.relative_to(folder).as_posix()
        key = name.removesuffix(path.suffix)
        if key in keys:
            raise UsageError(f"{folder}: {key} is there twice, with two suffixes; keep one of them")
        keys.add(key)
        prompt = said.get(name, "") if prompts_file else _prompt_beside(path)
        items.append(SoundItem(key=key, prompt=prompt, group="", open=_opener(path), path=path))
    return items


def of_file(path: Path) -> SoundItem:
    """One audio file, by its name."""
    return SoundItem(key=path.name, prompt=_prompt_beside(path), group="", open=_opener(path), path=path)


def of_series(dataset: Dataset, series: str) -> list[SoundItem]:
    """The samples of a series of a dataset, by key, less what was taken down."""
    kept = {shard.name for shard in dataset.shards() if shard.series == series}
    if not kept:
        there = ", ".join(sorted({shard.series for shard in dataset.shards()})) or "none"
        raise UsageError(
            f"{dataset.storage.url}: no series {series!r} (there are: {there}); build the dataset with "
            "split.validation_share, e.g. 0.02"
        )
    gone = stream.taken_down(dataset)
    rows = [row for row in dataset.samples() if row.shard in kept and row.recording_id not in gone]
    return [_of_sample(dataset, row) for row in sorted(rows, key=lambda row: row.key)]


def prompts_of(dataset: Dataset, series: str) -> list[Prompt]:
    """The fixed prompts of a series' samples, each as long as its clip."""
    seconds = {row.key: row.num_frames / SAMPLE_RATE for row in dataset.samples()}
    return [
        Prompt(key=item.key, text=item.prompt, group=item.key, seconds=seconds[item.key])
        for item in of_series(dataset, series)
    ]


def read(item: SoundItem, seconds: float, least_seconds: float) -> ReadSound | LeftOutSound:
    """Decode one, cut it to `seconds`, and look whether there is anything in it."""
    try:
        with item.open() as file:
            _, sink = convert.normalise(file, AudioConfig(), PcmBlocks)
    except AudioRejected as rejected:
        return LeftOutSound(key=item.key, reason=rejected.reason, detail=rejected.detail)
    pcm_TC = np.concatenate(sink.blocks)[: round(seconds * SAMPLE_RATE)]
    if len(pcm_TC) < round(least_seconds * SAMPLE_RATE):
        detail = f"{len(pcm_TC) / SAMPLE_RATE:.3f} s; want {least_seconds:g} or more"
        return LeftOutSound(key=item.key, reason="too_short", detail=detail)
    peak = int(np.abs(pcm_TC.astype(np.int32)).max())
    level = 20 * np.log10(max(peak, 1e-9) / 32_768)
    if level < _SILENT:
        detail = f"peak {level:.0f} dBFS" if peak else "all samples are zero"
        return LeftOutSound(key=item.key, reason="silent", detail=detail)
    return ReadSound(item=item, pcm_TC=pcm_TC, sha256=hashlib.sha256(pcm_TC.tobytes()).hexdigest())


def _of_sample(dataset: Dataset, row: SampleRow) -> SoundItem:
    _, fields = shards.read_sample(dataset.storage, row)

    def opened() -> BinaryIO:
        return io.BytesIO(shards.read_sample(dataset.storage, row)[0])

    return SoundItem(key=row.key, prompt=fields["prompt"], group=row.key, open=opened)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _prompts(file: str, names: set[str]) -> dict[str, str]:
    """Prompts by file name; UsageError for a file that is not there."""
    if not file:
        return {}
    said = {row["file"].strip(): row["prompt"].strip() for row in lists.rows(file, ("file", "prompt"))}
    nowhere = sorted(said.keys() - names)
    if nowhere:
        raise UsageError(f"{file}: {len(nowhere)} files are not in the folder, first {nowhere[0]!r}")
    return said


def _prompt_beside(path: Path) -> str:
    try:
        said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return ""
    prompt = said.get("prompt", "") if isinstance(said, dict) else ""
    return prompt if isinstance(prompt, str) else ""
