#!/usr/bin/env python3
"""Write the attribution report: who made what, under which licence, what was left out and why.

Of a dataset, or of a part of it: a shard, the works that checkpoints have heard (whichever version of the
dataset that was), or those behind a generated sound.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a Ray job or a fresh clone runs this without installing the package


EPILOG = """examples:
  pipelines/report.py --data out/demo --out report
  pipelines/report.py --data out/demo --out report --shard train-000000.tar
  pipelines/report.py --data out/demo --out report --checkpoint runs/dit --checkpoint runs/other
  pipelines/report.py --data out/demo --out report --sound rain.wav --checkpoint runs
--checkpoint may be a checkpoint, or a run (its latest); with --sound a folder with many below it."""


def main() -> int:
    """Parse, load, wire."""
    args = parse_arguments()
    from sao_data.commands import common
    from sao_data.dataset import report
    from sao_data.dataset.reader import open_dataset
    from sao_data.loading.heard import asked
    from sao_data.storage.backend import open_storage

    out = common.output(args.out, "report", ROOT)
    dataset, where = open_dataset(args.data), open_storage(out)
    checkpoints = [Path(each) for each in args.checkpoint]
    found = None
    if args.shard:
        found = asked.of_shard(dataset, args.shard)
    elif args.sound:
        found = asked.of_sound(dataset, Path(args.sound), checkpoints)
    elif checkpoints:
        found = asked.of_checkpoints(dataset, checkpoints)
    info = report.write(dataset, where, found.heard, found.remarks) if found else report.write(dataset, where)
    sys.stdout.write(
        f"{info.kept} works by {info.num_authors} authors, {info.rejected} left out: {out}/index.html\n"
    )
    return 0


def parse_arguments() -> argparse.Namespace:
    from sao_data.commands.arguments import Parser

    parser = Parser(description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("--data", metavar="DIR", required=True, help="dataset directory or URL")
    add("--out", metavar="DIR", required=True, help="where the report goes")
    add(
        "--checkpoint", metavar="CKPT", action="append", default=[], help="only what it has heard; repeatable"
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--shard", metavar="NAME", default="", help="only the works in this shard")
    part.add_argument(
        "--sound", metavar="FILE", default="", help="only what the weights behind it have heard"
    )
    args = parser.parse_args()
    if args.shard and args.checkpoint:
        parser.error("--shard and --checkpoint: give one of them")
    return args


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
