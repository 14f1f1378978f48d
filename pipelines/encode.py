#!/usr/bin/env python3
"""Encode a dataset once: latents that the transformer is trained on in place of audio.

Run it here, or on a cluster: `ray job submit pipelines/encode.py`. The same command continues after any stop,
and brings latents to a new version of the dataset: what is there is copied, what is new is encoded.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a Ray job or a fresh clone runs this without installing the package

EPILOG = """examples:
  pipelines/encode.py --data out/demo --vae out/demo/models/vae --out out/demo-latents --executor local
  accelerate launch pipelines/train_dit.py --config manifests/training/dit_tiny.toml \\
    --latents out/demo-latents --vae out/demo/models/vae --out RUN
  ray job submit --working-dir . -- python pipelines/encode.py --data /data/sao --vae /runs/vae \\
    --out /data/sao-latents
exit codes: 0 complete · 2 usage · 4 stopped, run again · 5 damaged data · 6 locked"""


def main() -> int:
    """Parse, load, wire."""
    args = parse_arguments()
    from sao_data import config
    from sao_data.commands import common, progress
    from sao_data.dataset.reader import open_dataset
    from sao_data.execution import executor
    from sao_model.encoding import run, settings

    table: config.Table = {}
    config.apply_set(table, args.set)
    chosen = config.parse(settings.Config, table, where="--set")
    dataset, out = open_dataset(args.data), common.output(args.out, "latents", ROOT)
    with closing(progress.make()) as shown, closing(executor.make(args.executor)) as runner:
        if args.dry_run:
            said = run.forecast(chosen, dataset, args.vae, out, runner).line()
        else:
            said = run.encode(chosen, dataset, args.vae, out, runner, shown).line()
    sys.stdout.write(f"{said}\nlatents {out}\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    from sao_data.commands.arguments import Parser

    parser = Parser(description=__doc__, epilog=EPILOG, config=defaults)
    add = parser.add_argument
    add("--data", metavar="DIR", required=True, help="dataset directory or URL")
    add("--vae", metavar="CKPT", required=True, help="checkpoint or run of train_vae, or a published folder")
    add("--out", metavar="DIR", required=True, help="where the latents go; path or URL")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field")
    add("--executor", choices=("ray", "local"), default="ray", help="Ray cluster (default) or this process")
    add("--dry-run", action="store_true", help="say how much there is to do, and how large it will be")
    return parser.parse_args()


def defaults() -> object:
    """What --help shows."""
    from sao_model.encoding import settings

    return settings.Config()


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
