"""Take a model of other tools as a checkpoint: whole, checked, with its text encoder, ready for use offline.

CKPT is a folder of stable-audio-tools (model_config.json) or diffusers (model_index.json), or one
.safetensors file in the layout of the former: its config is the model_config.json beside it, else it has to
be Stable Audio Open 1.0. Numbers of 16 bits become float32, exactly. Only safetensors are read. A folder of
theirs need not be imported: generating, trainings and `sao model` take it as it is.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

HELP = "take a model of diffusers or stable-audio-tools as a checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("ckpt", metavar="CKPT", help="published folder, or one .safetensors file")
    add("--out", metavar="DIR", required=True, help="the checkpoint; must not be there yet")
    add(
        "--config",
        metavar="FILE",
        default="",
        help="of one file: its model_config.json, or a preset",
    )
    add("--text-encoder", metavar="DIR", default="", help="the T5, if it lies elsewhere and you are offline")
    add("--terms", metavar="TEXT", default="", help="licence of the weights, if not the released ones'")


def run(args: argparse.Namespace) -> int:
    """Load, check, write; say what was written, and under which terms it comes."""
    from sao_data.commands import progress
    from sao_data.errors import UsageError
    from sao_model import checkpoint, imported
    from sao_model.verbs import model as shown_model

    out = Path(args.out)
    if out.exists():
        raise UsageError(f"{out}: exists and is not overwritten; give another --out, or delete it")
    with closing(progress.make()) as shown:
        shown.start("reading and checking", None, "bytes")
        model = imported.load(
            Path(args.ckpt), config=args.config, text_encoder=args.text_encoder, terms=args.terms
        )
        shown.finish()
        total = sum(part.bytes for part in checkpoint.measure(model).values())
        shown.start("writing", total, "bytes")
        checkpoint.save(model, out, progress=shown.advance)
        shown.finish()
    for line in shown_model.lines(checkpoint.describe(out).parts):
        sys.stdout.write(line + "\n")
    for terms in sorted(set(model.terms.values())):
        sys.stdout.write(f"these weights come under {terms}\n")
    sys.stdout.write(f"written to {out.absolute()}\n")
    return 0
