#!/usr/bin/env python3
"""How long a million licence decisions take: `decide` against a naive look-up in the same run.

A made catalogue lies in Parquet files; part by part it is read into records, decided by `decide`, and
decided by four regular expressions over the licence field (the baseline: no evidence, no wishes, no
contradictions, no conflicts). One process on one core; CPU time. Catalogues: the proportions of Freesound
(LAION's count of 2022) with some of the Free Music Archive, and one in which no two recordings state the same
claim, so that no answer can be remembered.

    benchmarks/decisions.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from sao_data.licences import Policy, Release, decide
from sao_data.records import Recording
from sao_data.storage import tables
from sao_data.storage.backend import open_storage

PART = 50_000  # rows in memory at a time
FMA_SHARE = 0.15  # 106,574 of some 710,000
CC = "creativecommons.org"
FREESOUND = {  # deed URL -> recordings (LAION-Audio-630K data card; versions and schemes guessed)
    f"http://{CC}/publicdomain/zero/1.0/": 270_843,
    f"http://{CC}/licenses/by/3.0/": 98_000,
    f"https://{CC}/licenses/by/4.0/": 90_000,
    f"http://{CC}/licenses/by/4.0/": 8_884,
    f"http://{CC}/licenses/by-nc/3.0/": 33_000,
    f"https://{CC}/licenses/by-nc/4.0/": 28_000,
    f"http://{CC}/licenses/by-nc/4.0/": 2_693,
    f"http://{CC}/licenses/sampling+/1.0/": 11_556,
}
FMA = {  # the ten most frequent titles (mdeff/fma, notebook analysis); the rest is spread over 104 more
    "Attribution-Noncommercial-Share Alike 3.0 United States": 19_250,
    "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International": 17_732,
    "Attribution-NonCommercial-ShareAlike 3.0 International": 15_260,
    "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0": 12_133,
    "Attribution-Noncommercial-No Derivative Works 3.0 United States": 10_584,
    "Attribution-NonCommercial-ShareAlike": 6_907,
    "Attribution": 4_991,
    "Attribution-NonCommercial 3.0 International": 3_570,
    "Attribution-NonCommercial": 3_409,
    "Attribution-ShareAlike": 1_549,
}
UNITS = ("Attribution", "Attribution-Noncommercial", "Attribution-ShareAlike", "Attribution-NoDerivs")
PLACES = (
    "Germany", "France", "Spain", "Italy", "Canada", "Austria", "Poland", "Brazil", "Netherlands", "Norway",
    "Chile", "Croatia", "Greece", "Ireland", "Portugal", "Romania", "Serbia", "Switzerland", "Taiwan",
    "Thailand", "Uganda", "Vietnam", "Ecuador", "Estonia", "Guatemala", "New Zealand",
)  # fmt: skip
WORDS = (
    "a", "the", "of", "in", "with", "and", "on", "my", "this", "for", "rain", "wind", "birds", "door",
    "closing", "slowly", "old", "house", "recorded", "zoom", "h4n", "stereo", "mic", "field", "forest",
    "street", "noise", "drum", "loop", "bpm", "120", "kick", "snare", "synth", "pad", "voice", "child",
    "laughing", "water", "river", "stone", "wood", "metal", "&amp;", "<b>hit</b>", "<br>",
    "sample", "please", "credit", "use", "free", "project", "game", "film", "license", "attribution",
    "edited", "audacity",
)  # fmt: skip
RARE = (
    "commercial",
    "for commercial and non-commercial use",
    "non-commercial use only",
    "all rights reserved",
)
NAIVE = tuple(
    (re.compile(pattern, re.IGNORECASE), verdict)
    for pattern, verdict in (
        (r"\bn[cd]\b|non-?commercial|no-?deriv|share ?alike|by-sa", "deny"),
        (r"publicdomain/zero|\bcc0\b|creative commons 0", "allow"),
        (r"licenses/by/|\battribution\b|\bcc.by\b", "allow"),
        (r"sampling\+|sampling plus", "allow"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A catalogue: how many rows, and whether each states a claim of its own."""

    name: str
    rows: int
    distinct: bool


@dataclass(slots=True, kw_only=True)
class Result:
    """CPU seconds of each step over the whole catalogue, and what `decide` said."""

    case: Case
    reading: float = 0.0
    deciding: float = 0.0
    naive: float = 0.0
    claims: int = 0
    verdicts: Counter[str]


