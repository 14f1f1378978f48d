#!/usr/bin/env python3
"""What an evaluation costs, and whether its distances know worse sounds from better ones.

benchmarks/evaluation.py                   cost: made audio, small random embedders
benchmarks/evaluation.py --windows N       cost of the search for nearest works alone, among N made windows
benchmarks/evaluation.py FOLDER [SVG]      the second, on real recordings: two halves of them, then one half
                                           under growing noise, low-pass and MP3
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
for name in THREADS:
    os.environ.setdefault(name, "1")  # before numpy is imported

import datetime
import hashlib
import io
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import signal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from sao_model.evaluation import embed, protocol, run, settings, sounds
from sao_model.evaluation.embedding import at_hand
from sao_model.evaluation.memorisation import library, nearest
from sao_model.evaluation.sounds import ReadSound, SoundItem
from sao_model.metrics import kernel
from sao_model.metrics.embedded import EmbeddedSet, ScoreRow
from sao_model.metrics.scores import fd, kad
from tests import tiny_embedders
from tests.made import encode, muxed_bytes, noise, tone, wav_bytes
from tests.training.made_runs import Silent

Floats = npt.NDArray[np.float32]
Degrading = Callable[[Floats, float], bytes]

RATE = 44_100
OWN = protocol.read("own_validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One line of the table."""

    how: str
    much: str
    rows: dict[str, ScoreRow]


