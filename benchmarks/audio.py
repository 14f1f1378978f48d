#!/usr/bin/env python3
"""Measure how fast recordings become measured 44.1 kHz stereo FLAC in a tar, beside the libraries' own speed.

Four chains take turns over the same files: ours (what the sandbox's child does with a file, and the tar); the
floor, which is what no chain of these libraries can save (decode, resample, FLAC, tar, in blocks, nothing
measured), with libsndfile doing the rounding; and the usual script (librosa, pyloudnorm, soundfile, tarfile,
whole files in memory). One core, one thread, CPU time, medians.

    benchmarks/audio.py [--rounds 7] [--long 60]
    benchmarks/audio.py --ingest [--short 1000] [--tracks 100] [--ray]
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before numpy is imported

import argparse
import datetime
import gc
import hashlib
import json
import multiprocessing
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

import audio_ingest
import numpy as np
import soundfile
import soxr
from audio_made import RATE, sound, write_minutes

from sao_data.audio import AudioConfig, sandbox_worker
from sao_data.audio.chromaprint import Fingerprinter, encode
from sao_data.audio.downmix import mix_of
from sao_data.audio.held import Held
from sao_data.audio.kernels.weighting import HOP
from sao_data.audio.loudness_meter import ROOM, LoudnessHops, Meter
from sao_data.audio.measuring.source_meter import SourceMeter
from sao_data.audio.segments import Cut
from sao_data.audio.stereo import Pcm, Stereo
from sao_data.storage import shards

UNIT = 80 * HOP  # frames
BLOCK = 65_536  # frames, as our decoder takes them
LEVEL = AudioConfig().flac_compression
TOOLS = ("numpy", "scipy", "numba", "soundfile", "soxr", "pyloudnorm", "librosa", "av")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Files of one kind."""

    name: str
    files: tuple[Path, ...]
    seconds: float  # of audio in all files together


@dataclass(frozen=True, slots=True)
class Tar:
    """Where a chain's files go: a folder for the FLAC, and an open file for the tar."""

    folder: Path

    def add(self, data: bytes) -> None:
        """One member, as our shards are written."""
        with (self.folder / "ours.tar").open("wb") as file:
            file.write(shards.member_header("sample.flac", len(data)))
            file.write(data + b"\0" * shards.num_padding(len(data)))

    def add_file(self, path: Path) -> None:
        """One member, by the standard library."""
        with tarfile.open(self.folder / "theirs.tar", "w") as file:
            file.add(path, "sample.flac")


def main() -> int:
    """Make the files, run the rounds, write Markdown tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", metavar="N", type=int, default=7, help="measured rounds (default: 7)")
    add(
        "--long", metavar="MINUTES", type=int, default=60, help="of the longest file whose memory is measured"
    )
    add("--ingest", action="store_true", help="whole ingests instead, with the share of each stage")
    add("--short", metavar="N", type=int, default=1_000, help="five-second Ogg files of the ingest")
    add("--tracks", metavar="N", type=int, default=100, help="five-minute MP3 files of the ingest")
    add("--ray", action="store_true", help="the ingest by Ray as well, against this process")
    add("--date", default=datetime.date.today().isoformat(), help="shown with the table")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: want at least 1")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.collect()
    gc.freeze()  # as the child does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.ingest:
            sys.stdout.write(audio_ingest.report(folder, args.short, args.tracks, with_ray=args.ray))
        else:
            sys.stdout.write(chains(list(cases(folder)), folder, args.rounds))
            sys.stdout.write(meters(folder, args.rounds) + memory(folder, args.long))
    tools = ", ".join(f"{tool} {version(tool)}" for tool in TOOLS)
    machine = f"{_cpu_model()}, {os.cpu_count()} cores, one used, load {os.getloadavg()[0]:.1f}"
    sys.stdout.write(f"{args.date}; {machine}; Python {sys.version.split()[0]}; {tools}.\n")
    return 0


def cases(folder: Path) -> Iterator[Case]:
    """One minute of 48 kHz stereo in three formats, five minutes, and forty short mono files."""
    minute = sound(60, 48_000, seed=1)
    for kind, subtype in (("MP3", "MPEG_LAYER_III"), ("WAV", "PCM_16"), ("FLAC", "PCM_16")):
        path = folder / f"minute.{kind.lower()}"
        soundfile.write(path, minute, 48_000, subtype=subtype, format=kind)
        yield Case(name=f"60 s, 48 kHz stereo {kind}", files=(path,), seconds=60)
    path = folder / "five.mp3"
    soundfile.write(path, sound(300, 48_000, seed=2), 48_000, subtype="MPEG_LAYER_III", format="MP3")
    yield Case(name="300 s, 48 kHz stereo MP3", files=(path,), seconds=300)
    paths = tuple(folder / f"short-{n:02d}.ogg" for n in range(40))
    for n, path in enumerate(paths):
        soundfile.write(path, sound(5, RATE, seed=n)[:, 0], RATE, subtype="VORBIS", format="OGG")
    yield Case(name="40 files of 5 s, 44.1 kHz mono Ogg Vorbis", files=paths, seconds=200)


def ours(path: Path, tar: Tar) -> None:
    """What the sandbox's child does with a file, and the tar."""
    job = {"job": "normalise", "path": str(path), "spool": str(tar.folder)}
    found = sandbox_worker.answer(job, AudioConfig(), Cut())
    json.dumps(found, default=sandbox_worker._plain)
    for clip in found["ok"].clips:
        tar.add(clip.path.read_bytes())
        clip.path.unlink()


