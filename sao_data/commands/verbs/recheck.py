"""Ask a dataset's sources again: is every work still offered, under the same licence, wish and name?

Nothing of the dataset is changed. The findings, with what the manifest's policy.on_later_restriction makes of
each recording (column `then`: keep, drop or ask), are written to DIR/recheck.csv. dataset.json does not say
where the sources lie: give the manifest, or --set source.0.path=….

Exit code 0: all is as it was. 1: findings. 7: nothing could be compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sao_data.errors import UsageError
from sao_data.storage import layout

if TYPE_CHECKING:
    from sao_data.revision.recheck import RecheckReport

HELP = "compare a dataset with what its sources say now"

_NUM_SHOWN = 50  # changes in the text; recheck.csv has all of them
_GRAVEST = ("drop", "ask", "keep", "not kept")  # shown first
_WORDS = {
    "withdrawn": "withdrawn",
    "relicensed": "relicensed",
    "opted_out": "opted out since",
    "renamed": "renamed",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dir", metavar="DIR", help="dataset directory or URL")
    add("--manifest", metavar="FILE", help="its manifest, which says where the sources lie")
    add("--sample", metavar="N", type=int, help="only N kept recordings, the same ones each time")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a manifest field")


def run(args: argparse.Namespace) -> int:
    from sao_data.commands import progress
    from sao_data.commands.common import printable
    from sao_data.dataset.reader import open_dataset
    from sao_data.ingest import remote_sources
    from sao_data.revision import recheck

    if args.sample is not None and args.sample < 1:
        raise UsageError(f"--sample {args.sample}: want 1 or more; leave it out to compare all")
    dataset = open_dataset(args.dir)
    if args.manifest:
        asked = recheck.from_manifest(Path(args.manifest), args.set, dataset)
    else:
        asked = recheck.from_dataset(dataset, args.set)
    plugins = [described["plugin"] for described in dataset.facts["manifest"]["source"]]
    named = list(zip(plugins, asked.sources, strict=True))
    ready = remote_sources.to_ask(named, asked.release, dataset.storage.url)
    asked = dataclasses.replace(asked, sources=ready)
    with closing(progress.make()) as shown:
        shown.start("list", None)
        report = recheck.recheck(dataset, asked, sample=args.sample or 0, tick=shown.advance)
        shown.finish()
    facts = dataset.facts
    sys.stdout.write(f"{facts['name']} {facts['version']}, compared with what its sources say now\n")
    for line in _lines(report):
        sys.stdout.write(f"{printable(line)}\n")
    dataset.storage.write(layout.RECHECK, recheck.to_csv(report))
    sys.stdout.write(f"written to {dataset.storage.url}/{layout.RECHECK}\n")
    return 1 if report.findings else 0


def _lines(report: RecheckReport) -> Iterator[str]:
    """Counts of recordings, then the changes by kind, with what becomes of the recording."""
    yield f"{'compared':17s} {report.compared:>9,}"
    yield f"{'still the same':17s} {report.same:>9,}"
    for kind, words in _WORDS.items():
        yield f"{words:17s} {report.num_by_kind[kind]:>9,}"
    if report.unreadable:
        yield f"{'not readable now':17s} {len(report.unreadable):>9,}  {_some(report.unreadable)}"
    kinds = list(_WORDS)
    findings = sorted(report.findings, key=lambda f: (_GRAVEST.index(f.then), kinds.index(f.change.kind)))
    if findings:
        yield ""
    for finding in findings[:_NUM_SHOWN]:
        change = finding.change
        what = f"{change.before or 'not stated'} → {change.after or 'not stated'}"
        yield f"{_WORDS[change.kind]:17s} {change.id}  {what}: {finding.then}"
    if len(findings) > _NUM_SHOWN:
        yield f"… and {len(findings) - _NUM_SHOWN:,} more"


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:5]) + (" …" if len(ids) > 5 else "")
