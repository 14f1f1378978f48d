#!/usr/bin/env python3
"""Build an openly licensed audio dataset from a manifest: shards, tables, evidence and attribution report.

Run it here, or on a cluster: `ray job submit pipelines/ingest.py`. The same command continues after any stop.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a Ray job or a fresh clone runs this without installing the package

EPILOG = """examples:
  pipelines/ingest.py                                              the demo, into out/demo
  pipelines/ingest.py --manifest manifests/own_recordings.toml     the folder that the demo leaves
  pipelines/ingest.py --set cut.max_seconds=60 --set work.keep=true --dry-run
  ray job submit --working-dir . -- python pipelines/ingest.py --manifest manifests/demo.toml --out /data/demo
sources, filters and all their fields: manifests/README.md
exit codes: 0 complete · 2 usage · 3 rejects over the limit · 4 stopped, run again · 6 locked · 7 no offers"""


def main() -> int:
    """Parse, load, wire."""
    from sao_data import manifest
    from sao_data.commands import common, progress
    from sao_data.dataset import summary
    from sao_data.execution import executor
    from sao_data.ingest import run

    args = parse_arguments()
    chosen = manifest.load(Path(args.manifest), settings(args))
    url = common.output(args.out, chosen.name, ROOT)
    with closing(progress.make()) as shown, closing(executor.make(args.executor)) as runner:
        if args.dry_run:
            result = run.dry_run(chosen, url, shown)
        else:
            result = run.ingest(chosen, url, runner, shown, accept_terms=args.accept_terms)
    summary.show(result, dry_run=args.dry_run)
    run.check_limits(result, chosen.limits)
    run.check_complete(result)
    return 0


def settings(args: argparse.Namespace) -> list[str]:
    """All --set assignments; --limit is the field of that name."""
    return [*args.set, *([f"limit={args.limit}"] if args.limit is not None else [])]


def parse_arguments() -> argparse.Namespace:
    from sao_data.commands.arguments import Parser

    parser = Parser(description=__doc__, epilog=EPILOG, config=defaults)
    add = parser.add_argument
    demo = str(ROOT / "manifests" / "demo.toml")
    add("--manifest", metavar="FILE", default=demo, help="what to build (default: manifests/demo.toml)")
    add("--out", metavar="DIR", default="", help="where; path or URL (default: out/NAME in the repository)")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a manifest field")
    add("--executor", choices=("ray", "local"), default="ray", help="Ray cluster (default) or this process")
    add("--limit", metavar="N", type=int, help="only the first N recordings of each source")
    add("--dry-run", action="store_true", help="show what a run would do; write nothing")
    add("--accept-terms", action="store_true", help="accept the terms of use that a source asks for")
    return parser.parse_args()


def defaults() -> object:
    """What --help shows."""
    from sao_data.manifest import Manifest

    return Manifest(name="…")


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
