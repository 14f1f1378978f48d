"""Two evaluations side by side: every score of both, and their difference with an interval, pair by pair.

  sao evaluate compare A B      A and B are what pipelines/evaluate.py --out wrote; refused where protocol,
                                reference or embedders differ

An evaluation itself: pipelines/evaluate.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "two evaluations side by side, with intervals pair by pair"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    compare = kinds.add_parser("compare", help="both, and the second less the first")
    compare.add_argument("first", metavar="A", help="folder of an evaluation")
    compare.add_argument("second", metavar="B", help="folder of another, of the same protocol")
    compare.add_argument("--json", action="store_true", help="as one JSON object")
    compare.add_argument("--page", metavar="FILE", help="write it as a page, too, e.g. compare.html")


def run(args: argparse.Namespace) -> int:
    """Write the comparison to standard output."""
    from sao_model.evaluation import compare

    found = compare.compare(Path(args.first), Path(args.second))
    sys.stdout.write((compare.as_json(found) if args.json else "\n".join(compare.lines(found))) + "\n")
    if args.page:
        compare.write(found, Path(args.page))
    return 0
