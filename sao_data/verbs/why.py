"""Why is a recording in a dataset, or not: its licence, the rule, the measured value, where it lies, the
evidence.

ID is a recording id (freesound:12345) or a sample's name in a shard (freesound-000012345).
"""

from __future__ import annotations

import argparse
import sys

HELP = "why a recording is in a dataset, or is not"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")
    parser.add_argument("id", metavar="ID", help="recording id or sample name")


def run(args: argparse.Namespace) -> int:
    from sao_data.launch import printable
    from sao_data.provenance import open_dataset, why

    row, raw = why(open_dataset(args.dir), args.id)
    verdict = "kept" if row.kept else f"left out by {row.stage}: {row.reason}"
    facts = [
        ("recording", row.id),
        ("verdict", verdict),
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
    for name, value in facts:
        sys.stdout.write(f"{name:12s}{printable(value)}\n")
    if raw:
        sys.stdout.write(f"{'raw row':12s}{printable(raw)}\n")
    return 0
