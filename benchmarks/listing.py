#!/usr/bin/env python3
"""Measure the listing of Freesound against the fake server: requests, memory, what is missed when requests
fail.

The large listing asks a fake in a process of its own over 127.0.0.1, so that memory is the lister's alone;
the rest is in one process on a simulated clock. Nothing is asked of Freesound.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from sao_data.errors import Stopped
from sao_data.fetch.permits import Permits
from sao_data.fetch.workspace import Workspace
from sao_data.plugins import DamagedFile
from sao_data.records import Offer
from sao_data.sources.freesound_api import Config, FreesoundApi
from tests.fakes.freesound import Quirks, World
from tests.sources.freesound_asked import fake_of, ids_of, listed, source_of

ROOT = Path(__file__).resolve().parents[1]
FAILURES = (
    "reset", "hang", "bad_gateway", "unavailable", "gateway_timeout", "throttled_minute", "throttled_day",
    "overloaded", "search_down", "server_error", "gone", "truncated", "reset_mid", "slow", "html_200",
    "empty_200",
)  # fmt: skip
DAMAGE = ("truncated", "reset_mid", "wrong_md5", "html_200", "empty_200")
FIRST_ID = 1000  # of the fake's made-up sounds


class Anyone:
    """A key for a fake that was told it."""

    def key(self) -> str:
        return "key"

    def bearer(self) -> str:
        raise AssertionError("nothing here needs a login")

    def expired(self, token: str) -> str:
        raise AssertionError(token)


def main() -> int:
    """Run everything, write a Markdown table each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sounds", metavar="N", type=int, default=500_000, help="of the large listing")
    parser.add_argument("--files", metavar="N", type=int, default=1_000, help="damaged bodies")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="shown with the tables")
    args = parser.parse_args()
    for part in (large(args.sounds), churned(), stormy(), damaged(args.files)):
        sys.stdout.write("\n".join(part) + "\n\n")
        sys.stdout.flush()
    sys.stdout.write(f"{args.date}; {os.cpu_count()} cores; Python {sys.version.split()[0]}.\n")
    return 0


def large(num: int) -> Iterator[str]:
    """List everything, then once more from the answers that are kept."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "requests.jsonl")
        command = [sys.executable, "-m", "tests.fakes.freesound", "--level", "99", "--key", "key"]
        command += ["--synthetic", str(num), "--record", str(record)]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            yield from _large(num, json.loads(server.stdout.readline())["base"], folder, record)
        finally:
            server.terminate()
            server.wait()


def _large(num: int, base: str, folder: str, record: Path) -> Iterator[str]:
    workspace = Workspace(url=folder, folder="work", permits=Permits(None, None, ""), tokens=Anyone())
    source = FreesoundApi(config=Config(base_url=base, level=99, licenses=()), workspace=workspace)
    yield "| listing | sounds | missed | twice | requests | over | s | MB before | after 10 % | at most |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    sent_before = 0
    for name in ("from the server", "from the kept answers"):
        before, early, start = _rss("VmRSS"), 0.0, time.monotonic()
        counts = bytearray(FIRST_ID + num)
        for number, offer in enumerate(source.offers()):
            assert isinstance(offer, Offer)
            counts[int(offer.recording.id.removeprefix("freesound:"))] += 1
            if number == num // 10:
                early = _rss("VmRSS")
        ours = counts[FIRST_ID:]
        sent = len(record.read_bytes().splitlines()) - sent_before
        sent_before += sent
        over = f"{sent / (num / 150) - 1:.2%}" if sent else ""
        yield (
            f"| {name} | {len(ours) - ours.count(0):,} | {ours.count(0)} | {sum(n > 1 for n in ours)} "
            f"| {sent:,} | {over} | {time.monotonic() - start:.0f} | {before:.0f} | {early:.0f} "
            f"| {_rss('VmHWM'):.0f} |"
        )


def churned() -> Iterator[str]:
    """1,000 additions and 1,000 removals while 10,000 are listed, five times."""
    yield "| additions | removals | there throughout | of them missed | twice | requests |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for seed in range(5):
        world = World.synthetic(10_000, seed=seed)
        before, fake = ids_of(world), fake_of(world)
        fake.timeline.every(
            "search", 1, lambda world, seed=seed: world.churn(adds=16, removes=16, seed=seed), times=63
        )
        with tempfile.TemporaryDirectory() as folder:
            offers = Counter(o.recording.id for o in source_of(fake, Path(folder), licenses=()).offers())
        throughout = before & ids_of(world)
        yield (
            f"| {len(world.added):,} | {len(world.removed):,} | {len(throughout):,} "
            f"| {len(throughout - offers.keys())} | {sum(n > 1 for n in offers.values())} "
            f"| {len(fake.record.entries)} |"
        )


def stormy() -> Iterator[str]:
    """10,000 sounds with 30 % of the requests failing in one of 16 ways, stopped again and again."""
    yield "| seed | requests failed | missed or other | said otherwise | requests without failure | stops |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for seed in range(5):
        world = World.synthetic(10_000, seed=seed)
        quirks = Quirks(seed=seed, null_results=0.02, count_drift=5, shuffle_ties=True, naive_dates=0.3)
        calm, storm = fake_of(world), fake_of(world, quirks=quirks)
        storm.faults.seed = seed
        for kind in FAILURES:
            storm.faults.add(kind, "search", share=0.3 / len(FAILURES))
        with tempfile.TemporaryDirectory() as folder:
            truth = listed(source_of(calm, Path(folder, "calm"), licenses=()))
            found, stops = {}, 0
            while not found:
                try:
                    stop_at = 17 if stops < 5 else 0
                    found = listed(source_of(storm, Path(folder, "storm"), licenses=(), stop_at=stop_at))
                except Stopped:
                    stops += 1
        other = sum(_said(found[name]) != _said(truth[name]) for name in found.keys() & truth.keys())
        failed = sum(bool(request.fault) for request in storm.record.entries)
        yield (
            f"| {seed} | {failed} of {len(storm.record.entries)} | {len(truth.keys() ^ found.keys())} "
            f"| {other} | {len(calm.record.entries)} | {stops} |"
        )


def damaged(num: int) -> Iterator[str]:
    """Fetch files whose body is damaged every time: what is accepted, and what is said of it."""
    yield "| damage | bodies | accepted | damaged for good | tried again later |"
    yield "|---|---:|---:|---:|---:|"
    for kind in DAMAGE:
        fake = fake_of(World.synthetic(num // len(DAMAGE), seconds=(0.05,)))
        with tempfile.TemporaryDirectory() as folder:
            source = source_of(fake, Path(folder), licenses=())
            recordings = [offer.recording for offer in listed(source).values()]
            fake.faults.add(kind, "download", at_most=0)
            ends: Counter[str] = Counter()
            for recording in recordings:
                try:
                    source.fetch(recording, Path(folder, recording.id))
                    ends["accepted"] += 1
                except DamagedFile:
                    ends["damaged"] += 1
                except OSError:
                    ends["later"] += 1
        yield f"| {kind} | {len(recordings)} | {ends['accepted']} | {ends['damaged']} | {ends['later']} |"


def _said(offer: Offer) -> tuple[object, ...]:
    recording = offer.recording
    return (recording.title, recording.author, recording.license_url, recording.ai_preference, recording.md5)


def _rss(field: str) -> float:
    """Memory of this process, MB: VmRSS now, VmHWM at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    sys.exit(main())
