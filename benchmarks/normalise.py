#!/usr/bin/env python3
"""Measure how fast recordings become measured 44.1 kHz stereo FLAC: our chain against the usual one.

Ours: decode, measure the source (clipping, bandwidth, channels), resample, stereo, measure (loudness, peaks,
silence), hash, FLAC, seek points, in this process and in blocks. The usual one: librosa.load, pyloudnorm,
soundfile.write, whole files in memory. One thread each, taking turns; what is compared is CPU time. Neither
process start nor Ray's is part of it.
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before numpy is imported

import argparse
import datetime
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from sao_data.audio import AudioConfig, convert
from sao_data.audio.segments import Cut
from sao_data.audio.sinks import ClipSink

RATE = 44_100
TOOLS = ("numpy", "scipy", "soundfile", "soxr", "pyloudnorm", "librosa", "av")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Files of one kind."""

    name: str
    files: tuple[Path, ...]
    seconds: float  # of audio in all files together


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """CPU seconds of each round."""

    case: Case
    ours: tuple[float, ...]
    usual: tuple[float, ...]


def main() -> int:
    """Make the files, run the rounds, write a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", metavar="N", type=int, default=7, help="measured rounds (default: 7)")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="shown with the table")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: want at least 1")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        out.mkdir()
        results = [measure(case, out, args.rounds) for case in cases(Path(folder))]
    sys.stdout.write(report(results, args.date, args.rounds))
    return 0


def cases(folder: Path) -> Iterator[Case]:
    """One minute of 48 kHz stereo in three formats, and forty short mono files."""
    minute = sound(60, 48_000, seed=1)
    for kind, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")):
        path = folder / f"minute.{kind.lower()}"
        soundfile.write(path, minute, 48_000, subtype=subtype, format=kind)
        yield Case(name=f"60 s, 48 kHz stereo {kind}", files=(path,), seconds=60)
    paths = tuple(folder / f"short-{n:02d}.ogg" for n in range(40))
    for n, path in enumerate(paths):
        soundfile.write(path, sound(5, RATE, seed=n)[:, 0], RATE, subtype="VORBIS", format="OGG")
    yield Case(name="40 files of 5 s, 44.1 kHz mono Ogg Vorbis", files=paths, seconds=200)


def sound(seconds: int, rate: int, *, seed: int) -> npt.NDArray[np.float32]:
    """Notes with overtones over coloured noise, (frames, 2): compressible, like music, unlike white noise."""
    random = np.random.default_rng(seed)
    at = np.arange(seconds * rate) / rate
    noise = np.cumsum(random.standard_normal((len(at), 2)), axis=0)
    noise -= np.linspace(noise[0], noise[-1], len(at))
    wave = 0.05 * noise / np.abs(noise).max()
    for hz in random.uniform(80, 900, size=6):
        decay = np.exp(-3 * (at * random.uniform(0.5, 2) % 1))
        for overtone in range(1, 6):
            pan = random.uniform(0.2, 1, size=2)
            wave += (0.08 / overtone * decay * np.sin(2 * np.pi * hz * overtone * at))[:, None] * pan
    wave += 0.002 * random.standard_normal(wave.shape)
    return np.asarray(0.7 * wave / np.abs(wave).max(), dtype=np.float32)


def measure(case: Case, out: Path, rounds: int) -> Result:
    """CPU time of both chains over all files, turn by turn, after one round that does not count."""
    timed = [(_cpu_seconds(ours, case, out), _cpu_seconds(usual, case, out)) for _ in range(rounds + 1)]
    first, second = zip(*timed[1:], strict=True)
    return Result(case=case, ours=first, usual=second)


def ours(path: Path, out: Path) -> None:
    """What the sandbox's child does with a file."""
    config, cut = AudioConfig(), Cut()
    with path.open("rb") as file:
        _, sink = convert.normalise(file, config, lambda: ClipSink(out, cut, config.flac_compression))
    sink.finish()


def usual(path: Path, out: Path) -> None:
    """What a short script does with a file."""
    import librosa
    import pyloudnorm

    wave, _ = librosa.load(path, sr=RATE, mono=False)
    stereo = np.stack([wave, wave], axis=1) if wave.ndim == 1 else wave.T
    pyloudnorm.Meter(RATE).integrated_loudness(stereo)
    soundfile.write(out / "usual.flac", stereo, RATE, subtype="PCM_16")


def report(results: list[Result], date: str, rounds: int) -> str:
    """The table, with what it was measured on."""
    lines = [
        "| files | ours, CPU s | librosa + pyloudnorm + soundfile, CPU s | ratio | ours, audio s per CPU s |",
        "|---|---:|---:|---:|---:|",
    ]
    for result in results:
        mine, theirs = statistics.median(result.ours), statistics.median(result.usual)
        speed = result.case.seconds / mine
        lines.append(
            f"| {result.case.name} | {_spread(result.ours)} | {_spread(result.usual)} | {theirs / mine:.2f} "
            f"| {speed:.0f} |"
        )
    tools = ", ".join(f"{tool} {version(tool)}" for tool in TOOLS)
    machine = f"{_cpu_model()}, {os.cpu_count()} cores, one used"
    notes = f"{date}; {machine}; Python {sys.version.split()[0]}; {tools}."
    return "\n".join(lines) + f"\n\nMedians of {rounds} rounds (least to most). {notes}\n"


def _cpu_seconds(chain: Callable[[Path, Path], None], case: Case, out: Path) -> float:
    start = time.process_time()
    for path in case.files:
        chain(path, out)
    return time.process_time() - start


def _spread(rounds: tuple[float, ...]) -> str:
    return f"{statistics.median(rounds):.3f} ({min(rounds):.3f} to {max(rounds):.3f})"


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU"
    )


if __name__ == "__main__":
    sys.exit(main())
