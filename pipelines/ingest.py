#!/usr/bin/env python3
"""Build an openly licensed audio dataset from a manifest: list, decide, fetch, normalise, curate, caption,
pack, report.

Run it here, or on a cluster: `ray job submit pipelines/ingest.py`. The same command continues after any stop.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a Ray job or a fresh clone runs this without installing the package

from sao_data import executor, ingest, launch, manifest, progress, summary  # noqa: E402
from sao_data.errors import TooManyRejects  # noqa: E402

EPILOG = """examples:
  pipelines/ingest.py                                              the demo, into out/demo
  pipelines/ingest.py --manifest manifests/freesound_excerpts.toml
  pipelines/ingest.py --set cut.max_seconds=60 --set work.keep=true --dry-run
  ray job submit --working-dir . -- python pipelines/ingest.py --manifest manifests/demo.toml --out /data/demo
exit codes: 0 complete · 2 usage · 3 rejects over the limit · 4 stopped, run again · 6 locked · 7 nothing
offered"""


def main() -> int:
    """Parse, load, wire."""
    args = parse_arguments()
    from rich.console import Console

    console = Console(stderr=True)
    launch.set_up_logging(quiet=console.is_terminal)
    settings = [*args.set, *([f"limit={args.limit}"] if args.limit is not None else [])]
    chosen = manifest.load(Path(args.manifest), settings)
    url = launch.output(args.out, chosen.name, ROOT)
    shown = progress.make(console)
    runner = executor.make(args.executor)
    if args.accept_terms:
        launch.note(f"--accept-terms: no source of {chosen.name} asks for terms to be accepted")
    try:
        if args.dry_run:
            result = ingest.dry_run(chosen, url, shown)
        else:
            result = ingest.run(chosen, url, runner, shown)
    finally:
        shown.close()
        runner.close()
    summary.show(result, dry_run=args.dry_run)
    limit = chosen.limits.max_reject_share
    if result.reject_share > limit:
        raise TooManyRejects(
            f"{result.reject_share:.1%} of the recordings rejected, limits.max_reject_share is {limit:.1%}"
        )
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT / "manifests" / "demo.toml"
    parser.add_argument(
        "--manifest", metavar="FILE", default=str(default), help="what to build (default: the demo)"
    )
    parser.add_argument(
        "--out", metavar="DIR", default="", help="where; path or URL (default: out/NAME in the repository)"
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="override a manifest field"
    )
    parser.add_argument(
        "--executor", choices=executor.NAMES, default="ray", help="Ray cluster or this process"
    )
    parser.add_argument("--limit", metavar="N", type=int, help="only the first N recordings of each source")
    parser.add_argument("--dry-run", action="store_true", help="show what a run would do; write nothing")
    parser.add_argument(
        "--accept-terms", action="store_true", help="accept the terms of use that a source asks for"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(launch.guard(main))
