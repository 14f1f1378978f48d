"""Look at a dataset and listen to it: a page with players, waveforms, mel pictures, captions, licences,
measures and histograms, of kept sounds and of what was left out, with the reason. It opens by double click.

  sao browse out/demo --out look                    500 sounds at most, drawn by a hash of their ids
  sao browse out/demo --out look --reason clipped   only what was left out for this
  sao browse out/demo --exclude flags.csv           keep what was flagged on the page out of the next ingest

Originals are beside the processed sounds where they were kept (work.keep_originals). Flags are exported from
the page as CSV, and go into DIR/reviews.csv as a person's denials.

Exit code 7: nothing to show, or nothing in FILE is a work of the dataset.
"""

from __future__ import annotations

import argparse
import sys

from sao_data.errors import MatchedNothing, UsageError

HELP = "look at a dataset and listen to it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dir", metavar="DIR", help="dataset directory or URL")
    add("--out", metavar="OUT", default="", help="folder of the page")
    add("--max", metavar="N", type=int, default=500, help="sounds at most (default: 500)")
    add("--seed", metavar="N", type=int, default=0, help="another one, other sounds (default: 0)")
    add("--reason", metavar="REASON", default="", help="only what was left out for this, e.g. clipped")
    add("--exclude", metavar="FILE", default="", help="flags.csv from the page: into DIR/reviews.csv")


def run(args: argparse.Namespace) -> int:
    if bool(args.out) == bool(args.exclude):
        raise UsageError("sao browse: give --out OUT for the page, or --exclude FILE for flags made on it")
    return _exclude(args) if args.exclude else _page(args)


def _page(args: argparse.Namespace) -> int:
    from contextlib import closing

    from sao_data.commands import progress
    from sao_data.dataset.reader import open_dataset
    from sao_data.showing import browse_page, browsing
    from sao_data.storage.backend import open_storage

    if args.max < 1:
        raise UsageError(f"--max {args.max}: want 1 or more")
    dataset, out = open_dataset(args.dir), open_storage(args.out)
    there = set(out.entries()) - {"index.html", *(browsing.AUDIO, browsing.PICTURES, browsing.ORIGINALS)}
    if there:
        raise UsageError(f"--out {args.out}: holds other files ({min(there)}); give a folder of its own")
    chosen = browsing.choose(dataset, args.max, args.seed, args.reason)
    if not chosen.kept and not chosen.dropped:
        what = f"nothing was left out as {args.reason!r}" if args.reason else "nothing was offered"
        raise MatchedNothing(f"{args.dir}: {what}; `sao status {args.dir}` lists the reasons")
    found = []
    with closing(progress.make()) as shown:
        shown.start("pictures", len(chosen.kept) + len(chosen.dropped), "sounds")
        for sound in browsing.sounds(dataset, chosen, out):
            found.append(sound)
            shown.advance(1)
        shown.finish()
    out.write("index.html", browse_page.page(dataset, chosen, found))
    sys.stdout.write(f"{browse_page.statement(chosen)}\n{out.url}/index.html\n")
    return 0


def _exclude(args: argparse.Namespace) -> int:
    from pathlib import Path

    from sao_data.commands.common import note
    from sao_data.dataset.reader import open_dataset
    from sao_data.rights import reviews

    try:
        data = Path(args.exclude).read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"--exclude {args.exclude}: no such file; export one from the page") from error
    dataset = open_dataset(args.dir)
    asked = reviews.denials(data, where=args.exclude)
    known = {row.id for row in dataset.catalogue()}
    meant = {key: said for key, said in asked.items() if key in known}
    for key in sorted(asked.keys() - known):
        note(f"{key}: was never offered to this dataset; passed over")
    if not meant:
        raise MatchedNothing(f"{args.exclude}: names no work of {args.dir}")
    with dataset.storage.lock():
        num = reviews.deny(dataset.storage, meant)
    sys.stdout.write(
        f"{num} works denied in {dataset.storage.url}/reviews.csv, {len(meant) - num} were before; run the "
        "ingest again: it leaves them out\n"
    )
    return 0
