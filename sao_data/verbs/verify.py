"""Check a dataset: every shard and table against its hash, every number against every other, and every
decision against the evidence it rests on: claims are read again from the raw rows, offline.

Nothing is changed. Exit code 0: all true. 1: findings, one a line.
"""

from __future__ import annotations

import argparse
import sys

HELP = "check every byte and number of a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")


def run(args: argparse.Namespace) -> int:
    from sao_data.launch import note, printable
    from sao_data.provenance import not_replayed, open_dataset, verify

    dataset = open_dataset(args.dir)
    findings = verify(dataset, lambda what: note(f"checking {what} …"))
    for finding in findings:
        sys.stdout.write(f"{printable(finding)}\n")
    for sentence in not_replayed(dataset):
        note(sentence)
    counts, facts = dataset.facts["counts"], dataset.facts
    if findings:
        name = f"{facts['name']} {facts['version']}"
        fix = "restore the files, or delete its work/ and run the ingest again"
        sys.stdout.write(f"{len(findings)} findings in {name}: {fix}\n")
        return 1
    sys.stdout.write(
        f"OK {facts['name']} {facts['version']}: {counts['kept']} recordings, {counts['samples']} samples in "
        f"{counts['shards']} shards, {facts['evidence']['num_files']} evidence files, 0 findings\n"
    )
    return 0
