#!/usr/bin/env python3
"""Generate sounds from prompts with a trained model; FILE.json beside FILE.wav says how it was made."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a fresh clone runs this without installing the package

EPILOG = """examples:
  pipelines/generate.py --model out/demo/models/dit --prompt "rain" --seconds 3 --out rain.wav
  pipelines/generate.py --model CKPT --prompt "a dog barks" --set negative_prompt=music --out dog.flac
several, into a folder with a page to hear them on:
  pipelines/generate.py --model CKPT --set prompts=prompts.txt --out sounds
  pipelines/generate.py --model CKPT --prompt "a dog barks" --set variations=8 --out dogs
from a sound: another version of it, two regions made anew, or more behind its end:
  pipelines/generate.py --model CKPT --prompt "a choir" --set edit.audio=me.wav --out choir.wav
  … --set edit.audio=me.wav --set 'edit.regions=[[1.0, 2.5], [7.0, 8.0]]'
  … --set edit.audio=me.wav --set edit.extend=true --seconds 30
A knob without an option of its own is a field: --set sampler=dpmpp-2m."""
ALIASES = {"prompt": str, "seconds": float, "steps": int, "cfg_scale": float, "seed": int, "device": str}


def main() -> int:
    """Parse, load, wire."""
    args = parse_arguments()
    from sao_data.commands import common, progress
    from sao_model import generation

    given = {**{key: getattr(args, key) for key in ALIASES}, "loras": args.lora}
    config = generation.read(args.config or "", args.set, given)
    out = Path(args.out)
    generation.check(args.model, config, out, overwrite=args.overwrite)
    common.note(f"seed {config.seed}")
    from sao_model import making

    with closing(progress.make()) as shown:
        jobs = making.generate(args.model, config, out, shown, overwrite=args.overwrite)
    for job in jobs:
        for remark in job.remarks:
            common.note(f"{job.path}: {remark}")
    sys.stdout.write(f"{out.absolute() / making.SHEET if config.is_folder else out.absolute()}\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    from sao_data.commands.arguments import Parser

    parser = Parser(description=__doc__, epilog=EPILOG, config=defaults)
    add = parser.add_argument
    add("--model", metavar="CKPT", required=True, help="checkpoint, run (its latest), or published folder")
    add("--out", metavar="FILE.wav", required=True, help="where it goes: .wav, .flac or .ogg; or a folder")
    add("--config", metavar="FILE", help="TOML with fields of the generation")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field")
    add("--overwrite", action="store_true", help="write over sounds that are there")
    add("--lora", metavar="A:STRENGTH", action="append", help="adapter; several add up (the field loras)")
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
