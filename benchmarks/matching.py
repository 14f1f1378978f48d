#!/usr/bin/env python3
"""Measure the search for recordings that sound alike: how long, how much memory, how many are found.

Made fingerprints of 60 words (10 s), of which some come twice: 3 % of the bits flipped, shifted by up to ten
words. The search runs once over all of them; on a subset it takes turns with comparing all with all, and CPU
time is compared. One thread. Fingerprints of noise share more words than these; real audio is in the tests.
"""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before numpy is imported

import argparse
import datetime
import itertools
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from sao_data.audio.chromaprint import Words
from sao_data.matching.fingerprint_index import compare, find_matches, find_pairs

T = TypeVar("T")

NUM_WORDS = 60
FLIPPED = 0.03  # of the bits
MAX_SHIFT = 10  # words


def main() -> int:
    """Make the fingerprints, search, write a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", metavar="N", type=int, default=100_000)
    parser.add_argument("--planted", metavar="N", type=int, default=1_000, help="of them, that come twice")
    parser.add_argument("--subset", metavar="N", type=int, default=300, help="compared all with all")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="on the subset (default: 3)")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="shown with the table")
    args = parser.parse_args()
    if not 1 <= args.planted <= args.recordings // 2 or args.rounds < 1:
        parser.error("want at least one round, one planted recording, and twice as many recordings")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    items = recordings(args.recordings, args.planted)
    small = recordings(args.subset, args.subset // 10)
    lines = [*whole(items, args.planted), "", *subset(small, args.rounds), "", notes(args.date)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def recordings(num: int, num_planted: int) -> dict[str, Words]:
    """`num` fingerprints by id; "n copy" is a copy of "n" with flipped bits, cut and padded."""
    random = np.random.default_rng(1)
    words = random.integers(0, 2**32, size=(num - num_planted, NUM_WORDS), dtype=np.uint32)
    items = {f"{n:06d}": row for n, row in enumerate(words)}
    for n in range(num_planted):
        bits = np.unpackbits(words[n].view(np.uint8))
        noisy = np.packbits(bits ^ (random.random(len(bits)) < FLIPPED)).view(np.uint32)
        shift = int(random.integers(0, MAX_SHIFT + 1))
        padding = random.integers(0, 2**32, size=shift, dtype=np.uint32)
        items[f"{n:06d} copy"] = np.concatenate([noisy[shift:], padding])
    return items


def whole(items: dict[str, Words], num_planted: int) -> list[str]:
    """Both searches over everything, once."""
    before = _peak()
    pairs, pair_seconds = _timed(lambda: find_pairs(items.items()))
    memory = _peak() - before
    queries = {name: words for name, words in items.items() if name.endswith("copy")}
    corpus = [(name, words) for name, words in items.items() if name not in queries]
    matches, match_seconds = _timed(lambda: find_matches(queries, corpus))
    found = [sum(like.second == f"{like.first} copy" for like in pairs)]
    found.append(sum(like.first == f"{like.second} copy" for like in matches))
    size = sum(words.nbytes for words in items.values())
    return [
        "| search | CPU s | memory over its input, MB | planted | found | others found |",
        "|---|---:|---:|---:|---:|---:|",
        f"| pairs among {len(items):,} ({size / 1e6:.0f} MB) | {pair_seconds:.1f} | {memory:.0f} "
        f"| {num_planted:,} | {found[0]:,} | {len(pairs) - found[0]} |",
        f"| {len(queries):,} queries against {len(corpus):,} | {match_seconds:.1f} | "
        f"| {num_planted:,} | {found[1]:,} | {len(matches) - found[1]} |",
    ]


def subset(items: dict[str, Words], rounds: int) -> list[str]:
    """The search and comparing all with all, turn by turn, after one round that does not count."""

    def all_with_all() -> list[object]:
        pairs = itertools.combinations(items.values(), 2)
        return [fit for one, other in pairs if (fit := compare(one, other))]

    timed = [(_timed(lambda: find_pairs(items.items())), _timed(all_with_all)) for _ in range(rounds + 1)]
    ours, theirs = zip(*timed[1:], strict=True)
    mine, other = (statistics.median(seconds for _, seconds in side) for side in (ours, theirs))
    return [
        "| recordings | search, CPU s | all with all, CPU s | ratio | found | found by all with all |",
        "|---|---:|---:|---:|---:|---:|",
        f"| {len(items)} | {mine:.3f} | {other:.3f} | {other / mine:.0f} "
        f"| {len(ours[0][0])} | {len(theirs[0][0])} |",
        "",
        f"Medians of {rounds} rounds.",
    ]


def notes(date: str) -> str:
    """What it was measured on."""
    machine = f"{_cpu_model()}, {os.cpu_count()} cores, one used"
    return f"{date}; {machine}; Python {sys.version.split()[0]}; numpy {version('numpy')}."


def _timed(work: Callable[[], list[T]]) -> tuple[list[T], float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _peak() -> float:
    """The most memory this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU"
    )


if __name__ == "__main__":
    sys.exit(main())
