#!/usr/bin/env python3
"""Crops per CPU-second from the same shards: plain webdataset, and our stream.

Two datasets of made audio (16-bit FLAC, stereo: tones in noise): 60 s tracks and 5 s clips; crops of 65,536
frames (the VAE's) and of 2,097,152 (the DiT's, from the tracks). CPU time of the whole process, all threads;
rounds are interleaved, the median counts, the range stands beside it. Files lie in the page cache.

The stream in its first epoch: of whole clips, where every crop has its member hashed, and of the VAE's set,
where up to three crops share a hash (a whole epoch, nothing checked before). Later: all members were checked
before, on this machine, by another stream.

    taskset -c 1 python benchmarks/stream.py [--rounds 5] [--tracks 12] [--clips 120]
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from sao_data import manifest
from sao_data.dataset.reader import open_dataset
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.loading.chunks import ChunkConfig
from sao_data.loading.crop import Floats
from sao_data.loading.stream import Stream, StreamConfig

RATE = 44_100
SHORT, LONG = 65_536, 2_097_152  # frames
BATCH = 6
CHUNKS = ChunkConfig(on=True, hifi_sources=())  # paper 3.1: 5 s, three of each recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is cropped from what."""

    name: str
    folder: Path
    window: int
    num: int  # crops a round


class Silent:
    """A progress that shows nothing."""

    def start(self, step: str, total: int | None) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


def main() -> None:
    """Build, measure, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tracks", type=int, default=12)
    parser.add_argument("--clips", type=int, default=120)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sao-bench-") as folder:
        tempfile.tempdir = folder  # what streams remember of this machine goes with it
        tracks = build(Path(folder) / "tracks", args.tracks, seconds=60)
        clips = build(Path(folder) / "clips", args.clips, seconds=5)
        cases = [
            Case(name="60 s tracks, 1.5 s crops", folder=tracks, window=SHORT, num=10 * args.tracks),
            Case(name="5 s clips, 1.5 s crops", folder=clips, window=SHORT, num=3 * args.clips),
            Case(name="60 s tracks, 47.6 s crops", folder=tracks, window=LONG, num=3 * args.tracks),
        ]
        table(measure(cases, args.rounds), args.rounds)


def build(folder: Path, num: int, *, seconds: int) -> Path:
    """A dataset of `num` made recordings."""
    source = folder / "in"
    source.mkdir(parents=True)
    time_T = np.arange(seconds * RATE) / RATE
    lines = ["file_name,title,author,license"]
    for n in range(num):
        noise_TC = 0.05 * np.random.default_rng(n).standard_normal((len(time_T), 2))
        sound_TC = noise_TC + 0.3 * np.sin(2 * np.pi * (200 + 7 * n) * time_T)[:, None]
        soundfile.write(source / f"{n:04d}.wav", sound_TC, RATE, subtype="PCM_16")
        lines.append(f"{n:04d}.wav,Sound {n},Nobody,https://creativecommons.org/publicdomain/zero/1.0/")
    (source / "metadata.csv").write_text("\n".join(lines) + "\n")
    path = folder / "manifest.toml"
    path.write_text(
        'name = "bench"\nnum_buckets = 4\nscreening = "off"\n'
        f'[[source]]\nplugin = "folder"\npath = "{source}"\n'
    )
    run.ingest(manifest.load(path, [], cwd=folder), str(folder / "out"), LocalExecutor(), Silent())
    return folder / "out"


def measure(cases: list[Case], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Crops per CPU-second of every round, by way and case."""
    ways: dict[str, Callable[[Case], float]] = {
        "webdataset, decode whole, then crop": lambda case: plain(case, whole),
        "webdataset, seek": lambda case: plain(case, sought),
        "stream, first epoch, whole clips": lambda case: ours(case, StreamConfig(verify="always")),
        "stream, first epoch, the VAE's chunks": first_of_chunks,
        "stream, later epochs": lambda case: ours(case, StreamConfig()),
        'stream, `verify = "never"`': lambda case: ours(case, StreamConfig(verify="never")),
    }
    found: dict[str, dict[str, list[float]]] = {way: {case.name: [] for case in cases} for way in ways}
    for case in cases:
        for number in range(rounds + 1):  # the first warms up
            for way, measured in ways.items():
                rate = measured(case)
                if number:
                    found[way][case.name].append(rate)
    return found


