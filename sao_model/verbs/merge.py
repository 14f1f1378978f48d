"""Put adapters into a model's weights for good: a whole checkpoint, which needs none of them any more.

CKPT is a checkpoint, a training's run (its latest checkpoint), or a published folder. What the adapters and
the model have heard goes along, in one training_data.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "put adapters into a model's weights: a whole checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("ckpt", metavar="CKPT", help="the model that they were made for")
    add(
        "--lora",
        metavar="A:STRENGTH",
        action="append",
        required=True,
        help="an adapter; several add up",
    )
    add("--out", metavar="DIR", required=True, help="the checkpoint; must not be there yet")


def run(args: argparse.Namespace) -> int:
    """Check, add, write; say what was written, and under which terms it comes."""
    from sao_data.errors import UsageError
    from sao_model import checkpoint, opened
    from sao_model.adapters import attached
    from sao_model.verbs import model as shown_model

    out = Path(args.out)
    if out.exists():
        raise UsageError(f"{out}: exists and is not overwritten; give another --out, or delete it")
    found = opened.find(args.ckpt)
    adapters = attached.find(args.lora, found)
    model = attached.load(found, adapters)
    checkpoint.save(model, out, files=attached.files(found, adapters))
    for line in shown_model.lines(checkpoint.describe(out).parts):
        sys.stdout.write(line + "\n")
    for terms in sorted(set(model.terms.values())):
        sys.stdout.write(f"these weights come under {terms}\n")
    sys.stdout.write(f"written to {out.absolute()}\n")
    return 0
