#!/usr/bin/env python3
"""Train the codec on a dataset's shards, under `accelerate launch`.

The same command continues from the run's last checkpoint, on any number of processes.
"""

from __future__ import annotations

import os
import sys
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
    from sao_data.commands import training

    args = training.parser(__doc__, EPILOG, defaults, preset="vae").parse_args()
    from sao_model import train_vae

    return training.train(args, train_vae.Config, train_vae.train, name="vae", root=ROOT)


def defaults() -> object:
    """What --help shows."""
    from sao_model import train_vae

    return train_vae.Config()


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