def main() -> int:
    """Make the catalogues, decide them, write a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", metavar="N", type=int, default=1_000_000, help="rows (default: 1,000,000)")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="shown with the table")
    args = parser.parse_args()
    if args.rows < 100:
        parser.error("--rows: want at least 100")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cases = (
        Case(name="Freesound and FMA", rows=args.rows, distinct=False),
        Case(name="no two claims alike", rows=args.rows // 20, distinct=True),
    )
    sys.stdout.write(report([measure(case) for case in cases], args.date))
    return 0


def measure(case: Case) -> Result:
    """Read, decide and look up every part, turn by turn."""
    result = Result(case=case, verdicts=Counter())
    policy, release = Policy(), Release()
    claims: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="sao-bench-") as folder:
        maker = multiprocessing.Process(target=write, args=(case, folder))  # its memory is not ours
        maker.start()
        maker.join()
        if maker.exitcode != 0:
            raise SystemExit("benchmarks/decisions.py: the catalogue could not be made; see above")
        storage = open_storage(folder)
        for path in sorted(Path(folder).glob("*.parquet")):
            start = time.process_time()
            part = tables.read(storage, path.name, Recording)
            result.reading += time.process_time() - start
            seconds, verdicts = timed(lambda row: decide(row, policy, release).verdict, part)
            result.deciding, result.verdicts = result.deciding + seconds, result.verdicts + verdicts
            result.naive += timed(naive, part)[0]
            claims.update(row.license_url or row.license_claim for row in part)
    result.claims = len(claims)
    return result


def timed(judge: Callable[[Recording], str], part: Iterable[Recording]) -> tuple[float, Counter[str]]:
    """CPU seconds of judging a part, and the verdicts counted."""
    start = time.process_time()
    verdicts = Counter(map(judge, part))
    return time.process_time() - start, verdicts


def naive(recording: Recording) -> str:
    """The verdict of the first pattern that matches anywhere."""
    claim = recording.license_url or recording.license_claim
    return next((verdict for pattern, verdict in NAIVE if pattern.search(claim)), "deny")


def write(case: Case, folder: str) -> None:
    """The catalogue as Parquet files of PART rows."""
    storage, rows = open_storage(folder), made(case)
    for number in itertools.count():
        part = list(itertools.islice(rows, PART))
        if not part:
            return
        tables.write(storage, f"recordings-{number:04d}.parquet", Recording, part)


def made(case: Case) -> Iterator[Recording]:
    """Recordings with distinct ids and descriptions, and authors who have some forty sounds each."""
    dice = random.Random(1)
    urls, url_weights = tuple(FREESOUND), tuple(FREESOUND.values())
    titles = {**FMA, **dict.fromkeys(rare_titles(), 106)}
    names, name_weights = tuple(titles), tuple(titles.values())
    for number in range(case.rows):
        from_fma = dice.random() < FMA_SHARE
        url = "" if from_fma or case.distinct else dice.choices(urls, url_weights)[0]
        name = dice.choices(names, name_weights)[0] if from_fma or case.distinct else ""
        author = dice.randrange(1 + case.rows // 40)
        yield Recording(
            id=f"{'fma' if from_fma else 'freesound'}:{number}",
            source="fma" if from_fma else "freesound",
            title=f"{dice.choice(WORDS)} {number}.wav",
            author=f"author-{author}",
            author_id=str(author),
            license_url=url,
            license_claim=f"{name}, {number:07x}" if case.distinct else name,
            ai_preference="" if from_fma else "no-additional-preferences",
            description=words(dice),
            tags=tuple(dice.choices(WORDS, k=6)),
        )


def rare_titles() -> list[str]:
    """The other 104 licence titles."""
    titles = (f"{unit} 3.0 {place}" for unit in UNITS for place in PLACES)
    return list(itertools.islice(titles, 104))


def words(dice: random.Random) -> str:
    """A description: median some 150 characters, one in a hundred 2,000, one in 25 with words on rights."""
    count = min(int(dice.lognormvariate(3.3, 1.1)), 4_000)
    said = dice.choices(WORDS, k=count)
    if dice.random() < 0.04:
        said.insert(dice.randrange(count + 1), dice.choice(RARE))
    return " ".join(said)


def report(results: list[Result], date: str) -> str:
    """The table, with what it was measured on."""
    lines = [
        "| catalogue | rows | different claims | reading, CPU s | `decide`, CPU s | decisions per s "
        "| naive, CPU s | ratio | allow / deny / review |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for result in results:
        verdicts = " / ".join(f"{result.verdicts[v]:,}" for v in ("allow", "deny", "review"))
        lines.append(
            f"| {result.case.name} | {result.case.rows:,} | {result.claims:,} | {result.reading:.1f} "
            f"| {result.deciding:.1f} | {result.case.rows / result.deciding:,.0f} | {result.naive:.2f} "
            f"| {result.deciding / result.naive:.1f} | {verdicts} |"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux: KiB
    notes = f"{date}; {os.cpu_count()} cores, one used; Python {sys.version.split()[0]}."
    return (
        "\n".join(lines) + f"\n\nPeak memory of the reading and deciding process: {peak:,.0f} MiB. {notes}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
