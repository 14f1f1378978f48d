"""Check a dataset: every shard and table against its hash, every number against every other, and every
decision against the evidence it rests on: claims are read again from the raw rows, offline.

Folders of latents that were encoded from it are checked, too; given one of those, it alone is checked,
against its dataset where that is at hand.

What is rendered (report, card, Croissant, statistics) is made again and compared; filters judge what was
measured once more. --quick looks at digests alone; --full decodes every sound, too. What only somebody who
knows the version can notice (a work and its evidence taken out together) shows with --expect or --signature.

Nothing is changed. Exit code 0: all true. 1: findings, one a line. Decisions that cannot be derived again
here, of sources that are not ours or of another version, are findings too.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from sao_data.errors import UsageError

if TYPE_CHECKING:
    from sao_data.dataset.reader import Dataset

HELP = "check every byte and number of a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")
    parser.add_argument(
        "--allow-unreplayed",
        action="store_true",
        help="decisions that cannot be derived again here are no finding",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="digests only")
    how.add_argument("--full", action="store_true", help="decode every sound, too")
    parser.add_argument("--expect", metavar="DIGEST", default="", help="the root digest that it should have")
    parser.add_argument("--signature", metavar="KEY", default="", help="is it signed by this public key?")
    parser.add_argument(
        "--trust-plugins",
        action="store_true",
        help="import the sources that are not ours, as DIR names them: this runs their code",
    )


def run(args: argparse.Namespace) -> int:
    from sao_data.commands.common import note, printable
    from sao_data.dataset.reader import open_dataset
    from sao_data.dataset.verify import check
    from sao_data.latents import folder, verify
    from sao_data.storage.backend import open_storage

    if folder.is_latents(open_storage(args.dir)):
        return _latents(args.dir)
    dataset = open_dataset(args.dir)
    result = check(
        dataset,
        lambda what: note(f"checking {what} …"),
        trust_plugins=args.trust_plugins,
        allow_unreplayed=args.allow_unreplayed,
        expect=_digest(args.expect),
        quick=args.quick,
    )
    encoded = {} if args.quick else dict(verify.check_known(dataset, lambda w: note(f"checking {w} …")))
    beside = [f"{url}: {finding}" for url, found in encoded.items() for finding in found.findings]
    findings = (*result.findings, *_signed(dataset, args.signature), *beside)
    if args.full:
        findings += tuple(_decoded(dataset))
    for finding in findings:
        sys.stdout.write(f"{printable(finding)}\n")
    remarks = [f"{url}: {remark}" for url, found in encoded.items() for remark in found.notes]
    for sentence in (*result.notes, *remarks):
        note(sentence)
    counts, facts = dataset.facts["counts"], dataset.facts
    if findings:
        name = f"{facts['name']} {facts['version']}"
        fix = "restore the files, or delete its work/ and run the ingest again"
        sys.stdout.write(f"{len(findings)} findings in {name}: {fix}\n")
        return 1
    beyond = f"{len(encoded)} folders of latents, " if encoded else ""
    sys.stdout.write(
        f"OK {facts['name']} {facts['version']}: {counts['kept']} recordings, {counts['samples']} samples in "
        f"{counts['shards']} shards, {facts['evidence']['num_files']} evidence files, "
        f"{result.num_replayed} decisions replayed, {result.num_not_replayed} not, "
        f"{beyond}0 findings\n"
    )
    return 0


def _digest(text: str) -> str:
    if text and not re.fullmatch(r"(sha256:)?[0-9a-fA-F]{12,64}", text):
        raise UsageError(f"--expect {text}: want a root digest, or 12 or more of its first digits")
    return text


def _signed(dataset: Dataset, key: str) -> list[str]:
    if not key:
        return []
    from sao_data.dataset.proofs import signature

    problem = signature.finding(dataset, key)
    return [problem] if problem else []


def _decoded(dataset: Dataset) -> list[str]:
    from contextlib import closing

    from sao_data.commands import progress
    from sao_data.dataset.checks import decoded

    with closing(progress.make()) as shown:
        shown.start("decoding every sound", int(dataset.facts["counts"]["samples"]), "samples")
        found = list(decoded.findings(dataset, shown.advance))
        shown.finish()
    return found


def _latents(url: str) -> int:
    """A folder of latents alone."""
    from sao_data.commands.common import note, printable
    from sao_data.latents import verify
    from sao_data.storage.backend import open_storage

    found = verify.check(open_storage(url), lambda what: note(f"checking {what} …"))
    for finding in found.findings:
        sys.stdout.write(f"{printable(finding)}\n")
    for sentence in found.notes:
        note(sentence)
    if found.findings or not found.latents:
        fix = "delete what is damaged and run the same encode again"
        sys.stdout.write(f"{len(found.findings)} findings in the latents {url}: {fix}\n")
        return 1
    said = found.latents.said
    sys.stdout.write(
        f"OK latents of {said.dataset.name} {said.dataset.version}: {said.num_samples} samples in "
        f"{len(said.shards)} shards, 0 findings\n"
    )
    return 0