def main() -> int:
    """Write Markdown to standard output."""
    if len(sys.argv) > 3 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.stdout.write(__doc__ or "")
        return 2
    where = f"{datetime.date.today()}, {_cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    if sys.argv[1:2] == ["--windows"]:
        sys.stdout.write(f"{nearest_cost(int(sys.argv[2]))}\n{where}\n")
        return 0
    if len(sys.argv) == 1:
        sys.stdout.write(f"{nearest_cost()}{kernel_cost()}{whole_cost()}\n{where}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = degraded(Path(sys.argv[1]), Path(folder))
    sys.stdout.write(f"{table(found)}\n{where}\n")
    if len(sys.argv) == 3:
        Path(sys.argv[2]).write_text(figure(found))
    return 0


def kernel_cost(num: int = 10_000, dimensions: int = 512) -> str:
    """Time and memory of the kernel distance of two large sets."""
    random = np.random.default_rng(0)
    one, other = (random.normal(size=(num, dimensions)) for _ in range(2))
    before, began = _peak(), time.perf_counter()
    kernel.distance(one, other)
    return (
        f"kernel distance, {num:,} x {num:,} x {dimensions}: {time.perf_counter() - began:.1f} s, "
        f"{_peak() - before:.0f} MiB more than its input; a whole kernel matrix would have "
        f"{num * num * 8 / 2**20:.0f}\n"
    )


def nearest_cost(num: int = 100_000, dimensions: int = 512, num_asked: int = 50, sample: int = 1_000) -> str:
    """Time and memory of the nearest works of some sounds, and of the own baseline, from packs on disk."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder = library.PackFolder(Path(place))
        for n in range(num // 2):  # clips of two windows
            made = random.standard_normal((2, dimensions)).astype(np.float32)
            made /= np.linalg.norm(made, axis=1, keepdims=True)
            folder.add(
                f"{n:064d}", {"lengths": np.array([2]), "starts": np.array([0.0, 5.0]), "windows": made}
            )
        folder.flush()

        def packs() -> Iterator[library.LibraryPack]:
            for path in folder.packs:
                held = folder.read(path, ("sha256", "lengths", "starts", "windows"))
                assert held is not None
                rows = held["sha256"].astype(np.int64)
                yield library.LibraryPack(
                    rows=rows, lengths=held["lengths"], starts=held["starts"], windows=held["windows"]
                )

        before, began = _peak(), time.perf_counter()
        scaled = nearest.scale(packs(), dimensions)
        first = time.perf_counter() - began
        for asked, kept in ((num_asked, 20), (sample, 1)):
            windows = random.standard_normal((asked, dimensions)).astype(np.float32)
            nearest.search(scaled.asked(windows), np.ones(asked, np.int64), packs(), scaled, kept)
    return (
        f"nearest works, {num:,} windows x {dimensions}: {num_asked} asked and {sample:,} of the data's own "
        f"in {time.perf_counter() - began:.1f} s ({first:.1f} s of it for mean and spread), "
        f"{_peak() - before:.0f} MiB more than writing the packs took, {_peak():.0f} MiB in all; all windows "
        f"would have {num * dimensions * 4 / 2**20:.0f}\n"
    )


def whole_cost(num: int = 100, seconds: float = 10.0) -> str:
    """A whole evaluation, first and again, of so many clips on either side."""
    with tempfile.TemporaryDirectory() as place:
        tmp = Path(place)
        sets = [
            f"clap.folder={tiny_embedders.clap(tmp / 'clap', fused=True, seconds=10)}",
            f"ast_audioset.folder={tiny_embedders.ast(tmp / 'ast', num_frames=1024)}",
        ]
        for n, side in enumerate(("ours", "theirs")):
            (tmp / side).mkdir()
            for clip in range(num):
                audio = tone(100 + 20 * clip, seconds) + noise(clip + 1_000 * n, seconds, level=0.02)
                (tmp / side / f"{clip:03d}.wav").write_bytes(wav_bytes(audio))
                (tmp / side / f"{clip:03d}.json").write_text('{"prompt": "a tone"}')
        job = run.EvaluationJob(
            protocol=OWN,
            config=settings.read("", sets),
            out=tmp / "out",
            sounds=str(tmp / "ours"),
            reference=str(tmp / "theirs"),
        )
        times = []
        for _ in range(2):
            began = time.perf_counter()
            run.evaluate(job, Silent())
            times.append(time.perf_counter() - began)
    return (
        f"evaluation of {num} clips of {seconds:g} s against {num}, three embedders: {times[0]:.1f} s; "
        f"again, from the cache: {times[1]:.1f} s\n"
    )


def degraded(folder: Path, tmp: Path) -> list[Measured]:
    """One half of the recordings against the other, better and worse."""
    whole = sorted(sounds.of_folder(folder), key=lambda item: hashlib.sha256(item.key.encode()).digest())
    read = [each for item in whole if isinstance(each := sounds.read(item, 10.0, 1.0), ReadSound)]
    one, other = read[::2], read[1::2]
    reference = _embedded([_item(each, _wav(each.at(RATE).T, 0)) for each in one], tmp)
    found = []
    for how, (unit, levels, degrade) in DEGRADED.items():
        for level in (None, *levels):
            items = [
                _item(each, (_wav if level is None else degrade)(each.at(RATE).T, level or 0.0))
                for each in other
            ]
            rows = _scored(_embedded(items, tmp), reference)
            found.append(
                Measured(how=how, much="as it is" if level is None else f"{level:g} {unit}", rows=rows)
            )
    return found


def _item(sound: ReadSound, data: bytes) -> SoundItem:
    return replace(sound.item, open=lambda: io.BytesIO(data))


def _wav(audio_TC: Floats, _: float) -> bytes:
    return encode(audio_TC, RATE, container="WAV", codec="FLOAT")


def _noisy(audio_TC: Floats, decibels: float) -> bytes:
    """White noise so far below the recording's own power."""
    power = float(np.square(audio_TC).mean()) * 10 ** (-decibels / 10)
    random = np.random.default_rng(len(audio_TC))
    added = np.sqrt(power) * random.standard_normal(audio_TC.shape)
    return _wav((audio_TC + added).astype(np.float32), 0)


def _low_passed(audio_TC: Floats, hz: float) -> bytes:
    filtered = signal.sosfiltfilt(signal.butter(8, hz, fs=RATE, output="sos"), audio_TC, axis=0)
    return _wav(filtered.astype(np.float32), 0)


def _mp3(audio_TC: Floats, kbits: float) -> bytes:
    return muxed_bytes(audio_TC, RATE, container="mp3", codec="libmp3lame", bit_rate=int(1_000 * kbits))


DEGRADED: dict[str, tuple[str, tuple[float, ...], Degrading]] = {
    "white noise, SNR": ("dB", (50, 40, 30, 20, 10, 0), _noisy),
    "low-pass": ("kHz", (16, 12, 8, 4, 2, 1), lambda audio, khz: _low_passed(audio, 1_000 * khz)),
    "MP3": ("kbit/s", (320, 192, 128, 96, 64, 32), _mp3),
}


def _embedded(items: list[SoundItem], tmp: Path) -> dict[str, EmbeddedSet]:
    """By mel_stats of 64 and of 16 bands, and by a random, untrained CLAP."""
    clap = tmp / "clap"
    if not clap.exists():
        tiny_embedders.clap(clap, fused=False, seconds=10)
    found = {}
    for name, sets in {
        "mel_stats-64": ["embedders=['mel_stats']"],
        "mel_stats-16": ["embedders=['mel_stats']", "mel_stats.num_bands=16"],
        "random": ["embedders=['clap']", f"clap.folder={clap}"],
    }.items():
        embedders, _ = at_hand(settings.read("", sets))
        cache = embed.Cache(tmp / "cache")
        each = embed.embed(items, embedders, OWN, cache, Silent(), what="reference", seconds=10.0)
        (found[name],) = each.sets.values()
    return found


def _scored(measured: dict[str, EmbeddedSet], reference: dict[str, EmbeddedSet]) -> dict[str, ScoreRow]:
    found = {}
    for name in ("mel_stats-64", "random"):
        (found[f"kad {name}"],) = kad.build(kad.Config()).measure(measured[name], reference[name])
    (found["fd mel_stats-16"],) = fd.build(fd.Config()).measure(
        measured["mel_stats-16"], reference["mel_stats-16"]
    )
    return found


def table(found: list[Measured]) -> str:
    names = list(found[0].rows)
    lines = ["| one half against the other | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for each in found:
        cells = (
            f"{r.estimate.value:.2f} ({r.estimate.low:.2f} to {r.estimate.high:.2f})"
            for r in each.rows.values()
        )
        lines.append(f"| {each.how}: {each.much} | " + " | ".join(cells) + " |")
    num = next(iter(found[0].rows.values())).estimate.num
    return "\n".join([*lines, "", f"{num} recordings in the half that is measured."])


def figure(found: list[Measured]) -> str:
    """A panel for each way, a line for each score, each score on the scale of its own worst."""
    colours = {"kad mel_stats-64": "#1f7a6d", "kad random": "#4059ad", "fd mel_stats-16": "#b4541a"}
    ways = list(dict.fromkeys(each.how for each in found))
    worst = {name: max(each.rows[name].estimate.value for each in found) for name in colours}
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 330" font-family="sans-serif" '
        'font-size="13">',
        '<rect width="960" height="330" fill="#fff"/>',
    ]
    for at, way in enumerate(ways):
        rows = [each for each in found if each.how == way]
        left, wide = 50 + 310 * at, 250 / (len(rows) - 1)
        parts.append(f'<text x="{left}" y="22" font-weight="bold">{way}</text>')
        parts.append(f'<path d="M{left} 40V250H{left + 250}" fill="none" stroke="#999"/>')
        for name, colour in colours.items():
            places = [
                f"{left + n * wide:.1f} {250 - 200 * max(row.rows[name].estimate.value, 0) / worst[name]:.1f}"
                for n, row in enumerate(rows)
            ]
            parts.append(f'<path d="M{"L".join(places)}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [
                f'<circle cx="{p.split()[0]}" cy="{p.split()[1]}" r="3" fill="{colour}"/>' for p in places
            ]
        for n, row in enumerate(rows):
            x = left + n * wide
            words = row.much.split()[0] if n else "none"
            parts.append(f'<text x="{x:.1f}" y="270" text-anchor="middle" font-size="11">{words}</text>')
        unit = rows[-1].much.split()[1]
        parts.append(
            f'<text x="{left + 250}" y="286" text-anchor="end" font-size="11" fill="#555">{unit}</text>'
        )
    for n, (name, colour) in enumerate(colours.items()):
        x = 50 + 230 * n
        parts.append(f'<rect x="{x}" y="306" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="312">{name} (top: {worst[name]:.3g})</text>')
    return "\n".join([*parts, "</svg>", ""])


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":
    sys.exit(main())