def floor(path: Path, tar: Tar) -> None:
    """Read, decode, resample, encode, tar."""
    target = tar.folder / "floor.flac"
    with soundfile.SoundFile(path) as source:
        num = source.channels
        resampler = None
        if source.samplerate != RATE:
            resampler = soxr.ResampleStream(source.samplerate, RATE, num, dtype="float32", quality="HQ")
        with soundfile.SoundFile(
            target, "w", RATE, 2, "PCM_16", format="FLAC", compression_level=LEVEL
        ) as made:
            while len(block := source.read(BLOCK, dtype="float32", always_2d=True)):
                block = resampler.resample_chunk(block) if resampler else block
                made.write(block if num == 2 else np.repeat(block, 2, axis=1))
            if resampler:
                made.write(resampler.resample_chunk(np.empty((0, num), np.float32), last=True))
    tar.add_file(target)
    target.unlink()


def usual(path: Path, tar: Tar) -> None:
    """What a short script does with a file."""
    import librosa
    import pyloudnorm

    target = tar.folder / "usual.flac"
    wave, _ = librosa.load(path, sr=RATE, mono=False)
    stereo = np.stack([wave, wave], axis=1) if wave.ndim == 1 else wave.T
    pyloudnorm.Meter(RATE).integrated_loudness(stereo)
    soundfile.write(target, stereo, RATE, subtype="PCM_16")
    tar.add_file(target)
    target.unlink()


