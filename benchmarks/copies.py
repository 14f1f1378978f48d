#!/usr/bin/env python3
"""Measure what is found of copies of short sounds, by fingerprint or spectral hash, and what wrongly.

Over a folder of real recordings, cut to 1, 2, 3 and 5 s: each changed copy is looked for among all originals.
Without a folder over made sounds. Then sets of made sounds that are nearly alike and no copies; then the
time that the hash and its search take. Only what is louder than -60 dB is counted. One thread.
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before numpy is imported

import argparse
import datetime
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from sao_data.audio.measuring.spectral_hash import SpectralHash, SpectralHasher, spectral_hash
from sao_data.audio.sandbox import Sandbox
from sao_data.matching.alike import find_alike
from sao_data.matching.spectral_index import find_pairs
from tests.made import RATE, Floats, to_pcm, wav_bytes
from tests.matching.near_misses import CHANGES, LOST, found_in, heard, near_misses, note

SECONDS = (1, 2, 3, 5)
LEAST = 1e-3  # of full scale


def main() -> int:
    """Write Markdown tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="of recordings at 44.1 kHz (default: made ones)")
    parser.add_argument("--searched", metavar="N", type=int, default=5_000, help="hashes that are searched")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="shown with the tables")
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sounds = dict(read(args.folder)) if args.folder else made()
    for line in (*recall(sounds), "", *false_alarms(), "", *costs(sounds, args.searched), "", args.date):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0


def read(folder: Path) -> Iterator[tuple[str, Floats]]:
    """The recordings, as stereo."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".wav", ".flac", ".ogg", ".mp3"):
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True, stop=6 * RATE)
            if rate == RATE:
                yield path.stem, audio[:, :2] if audio.shape[1] > 1 else np.repeat(audio, 2, axis=1)


def made() -> dict[str, Floats]:
    """Every third of the near-misses."""
    every = {f"{name} {key}": x for name, items in near_misses().items() for key, x in items.items()}
    return {name: every[name] for name in sorted(every)[::3]}


def recall(sounds: dict[str, Floats]) -> Iterator[str]:
    """One row a change: the share that is found at each length, and wrong pairs over all of them."""
    changes = CHANGES | LOST
    shares: dict[str, list[str]] = {name: [] for name in changes}
    wrong: dict[str, set[tuple[str, str]]] = {name: set() for name in changes}
    alike: dict[str, set[int]] = {}
    for seconds in SECONDS:
        cut = {key: x[: seconds * RATE] for key, x in sounds.items()}
        cut = {key: x for key, x in cut.items() if np.abs(x).max() > LEAST}
        originals = {key: heard(audio) for key, audio in cut.items()}
        for pair in find_alike(originals):
            alike.setdefault(f"{pair.first}, {pair.second}", set()).add(seconds)
        for name, apply in changes.items():
            changed = {key: heard(x) for key, audio in cut.items() if len(x := apply(audio))}
            found = found_in(changed, originals)
            right = sum(first == second for first, second in found)
            shares[name].append(f"{100 * right / len(cut):.1f}")
            wrong[name] |= {(min(pair), max(pair)) for pair in found if pair[0] != pair[1]}
    lengths = " | ".join(f"found of {n} s, %" for n in SECONDS)
    yield f"| change ({len(sounds)} recordings) | {lengths} | other pairs |"
    yield f"|---|{'---:|' * (len(SECONDS) + 1)}"
    for name, row in shares.items():
        yield f"| {name} | {' | '.join(row)} | {len(wrong[name])} |"
    yield ""
    pairs = "; ".join(f"{pair} ({sorted(at)} s)" for pair, at in sorted(alike.items())) or "none"
    yield f"Pairs among the originals: {pairs}."
    others = sorted(set().union(*wrong.values()))
    yield f"Other pairs: {'; '.join(', '.join(pair) for pair in others) or 'none'}."


def false_alarms() -> Iterator[str]:
    """One row a set of near-misses."""
    yield "| near-misses | pairs of them | found alike | copies found, MP3, % |"
    yield "|---|---:|---:|---:|"
    for name, items in near_misses().items():
        originals = {key: heard(audio) for key, audio in items.items()}
        found = found_in({key: heard(CHANGES["MP3, 128 kbit/s"](x)) for key, x in items.items()}, originals)
        right = sum(first == second for first, second in found)
        num_pairs = len(items) * (len(items) - 1) // 2
        num_wrong = len(find_alike(originals)) + len(found) - right
        yield f"| {name} | {num_pairs:,} | {num_wrong} | {100 * right / len(items):.1f} |"


def costs(sounds: dict[str, Floats], num: int) -> Iterator[str]:
    """CPU time of the hash, of the whole chain, and of the search."""
    yield "| what | CPU time |"
    yield "|---|---:|"
    minute = to_pcm(np.tile(note(220, 1.5), (40, 1)))
    words = np.random.default_rng(1).integers(0, 2**32, 400, np.uint32)
    yield f"| a minute that Chromaprint tells: kept for the hash, ms | {_hashing(minute, words):.2f} |"
    for seconds in (1, 3):
        audio = np.asarray(note(220, float(seconds)))
        own = _hashing(to_pcm(audio), words[:0])
        chain = _chain(audio)
        yield f"| {seconds} s that it does not: hash, ms (whole chain) | {own:.2f} ({chain:.1f}) |"
    items = _many(sounds, num)
    start = time.process_time()
    found = find_pairs(items)
    seconds = time.process_time() - start
    yield f"| search for pairs among {len(items):,}, s ({len(found):,} found) | {seconds:.1f} |"


def _hashing(pcm: np.ndarray, words: np.ndarray, rounds: int = 40) -> float:  # type: ignore[type-arg]
    start = time.process_time()
    for number in range(rounds + 1):
        if number == 1:  # the first loads libraries
            start = time.process_time()
        hasher = SpectralHasher()
        for at in range(0, len(pcm), 65_536):
            hasher.add(pcm[at : at + 65_536])
        hasher.finish(words)
    return 1e3 * (time.process_time() - start) / rounds


def _chain(audio: Floats) -> float:
    """CPU time of the sandbox's child for a WAV file, ms, without its start."""
    few, many = 10, 50
    return 1e3 * (_child_seconds(audio, many) - _child_seconds(audio, few)) / (many - few)


def _child_seconds(audio: Floats, rounds: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        path = Path(folder, "x.wav")
        path.write_bytes(wav_bytes(audio))
        for _ in range(rounds):
            sandbox.normalise(path, Path(folder))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _many(sounds: dict[str, Floats], num: int) -> list[tuple[str, SpectralHash]]:
    """Hashes of stretches of the recordings, each under another equaliser and with other fluctuations."""
    random = np.random.default_rng(1)
    stretches = (x[at * RATE : (at + n) * RATE] for x in sounds.values() for at in (0, 1, 2) for n in (1, 2))
    bases = [one for x in stretches if len(x) > RATE // 4 and (one := spectral_hash(x))]
    made_up = []
    for number in range(num):
        base = bases[int(random.integers(len(bases)))]
        bend = random.normal(0, 6, 12)
        lines = base.spectrum + np.repeat(bend, 16)
        moments = base.moments + np.repeat(bend, 2) + random.normal(0, 3, base.moments.shape)
        levels = [np.clip(x - x.min(), 0, 63).astype(np.uint8) for x in (lines, moments)]
        made_up.append((f"{number:06d}", SpectralHash(spectrum=levels[0], moments=levels[1])))
    return made_up


if __name__ == "__main__":
    sys.exit(main())
