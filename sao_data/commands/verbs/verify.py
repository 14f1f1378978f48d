"""Check a dataset: every shard and table against its hash, every number against every other, and every
decision against the evidence it rests on: claims are read again from the raw rows, offline.

Nothing is changed. Exit code 0: all true. 1: findings, one a line. Decisions that cannot be derived again
here, of sources that are not ours or of another version, are findings too.
"""

from __future__ import annotations

import argparse
import sys

HELP = "check every byte and number of a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")
    parser.add_argument(
        "--allow-unreplayed",
        action="store_true",
        help="decisions that cannot be derived again here are no finding",
    )
    parser.add_argument(
        "--trust-plugins",
        action="store_true",
        help="import the sources that are not ours, as DIR names them: this runs their code",
    )


def run(args: argparse.Namespace) -> int:
    from sao_data.commands.common import note, printable
    from sao_data.dataset.reader import open_dataset
    from sao_data.dataset.verify import check

    dataset = open_dataset(args.dir)
    result = check(
        dataset,
        lambda what: note(f"checking {what} …"),
        trust_plugins=args.trust_plugins,
        allow_unreplayed=args.allow_unreplayed,
    )
    for finding in result.findings:
        sys.stdout.write(f"{printable(finding)}\n")
    for sentence in result.notes:
        note(sentence)
    counts, facts = dataset.facts["counts"], dataset.facts
    if result.findings:
        name = f"{facts['name']} {facts['version']}"
        fix = "restore the files, or delete its work/ and run the ingest again"
        sys.stdout.write(f"{len(result.findings)} findings in {name}: {fix}\n")
        return 1
    sys.stdout.write(
        f"OK {facts['name']} {facts['version']}: {counts['kept']} recordings, {counts['samples']} samples in "
        f"{counts['shards']} shards, {facts['evidence']['num_files']} evidence files, "
        f"{result.num_replayed} decisions replayed, {result.num_not_replayed} not, 0 findings\n"
    )
    return 0
