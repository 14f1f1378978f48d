"""How far a dataset is: what is published, what is being built, what waits for a person."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sao_data.storage import layout

if TYPE_CHECKING:
    from sao_data.storage.backend import Storage

HELP = "how far a dataset is, and what it holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")


def run(args: argparse.Namespace) -> int:
    from sao_data.dataset.reader import read_owner
    from sao_data.rights import reviews
    from sao_data.storage.backend import open_storage

    storage = open_storage(args.dir)
    facts = read_owner(storage)
    lines = [f"{facts['name']} at {storage.url}"]
    holder = _holder(storage)
    if holder:
        lines.append(f"a run is under way, or was killed: {holder}")
    if storage.exists(layout.JOURNAL):
        lines.append("a take-down or another credit was begun and not finished; run it again with --apply")
    elif storage.exists(layout.DATASET):
        lines += _published(args.dir)
    else:
        lines.append("nothing published yet; run the ingest to its end")
    lines += [f"work        {line}" for line in _work(storage)]
    waiting = reviews.num_waiting(storage)
    answered = len(reviews.read(storage))
    if waiting or answered:
        lines.append(f"reviews     {waiting} wait for a person in {layout.REVIEWS}, {answered} answered")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _holder(storage: Storage) -> str:
    """Who holds the lock; '' = nobody."""
    is_locked = storage.exists(layout.LOCK)
    return storage.read(layout.LOCK).decode(errors="replace").strip() if is_locked else ""


def _published(url: str) -> list[str]:
    from sao_data.dataset.reader import open_dataset

    facts = open_dataset(url).facts
    counts = facts["counts"]
    lines = [
        f"published   version {facts['version']}: {counts['kept']} of {counts['offered']} recordings, "
        f"{counts['seconds']:.1f} s in {counts['samples']} samples, {counts['shards']} shards"
    ]
    reasons = sorted(facts["rejected_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    return lines + [f"left out    {number} {reason}" for reason, number in reasons]


def _work(storage: Storage) -> list[str]:
    lines = []
    for stage in ("list", "judge", "decide", "fetch", "normalise", "curate", "caption", "screen", "pack"):
        names = storage.names(f"{layout.WORK}/{stage}")
        done = [n for n in names if n.endswith(".parquet") and n.count(".") == 1]
        blobs = sum(storage.size(n) for n in names if n.endswith(".blob"))
        if done:
            audio = f", {blobs / 1e6:.1f} MB of audio" if blobs else ""
            lines.append(f"{stage}: {len(done)} buckets done{audio}")
    return lines
