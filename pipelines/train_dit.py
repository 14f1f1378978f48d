#!/usr/bin/env python3
"""Train the diffusion transformer on a dataset, or on latents of one, under `accelerate launch`.

The same command continues from the run's last checkpoint, on any number of processes.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a fresh clone runs this without installing the package
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # CPU threads that spin starve each other and the decoders

EPILOG = """examples:
  accelerate launch pipelines/train_dit.py --config manifests/training/dit_tiny.toml --data out/demo \
    --vae out/demo/models/vae --out RUN
  accelerate launch --num_machines 8 --num_processes 64 --machine_rank R --main_process_ip HOST \\
    pipelines/train_dit.py --config manifests/training/dit.toml --data /data/sao --vae /runs/vae \
    --out /runs/dit"""


def main() -> int:
    """Parse, load, wire."""
    from sao_data.commands import training

    parser = training.parser(__doc__, EPILOG, defaults, preset="dit", latents=True)
    parser.add_argument("--vae", metavar="CKPT", required=True, help="checkpoint or run of train_vae")
    args = parser.parse_args()
    from sao_model import train_dit

    train = functools.partial(train_dit.train, vae=args.vae)
    return training.train(args, train_dit.Config, train, name="dit", root=ROOT)


def defaults() -> object:
    """What --help shows."""
    from sao_model import train_dit

    return train_dit.Config()


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
