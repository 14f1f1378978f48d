#!/usr/bin/env python3
"""Generate a sound from a prompt with a trained model; FILE.json beside FILE.wav says how it was made."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a fresh clone runs this without installing the package

EPILOG = """examples:
  pipelines/generate.py --model out/demo/models/dit --prompt "rain" --seconds 3 --out rain.wav
  pipelines/generate.py --model CKPT --prompt "a dog barks" --set negative_prompt=music --out dog.wav
A knob without an option of its own is a field: --set sampler=dpmpp-2m."""
ALIASES = {"prompt": str, "seconds": float, "steps": int, "cfg_scale": float, "seed": int, "device": str}


def main() -> int:
    """Parse, load, wire."""
    args = parse_arguments()
    from sao_data.commands import common, progress
    from sao_data.config import apply_set, parse, read_toml
    from sao_model import generation

    table = read_toml(Path(args.config)) if args.config else {}
    apply_set(table, args.set)
    table |= {key: getattr(args, key) for key in ALIASES if getattr(args, key) is not None}
    config = parse(generation.Config, table, where=args.config or "command line")
    config = generation.with_seed(config)
    out = Path(args.out)
    generation.check(args.model, config, out, overwrite=args.overwrite)
    common.note(f"seed {config.seed}")
    with closing(progress.make()) as shown:
        shown.start("generate", config.steps, "steps")
        generation.generate(args.model, config, out, lambda *_: shown.advance(1), overwrite=args.overwrite)
        shown.finish()
    sys.stdout.write(f"{out.absolute()}\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    from sao_data.commands.arguments import Parser

    parser = Parser(description=__doc__, epilog=EPILOG, config=defaults)
    add = parser.add_argument
    add(
        "--model",
        metavar="CKPT",
        required=True,
        help="checkpoint, run (its latest), or published folder",
    )
    add("--out", metavar="FILE.wav", required=True, help="where the sound goes")
    add("--config", metavar="FILE", help="TOML with fields of the generation")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field")
    add("--overwrite", action="store_true", help="write over FILE.wav and FILE.json if they are there")
    for key, kind in ALIASES.items():
        add(f"--{key.replace('_', '-')}", metavar=key.upper(), type=kind, help=f"the field {key} (see below)")
    return parser.parse_args()


def defaults() -> object:
    """What --help shows."""
    from sao_model import generation

    return generation.Config()


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