def plain(case: Case, crop: Callable[[bytes, int, np.random.Generator], Floats]) -> float:
    """As trainers do it: webdataset yields members, the audio is cropped, batches are stacked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset
    urls = sorted(str(path) for path in (case.folder / "shards").glob("*.tar"))
    rng = np.random.default_rng(0)
    endless = iter(webdataset.WebDataset(urls, shardshuffle=False).repeat())

    def step() -> None:
        batch = list(itertools.islice(endless, BATCH))
        assert len(batch) == BATCH
        assert all(json.loads(sample["json"])["prompt"] for sample in batch)
        np.stack([crop(sample["flac"], case.window, rng).T for sample in batch])

    return rate(step, case)


def whole(flac: bytes, window: int, rng: np.random.Generator) -> Floats:
    """Decode all, keep a window (what stable-audio-tools' loader does)."""
    sound_TC: Floats = soundfile.read(io.BytesIO(flac), dtype="float32", always_2d=True)[0]
    start = rng.integers(0, len(sound_TC) - window + 1)
    return sound_TC[start : start + window]


def sought(flac: bytes, window: int, rng: np.random.Generator) -> Floats:
    """Decode a window of the member's bytes."""
    with soundfile.SoundFile(io.BytesIO(flac)) as file:
        file.seek(rng.integers(0, file.frames - window + 1))
        sound_TC: Floats = file.read(window, dtype="float32", always_2d=True)
        return sound_TC


def ours(case: Case, config: StreamConfig) -> float:
    """The stream as training uses it: prompts, flips, timing and all."""
    config = dataclasses.replace(config, window_frames=case.window)
    with Stream(open_dataset(str(case.folder)), config, batch_size=BATCH) as stream:
        return rate(lambda: next(stream), case)


def first_of_chunks(case: Case) -> float:
    """A whole first epoch of 5 s chunks, on a machine that has checked nothing; nan: crops are longer."""
    if case.window > CHUNKS.num_frames:
        return math.nan
    config = StreamConfig(window_frames=case.window, chunks=CHUNKS, num_threads=0)
    usual = tempfile.tempdir
    tempfile.tempdir = tempfile.mkdtemp(dir=usual)
    with Stream(open_dataset(str(case.folder)), config, batch_size=BATCH) as stream:
        tempfile.tempdir = usual
        begun = time.process_time()
        for _ in range(stream.num_samples // BATCH):
            next(stream)
        return stream.num_samples // BATCH * BATCH / (time.process_time() - begun)


def rate(step: Callable[[], object], case: Case) -> float:
    """Crops per CPU-second of `step`, after a first one (then as much is decoded ahead as at the end)."""
    step()
    begun = time.process_time()
    for _ in range(case.num // BATCH):
        step()
    return case.num // BATCH * BATCH / (time.process_time() - begun)


def table(found: dict[str, dict[str, list[float]]], rounds: int) -> None:
    """Medians and ranges as Markdown."""
    cases = list(next(iter(found.values())))
    lines = [f"Crops per CPU-second, median (range) of {rounds} interleaved rounds.", ""]
    lines += ["| | " + " | ".join(cases) + " |", "|---|" + "---|" * len(cases)]
    for way, rates in found.items():
        cells = (
            "" if math.isnan(r[0]) else f"{statistics.median(r):.0f} ({min(r):.0f}–{max(r):.0f})"
            for r in rates.values()
        )
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
