"""Write a model as a folder that other tools open: diffusers' StableAudioPipeline, or stable-audio-tools.

DIR is a checkpoint, a training's run (its latest checkpoint), a published folder, which is translated to the
other layout, or an adapter, which goes to diffusers. Only safetensors are written. The text encoder and its
tokenizer go with a model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "write a model as diffusers or stable-audio-tools has it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dir", metavar="DIR", help="checkpoint, run, published folder, or adapter")
    add("--to", required=True, choices=("diffusers", "stable-audio-tools"), help="whose layout")
    add("--out", metavar="DIR", required=True, help="where it goes; must not be there yet")


def run(args: argparse.Namespace) -> int:
    """Load, translate, write; say what was written, and under which terms it comes."""
    from sao_model import declared, exported, opened, run
    from sao_model.adapters import folders, foreign

    out, given = Path(args.out), Path(args.dir)
    if folders.is_one(given) or any(map(folders.is_one, run.checkpoints(given)[-1:])):
        terms = foreign.write(folders.find(given), out, args.to)
    else:
        found = opened.find(args.dir)
        model = found.load()
        exported.write(model, out, args.to, files=declared.files(found.folder))
        terms = model.terms
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        sys.stdout.write(f"{path.stat().st_size:>15,d}  {path.relative_to(out)}\n")
    for each in sorted(set(terms.values())):
        sys.stdout.write(f"these weights come under {each}\n")
    sys.stdout.write(f"written to {out.absolute()}\n")
    return 0