def chains(found: list[Case], folder: Path, rounds: int) -> str:
    """The tables of all chains, and of the stages of ours."""
    tar = Tar(folder / "out")
    tar.folder.mkdir()
    every = (ours, floor, usual)
    times: dict[str, list[tuple[float, ...]]] = {case.name: [] for case in found}
    parts: dict[str, list[dict[str, float]]] = {case.name: [] for case in found}
    for turn in range(rounds + 1):  # the first does not count
        for case in found:
            now = tuple(_cpu_seconds(chain, case, tar) for chain in every)
            split = stages(case, folder)
            if turn:
                times[case.name].append(now)
                parts[case.name].append(split)
    lines = [
        "| files | ours, CPU s | floor | usual script | ours / floor | usual / ours | audio s per CPU s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case in found:
        columns = list(zip(*times[case.name], strict=True))
        mine, least, theirs = (statistics.median(column) for column in columns)
        lines.append(
            f"| {case.name} | {' | '.join(_spread(column) for column in columns)} | {mine / least:.2f} "
            f"| {theirs / mine:.2f} | {case.seconds / mine:.0f} |"
        )
    return "\n".join(lines) + f"\n\nMedians of {rounds} rounds (least to most).\n\n" + _stages_table(parts)


def stages(case: Case, folder: Path) -> dict[str, float]:
    """CPU seconds of each stage over all files, each stage alone over what the one before gave."""
    spent: dict[str, float] = {}
    for path in case.files:
        start = time.process_time()

        def lap(name: str) -> None:
            nonlocal start
            now = time.process_time()
            spent[name] = spent.get(name, 0.0) + now - start
            start = time.process_time()

        with soundfile.SoundFile(path) as source:
            blocks = list(source.blocks(BLOCK, dtype="float32", always_2d=True))
            rate, num = source.samplerate, source.channels
        lap("decode")
        meter = SourceMeter(rate, num, (0, 1), "mp3")
        for block in blocks:
            meter.feed(block)
        meter.finish()
        lap("source measures")
        stereo = Stereo(rate, mix_of((), num))
        pcm = [*(stereo.push(block) for block in blocks), stereo.finish()]
        lap("resample, round, stereo")
        _measure_pcm(pcm, lap)
        data = _encoded(pcm, folder / "stage.flac")
        lap("FLAC")
        hashlib.sha256(data)
        lap("SHA-256 of the FLAC")
    return spent


def _measure_pcm(pcm: list[Pcm], lap: Callable[[str], None]) -> None:
    meter, digest, printer = Meter(), hashlib.sha256(), Fingerprinter()
    for block in pcm:
        meter.feed(block)
    meter.finish()
    lap("loudness, peaks, silence")
    for block in pcm:
        digest.update(block.data)
    lap("SHA-256 of the PCM")
    for block in pcm:
        printer.add(block)
    encode(printer.finish())
    lap("fingerprint")


def _encoded(pcm: list[Pcm], path: Path) -> bytes:
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16", format="FLAC", compression_level=LEVEL) as made:
        for block in pcm:
            made.write(block)
    return path.read_bytes()


def _stages_table(parts: dict[str, list[dict[str, float]]]) -> str:
    """Each stage alone: the rest of the chain is opening, seek points, the tar, Python."""
    names = list(next(iter(parts.values()))[0])
    lines = ["| stage, CPU ms | " + " | ".join(parts) + " |", "|---|" + "---:|" * len(parts)]
    for name in names:
        cells = (statistics.median(split[name] for split in rounds) for rounds in parts.values())
        lines.append(f"| {name} | " + " | ".join(f"{1_000 * cell:.1f}" for cell in cells) + " |")
    return "\n".join(lines) + "\n\n"


def meters(folder: Path, rounds: int) -> str:
    """The loudness alone, and the true peak, against pyloudnorm and FFmpeg."""
    import pyloudnorm

    minute = sound(60, RATE, seed=5)
    pcm = np.rint(minute / np.abs(minute).max() * 32_000).astype(np.int16)
    wave, meter = pcm / 32_768, pyloudnorm.Meter(RATE)
    spent = [(_timed(lambda: _loudness(pcm)), _timed(lambda: meter.integrated_loudness(wave)),
              _timed(lambda: _measured(pcm))) for _ in range(rounds + 1)][1:]  # fmt: skip
    kernel, theirs, whole = (statistics.median(column) for column in zip(*spent, strict=True))
    apart = abs(_loudness(pcm) - meter.integrated_loudness(wave))
    text = (
        f"Loudness of a minute: {1_000 * kernel:.1f} ms, pyloudnorm {1_000 * theirs:.1f} ms "
        f"({theirs / kernel:.1f} times), {apart:.0e} LU apart; with peaks, silence and range "
        f"{1_000 * whole:.1f} ms.\n\n"
    )
    if not shutil.which("ffmpeg"):
        return text
    path = folder / "peak.wav"
    soundfile.write(path, pcm, RATE, subtype="PCM_16")
    return text + f"True peak: {_measured(pcm):.2f} dBFS, FFmpeg's ebur128 {ffmpeg_peak(path):.2f} dBFS.\n\n"


def ffmpeg_peak(path: Path) -> float:
    """The true peak that FFmpeg's ebur128 finds, dBFS."""
    graph = "ebur128=peak=true:metadata=1,ametadata=print:file=-"
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-af", graph, "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return 20 * float(np.log10(max(float(n) for n in re.findall(r"true_peaks_ch\d=([\d.]+)", said))))


def _loudness(pcm: Pcm) -> float:
    meter, held = LoudnessHops(), Held(HOP, UNIT)
    for unit in held.push(pcm):
        meter.feed(unit, UNIT)
    if held.num_held:
        meter.feed(held.rest(-(-held.num_held // ROOM) * ROOM), held.num_held)
    found = meter.integrated()
    assert found is not None
    return found


def _measured(pcm: Pcm) -> float:
    meter = Meter()
    meter.feed(pcm)
    return meter.finish().true_peak_dbfs or 0.0


def memory(folder: Path, longest: int) -> str:
    """Memory that a file takes beyond a short one, each in a process of its own."""
    lines = ["| MP3 | its size, MB | memory beyond a second's, MB |", "|---|---:|---:|"]
    (folder / "spool").mkdir()
    write_minutes(folder / "start.mp3", 0)
    for minutes in (5, longest):
        path = folder / f"{minutes}.mp3"
        write_minutes(path, minutes)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            grown = pool.apply(_grown, (folder / "start.mp3", path, folder / "spool"))
        lines.append(f"| {minutes} min | {path.stat().st_size / 1e6:.0f} | {grown / 1e6:.0f} |")
        path.unlink()
    return "\n".join(lines) + "\n\n"


def _grown(first: Path, path: Path, spool: Path) -> int:
    """Bytes by which the largest memory of this process grows."""
    peaks = []
    for each in (first, path):
        job = {"job": "normalise", "path": str(each), "spool": str(spool)}
        assert "ok" in sandbox_worker.answer(job, AudioConfig(), Cut())
        said = Path("/proc/self/status").read_text()
        peaks.append(int(said.partition("VmHWM:")[2].split()[0]) * 1_024)
    return peaks[1] - peaks[0]


def _cpu_seconds(chain: Callable[[Path, Tar], None], case: Case, tar: Tar) -> float:
    return _timed(lambda: [chain(path, tar) for path in case.files])


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
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
