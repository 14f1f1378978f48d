"""Datasets of made noise to stream from, and samples as shards describe them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import soundfile

from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.loading.stream import Stream, StreamConfig, StreamState
from sao_data.records import Sample
from sao_data.storage.shards import read_sample
from tests.datasets_made import BY, CC0, SAMPLING, build, load, write_folder
from tests.made import Floats, noise, wav_bytes

NUM = 23  # recordings: prime, so that no batch size divides an epoch
WINDOW = 20_000  # frames

BARE = Sample(
    ai_preference="", album="", artist="", author="", author_id="", author_url="", changes=[], clip=0,
    copyright_notice="", credit="", dataset="made", description="", genres=[], id="made:1", license="CC0-1.0",
    license_claim="", license_family="CC0", license_url="", license_version="1.0", lufs="", num_frames=44_100,
    original_sha256="", original_type="", page_url="", prompt="sound recording", recording_frames=44_100,
    rendition="original", retrieved_at="", sample_rate=44_100, seconds_start=0, seconds_total=1,
    series="train", sha256="", source="made", start_frame=0, tags=[], title="", year="",
)  # fmt: skip


def sample(**changes: object) -> Sample:
    """A sample that says nothing of itself but this."""
    return dataclasses.replace(BARE, **changes)  # type: ignore[arg-type]


def make_dataset(tmp: Path, extra: str = "") -> Path:
    """NUM recordings of noise, 0.32 to 1.64 s, in four buckets; two series."""
    folder = write_folder(tmp / "in", NUM, licenses=(BY, CC0, CC0, SAMPLING))
    for n in range(NUM):
        (folder / f"tone-{n:03d}.wav").write_bytes(wav_bytes(noise(n, seconds=0.32 + 0.06 * n)))
    build(load(tmp, folder, extra, num_buckets=4), tmp / "out")
    return tmp / "out"


def stream(
    folder: Path | Dataset,
    batch_size: int = 4,
    *,
    rank: int = 0,
    world_size: int = 1,
    state: StreamState | None = None,
    takedowns: list[str] | None = None,
    **settings: object,
) -> Stream:
    """A stream of short windows, decoded when asked unless told otherwise."""
    settings = {"window_frames": WINDOW, "num_threads": 0, "retry_seconds": 0.0} | settings
    dataset = open_dataset(str(folder)) if isinstance(folder, Path) else folder
    return Stream(
        dataset,
        StreamConfig(**settings),  # type: ignore[arg-type]
        batch_size=batch_size,
        rank=rank,
        world_size=world_size,
        state=state,
        takedowns=takedowns,
    )


def members(folder: Path) -> dict[str, tuple[Floats, Sample]]:
    """Every sample's audio (channels, frames) as plain soundfile decodes it, and its JSON, by key."""
    dataset = open_dataset(str(folder))
    found = {}
    for row in dataset.samples():
        flac, fields = read_sample(dataset.storage, row)
        audio = soundfile.read(io.BytesIO(flac), dtype="float32", always_2d=True)[0]
        found[row.key] = np.ascontiguousarray(audio.T), Sample(**fields)
    return found
