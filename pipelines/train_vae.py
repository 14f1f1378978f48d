#!/usr/bin/env python3
"""Train the codec on a dataset's shards, under `accelerate launch`.

The same command continues from the run's last checkpoint, on any number of processes.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a fresh clone runs this without installing the package
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # CPU threads that spin starve each other and the decoders

EPILOG = """examples:
  accelerate launch pipelines/train_vae.py --config manifests/training/vae_tiny.toml --data out/demo --out RUN
  accelerate launch --num_machines 4 --num_processes 32 --machine_rank R --main_process_ip HOST \\
    pipelines/train_vae.py --config manifests/training/vae.toml --data /data/sao --out /runs/vae"""


def main() -> int:
    """Parse, load, wire."""
    args = parse_arguments()
    from sao_data.commands import common, progress
    from sao_data.config import apply_set, parse, read_toml
    from sao_data.dataset.reader import open_dataset
    from sao_model import train_vae

    table = read_toml(Path(args.config))
    apply_set(table, args.set)
    config = parse(train_vae.Config, table, where=args.config)
    out = common.output_folder(args.out, "vae", ROOT)
    with closing(progress.make()) as shown:
        last = train_vae.train(config, open_dataset(args.data), out, resume=args.resume, progress=shown)
    common.note(f"checkpoint {last}")
    return 0


def parse_arguments() -> argparse.Namespace:
    from sao_data.commands.arguments import Parser

    parser = Parser(description=__doc__, epilog=EPILOG, config=defaults)
    add = parser.add_argument
    preset = "training preset (TOML), e.g. manifests/training/vae.toml"
    add("--config", metavar="FILE", required=True, help=preset)
    add("--data", metavar="DIR", required=True, help="dataset directory or URL")
    add("--out", metavar="RUN", required=True, help="run folder: log, checkpoints")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field of the config")
    where = "from the last checkpoint (auto, the default), not at all, or from this one"
    add("--resume", metavar="auto|never|PATH", default="auto", help=where)
    return parser.parse_args()


def defaults() -> object:
    """What --help shows."""
    from sao_model import train_vae

    return train_vae.Config()


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
