"""What is left of a published list of works (CSV with ids or URLs): there, withdrawn, relicensed, opted out?

The sources of the manifest are asked, networked ones 150 works a request, within the limits of the API key;
what they answered is kept under --out, so that after a stop the same command goes on. Nothing is downloaded.
The findings, a line for each line of FILE, are written to DIR/FILE-checked.csv where --out names DIR, else to
FILE-checked.csv in this folder; --csv names another file. A file that is there is not overwritten unasked.

Exit code 0: all is as the list has it. 1: it is not. 7: the list has no work of the manifest's sources.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sao_data.errors import UsageError

if TYPE_CHECKING:
    from sao_data.manifest import Manifest
    from sao_data.plugins import Source
    from sao_data.revision.list_check import ListReport
    from sao_data.storage.backend import Storage

HELP = "what is left of a published list of works"

_WORDS = {
    "still_there": "still there",
    "relicensed": "relicensed",
    "opted_out": "opted out since",
    "withdrawn": "withdrawn",
    "unreadable": "not readable now",
    "not_asked": "not asked",
    "not_named": "not named",
}
_MEANINGS = {
    "withdrawn": "the sources do not offer them (any more)",
    "not_asked": "the manifest has no source for them",
    "not_named": "the line has no id that can be looked up",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="the list: a CSV with ids or URLs of works")
    add("--manifest", metavar="FILE", required=True, help="says whom to ask, and what may be used")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a manifest field")
    add("--out", metavar="DIR", default="", help="where answers and table go (default: out/NAME, table here)")
    add("--accept-terms", action="store_true", help="accept the terms of use that a source shows")
    add("--csv", metavar="FILE", default="", help="the table's own place (default: FILE-checked.csv in DIR)")
    add("--overwrite", action="store_true", help="write over a table that is there")


def run(args: argparse.Namespace) -> int:
    from sao_data import manifest
    from sao_data.commands import common, progress
    from sao_data.revision import list_check
    from sao_data.sources._common import work_list

    storage, name = _target(args)
    if storage.exists(name) and not args.overwrite:
        raise UsageError(
            f"{storage.url}/{name}: is there and is not overwritten; give another --csv, or --overwrite"
        )
    entries = work_list.read(args.file)
    chosen = manifest.load(Path(args.manifest), args.set)
    prefixes = {list_check.PREFIXES.get(source.plugin, source.plugin) for source in chosen.source}
    sources = _ready(chosen, common.output(args.out, chosen.name), accept_terms=args.accept_terms)
    with closing(progress.make()) as shown:
        shown.start("look up", None)
        report = list_check.check(entries, sources, prefixes, chosen.policy, chosen.release, shown.advance)
        shown.finish()
    for line in _lines(report):
        sys.stdout.write(f"{common.printable(line)}\n")
    storage.write(name, list_check.to_csv(report))
    sys.stdout.write(f"written to {storage.url}/{name}\n")
    return 0 if report.num_by_status["still_there"] == len(report.lines) else 1


def _target(args: argparse.Namespace) -> tuple[Storage, str]:
    """Folder and name of the table; UsageError if it is the list itself."""
    from sao_data.commands import common
    from sao_data.storage.backend import open_storage

    given = Path(args.csv or f"{Path(args.file).stem}-checked.csv")
    if given.resolve() == Path(args.file).resolve():
        raise UsageError(f"--csv {args.csv}: that is the list itself; give another name")
    folder = common.output(args.out, "") if args.out and not args.csv else str(given.absolute().parent)
    return open_storage(folder), given.name


def _ready(chosen: Manifest, url: str, *, accept_terms: bool) -> list[Source]:
    """The manifest's sources, able to answer."""
    from sao_data import plugins
    from sao_data.ingest import remote_sources

    named = [(d.plugin, plugins.load("sources", d.plugin).build(d.config)) for d in chosen.source]
    return list(remote_sources.to_ask(named, chosen.release, url, accept_terms=accept_terms))


def _lines(report: ListReport) -> Iterator[str]:
    """Counts by status, then what may be used."""
    yield f"{'works on the list':17s} {len(report.lines):>9,}"
    for status, words in _WORDS.items():
        num = report.num_by_status[status]
        if num or status in ("still_there", "relicensed", "opted_out", "withdrawn"):
            meaning = f"  {_MEANINGS[status]}" if num and status in _MEANINGS else ""
            yield f"{words:17s} {num:>9,}{meaning}"
    yield ""
    yield "of those that are there, under the policy of the manifest:"
    for verdict, words in (("allow", "usable"), ("review", "a person decides"), ("deny", "not usable")):
        yield f"{words:17s} {report.num_usable[verdict]:>9,}"
