"""A part of a dataset to be looked at and listened to: which sounds, their audio and pictures, and what is
said of each. Chosen by a hash of their ids, so that the same question shows the same sounds.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import soundfile

from sao_data.attribution.credit import credit
from sao_data.attribution.plain import reason_in_words
from sao_data.audio.shown import pictures
from sao_data.dataset.reader import Dataset
from sao_data.ids import bucket_of
from sao_data.licences import license_name
from sao_data.measures import MeasuredClip
from sao_data.records import SAMPLE_RATE, CatalogueRow, SampleRow
from sao_data.stages.originals import Originals
from sao_data.storage import shards
from sao_data.storage.backend import Storage

AUDIO, PICTURES, ORIGINALS = "audio", "pictures", "originals"
MEASURES = {  # shown of every sound, with a unit
    "lufs": "LUFS",
    "loudness_range": "LU",
    "peak_dbfs": "dBFS",
    "bandwidth_hz": "Hz",
    "clipped_share": "of the samples",
    "silence_share": "of the time",
    "speech_share": "of the time",
    "noise_floor_dbfs": "dBFS",
    "correlation": "",
}
_MOST_BYTES = 50_000_000  # of an original that is copied


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowsedSound:
    """One sound on the page; file names are relative to it, '' = not at hand."""

    id: str
    key: str  # name in its shard; '' = left out
    title: str
    author: str
    page_url: str
    licence: str
    credit: str
    source: str
    series: str
    reason: str  # why it was left out, in words; '' = kept
    detail: str
    caption: str  # the fixed prompt
    tags: list[str]
    changes: list[str]
    seconds: float
    audio: str = ""
    picture: str = ""
    wave: str = ""  # `d` of an SVG path
    original: str = ""
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsed:
    """What is to be shown, and how much there is of it."""

    kept: list[tuple[SampleRow, CatalogueRow]]
    dropped: list[CatalogueRow]
    num_kept: int  # samples in all
    num_dropped: int  # works in all


def choose(dataset: Dataset, most: int, seed: int, reason: str = "") -> Browsed:
    """At most so many sounds, kept ones and left-out ones in equal parts as far as there are."""
    rows = {row.id: row for row in dataset.catalogue()}
    samples = list(dataset.samples())
    left = [row for row in rows.values() if not row.kept and (not reason or row.reason == reason)]
    if reason:
        samples = []
    samples.sort(key=lambda row: _place(row.key, seed))
    left.sort(key=lambda row: _place(row.id, seed))
    half = most // 2
    num_left = min(len(left), max(half, most - len(samples)))
    kept = samples[: most - num_left]
    return Browsed(
        kept=[(row, rows[row.recording_id]) for row in kept],
        dropped=left[:num_left],
        num_kept=len(samples),
        num_dropped=len(left),
    )


def sounds(dataset: Dataset, chosen: Browsed, out: Storage) -> Iterator[BrowsedSound]:
    """Each of them, its audio and picture written to `out`."""
    named = {row.recording_id for row, _ in chosen.kept} | {row.id for row in chosen.dropped}
    measured: dict[str, MeasuredClip] = {}
    for clip in dataset.measures():
        if clip.recording_id in named and (clip.kept or clip.clip == 0):
            measured.setdefault(f"{clip.recording_id}#{clip.clip}", clip)
    num_buckets = int(dataset.facts["manifest"]["num_buckets"])
    for row, work in chosen.kept:
        yield _kept(dataset, row, work, measured, out, num_buckets)
    for work in chosen.dropped:
        yield _dropped(dataset, work, measured.get(f"{work.id}#0"), out, num_buckets)


def _kept(
    dataset: Dataset,
    row: SampleRow,
    work: CatalogueRow,
    measured: dict[str, MeasuredClip],
    out: Storage,
    num_buckets: int,
) -> BrowsedSound:
    flac, said = shards.read_sample(dataset.storage, row)
    audio = f"{AUDIO}/{row.key}.flac"
    out.write(audio, flac)
    wave, picture = _pictures(flac, row.key, out)
    clip = measured.get(f"{row.recording_id}#{said['clip']}")
    return BrowsedSound(
        id=work.id,
        key=row.key,
        title=work.title,
        author=work.author,
        page_url=work.page_url,
        licence=license_name(work.license),
        credit=row.credit,
        source=work.source,
        series=said["series"],
        reason="",
        detail="",
        caption=said["prompt"],
        tags=list(said["tags"]),
        changes=list(said["changes"]),
        seconds=round(row.num_frames / SAMPLE_RATE, 3),
        audio=audio,
        wave=wave,
        picture=picture,
        original=_original(dataset, work, clip, row.key, out, num_buckets),
        measures=_numbers(clip),
    )


def _dropped(
    dataset: Dataset, work: CatalogueRow, clip: MeasuredClip | None, out: Storage, num_buckets: int
) -> BrowsedSound:
    name = work.id.replace(":", "-")
    return BrowsedSound(
        id=work.id,
        key="",
        title=work.title,
        author=work.author,
        page_url=work.page_url,
        licence=license_name(work.license) if work.license else work.license_claim,
        credit=credit(work) if work.title or work.author else "",
        source=work.source,
        series="",
        reason=reason_in_words(work.reason),
        detail=work.detail,
        caption="",
        tags=list(clip.tags) if clip else [],
        changes=list(work.changes),
        seconds=round(clip.num_frames / SAMPLE_RATE, 3) if clip else work.media_seconds or 0.0,
        original=_original(dataset, work, clip, name, out, num_buckets),
        measures=_numbers(clip),
    )


def _pictures(flac: bytes, key: str, out: Storage) -> tuple[str, str]:
    samples_TC, rate = soundfile.read(io.BytesIO(flac), dtype="float32", always_2d=True)
    samples_CT = np.ascontiguousarray(samples_TC.T)
    name = f"{PICTURES}/{key}.png"
    out.write(name, pictures.mel(samples_CT, rate, 400, 72))
    return pictures.waveform(samples_CT, 400, 48), name


def _original(
    dataset: Dataset, work: CatalogueRow, clip: MeasuredClip | None, name: str, out: Storage, num_buckets: int
) -> str:
    """The file as it was received, where it was kept (work.keep_originals)."""
    held = Originals(storage=dataset.storage, bucket=bucket_of(work.id, num_buckets))
    try:
        with held.open(work.id) as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return ""
    if len(data) > _MOST_BYTES:
        return ""
    place = f"{ORIGINALS}/{name}.{clip.container if clip and clip.container.isalnum() else 'audio'}"
    out.write(place, data)
    return place


def _numbers(clip: MeasuredClip | None) -> dict[str, float]:
    values = {name: getattr(clip, name, None) for name in MEASURES}
    return {name: value for name, value in values.items() if value is not None}


def _place(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"browse {seed} {name}".encode()).digest()
