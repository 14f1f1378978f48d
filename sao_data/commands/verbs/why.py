"""Why is a recording in a dataset, or not: its licence, the rule, the measured value, where it lies, the
evidence.

ID is a recording id (freesound:12345), or whatever names it: the source's own id (12345), a clip's id, a
sample's name in a shard (freesound-000012345, with or without .flac), a title, the address of its page, the
name of its file. Where several recordings are called so, they are listed.

A work that its source no longer offers is told as an earlier version had it.

Exit code 7: nothing is called so; what is near is named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sao_data.errors import MatchedNothing

if TYPE_CHECKING:
    from sao_data.records import CatalogueRow

HELP = "why a recording is in a dataset, or is not"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")
    parser.add_argument(
        "id", metavar="ID", help="recording id, sample name, title, page address or file name"
    )


def run(args: argparse.Namespace) -> int:
    from sao_data.commands.common import printable
    from sao_data.dataset import explain
    from sao_data.dataset.reader import open_dataset

    dataset = open_dataset(args.dir)
    try:
        rows = explain.find(dataset, args.id)
    except MatchedNothing:
        rows = explain.gone(dataset, args.id)
        if not rows:
            raise
        sys.stdout.write("no longer offered by its source; an earlier version of this dataset had it as:\n")
    raw = explain.raw_row(dataset, rows[0]) if len(rows) == 1 and rows[0].evidence else ""
    for line in _facts(rows[0], raw) if len(rows) == 1 else _list(rows, args.id):
        sys.stdout.write(f"{printable(line)}\n")
    return 0


def _list(rows: list[CatalogueRow], text: str) -> Iterator[str]:
    """A line for each of several."""
    yield f"{len(rows)} recordings are called {text!r}; give one of these ids:"
    for row in rows:
        yield f'{row.id}  "{row.title}" by {row.author or "an unnamed author"}: {_verdict(row)}'


def _verdict(row: CatalogueRow) -> str:
    return "kept" if row.kept else f"left out by {row.stage}: {row.reason}"


def _facts(row: CatalogueRow, raw: str) -> Iterator[str]:
    """All that is known of one, a line a fact."""
    facts = [
        ("recording", row.id),
        ("verdict", _verdict(row)),
        ("because", row.detail or row.rule),
        ("title", row.title or "not stated"),
        ("author", " ".join(part for part in (row.author or "not stated", row.author_url) if part)),
        ("source", row.page_url or "not stated"),
        (
            "licence",
            f"{row.license or 'none'} ({row.license_family}), from {row.license_claim or 'no claim'!r}",
        ),
        ("decision", f"{row.verdict} by rule {row.rule}"),
        ("preference", row.ai_preference or "unknown"),
        ("offers", str(row.num_offers)),
    ]
    if row.kept:
        facts += [
            ("in", f"{', '.join(row.shards)}: {row.num_clips} clip(s), {row.seconds} s"),
            ("changes", " ".join(row.changes) or "none"),
            ("original", f"sha256 {row.original_sha256}"),
        ]
    facts.append(("evidence", f"sha256 {row.evidence}" if row.evidence else "none"))
    facts += [("raw row", raw)] if raw else []
    yield from (f"{name:12s}{value}" for name, value in facts)
