"""Run the main job on something small that needs nothing.

48 made-up recordings become shards, a report and a verified dataset. A second run finds everything finished.
"""

from __future__ import annotations

import argparse

HELP = "build the demo dataset, report and all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", default="", help="where (default: out/demo in the repository)"
    )
    parser.add_argument(
        "--executor", choices=("ray", "local"), default="ray", help="Ray cluster or this process"
    )


def run(args: argparse.Namespace) -> int:
    from contextlib import closing

    from sao_data import executor, ingest, launch, manifest, progress, summary
    from sao_data.errors import IntegrityError
    from sao_data.provenance import open_dataset, verify

    chosen = manifest.load(launch.manifests_folder() / "demo.toml")
    url = launch.output(args.out, chosen.name)
    with closing(progress.make()) as shown, closing(executor.make(args.executor)) as runner:
        result = ingest.run(chosen, url, runner, shown)
    findings = verify(open_dataset(url))
    if findings:
        raise IntegrityError(f"{url}: {len(findings)} findings, the first: {findings[0]}")
    summary.show(result)
    return 0
