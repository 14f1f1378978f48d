"""Evaluations compared, codecs compared, and checks of a model.

  sao evaluate compare A B      A and B are what pipelines/evaluate.py --out wrote: every score of both, and
                                their difference with an interval, pair by pair; refused where protocol,
                                reference or embedders differ
  sao evaluate codecs FOLDER    what VAEs and other codecs leave of sounds, whole and per folder, to be heard
  sao evaluate timing CKPT      does a sound end where it was asked to, and is it quiet behind?
  sao evaluate lengths CKPT     longer than the window: does it drift, are the seams heard?
  sao evaluate complexity CKPT  one to four things in a prompt: are all of them in the sound? (needs CLAP)
  sao evaluate languages CKPT   the same prompts in nine languages
  sao evaluate sweep CKPT       steps, guidance and samplers: what each costs and gives
  sao evaluate speed CKPT       steps a second and memory, over steps and sounds at once

A check leaves OUT/index.html (picture and paragraph), table.csv and finding.json. What it tries are fields,
set by --set: docs/evaluation.md lists them.

An evaluation itself: pipelines/evaluate.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "compare evaluations or codecs; check a model"
CHECKS = {
    "timing": "where sounds end",
    "lengths": "sounds longer than the window",
    "complexity": "prompts that name several things",
    "languages": "prompts in other languages",
    "sweep": "steps, guidance and samplers",
    "speed": "steps a second, memory",
}
_OWN_STEPS = ("sweep", "speed")  # tried are several


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    compare = kinds.add_parser("compare", help="both, and the second less the first")
    compare.add_argument("first", metavar="A", help="folder of an evaluation")
    compare.add_argument("second", metavar="B", help="folder of another, of the same protocol")
    compare.add_argument("--json", action="store_true", help="as one JSON object")
    compare.add_argument("--page", metavar="FILE", help="write it as a page, too, e.g. compare.html")
    codecs = kinds.add_parser("codecs", help="what codecs leave of sounds")
    codecs.add_argument("sounds", metavar="FOLDER", help="sounds; a folder in it is a class")
    codecs.add_argument("--vae", metavar="CKPT", action="append", default=[], help="a VAE; may be repeated")
    codecs.add_argument(
        "--command",
        metavar="NAME=PROGRAM",
        action="append",
        default=[],
        help='another codec, e.g. "name=program {in} {out}": WAV in, WAV out; may be repeated',
    )
    codecs.add_argument("--out", metavar="OUT", required=True, help="folder of table, page and sounds")
    codecs.add_argument("--seconds", type=float, default=10.0, help="of each sound (default: 10)")
    codecs.add_argument("--keep", type=int, default=3, help="sounds of a class to be heard (default: 3)")
    codecs.add_argument("--device", default="", help="the GPU if there is one")
    for name, said in CHECKS.items():
        check = kinds.add_parser(name, help=said)
        check.add_argument("model", metavar="CKPT", help="checkpoint, run (its latest), or published folder")
        check.add_argument("--out", metavar="OUT", required=True, help="folder of table and page")
        if name not in _OWN_STEPS:
            check.add_argument("--steps", type=int, default=100, help="of each sound (default: 100)")
        check.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field")
        check.add_argument("--device", default="", help="the GPU if there is one")


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    return {"compare": _compare, "codecs": _codecs}.get(args.what, _check)(args)


def _codecs(args: argparse.Namespace) -> int:
    from contextlib import closing

    from sao_data.commands import progress
    from sao_data.errors import UsageError
    from sao_model import devices
    from sao_model.evaluation.codecs import reconstructors, table

    device = devices.device(args.device)
    found: list[reconstructors.Reconstructor] = [reconstructors.of_model(each, device) for each in args.vae]
    found += [reconstructors.of_command(each) for each in args.command]
    if not found:
        raise UsageError("evaluate codecs: which? Give --vae CKPT, --command NAME=PROGRAM, or several")
    reconstructors.check_names(found)
    out = Path(args.out)
    with closing(progress.make()) as shown:
        made = table.measure(Path(args.sounds), found, out, shown, seconds=args.seconds, keep=args.keep)
    sys.stdout.write("\n".join([*table.lines(made), str((out / table.PAGE).absolute())]) + "\n")
    return 0


def _check(args: argparse.Namespace) -> int:
    from contextlib import closing
    from importlib import import_module

    from sao_data.commands import progress
    from sao_data.config import apply_set, parse
    from sao_model import devices, opened
    from sao_model.evaluation.checks import finding
    from sao_model.request import Sampling

    check = import_module(f"sao_model.evaluation.checks.{args.what}")
    table: dict[str, object] = {}
    apply_set(table, args.set)
    config = parse(check.Config, table, where=f"evaluate {args.what}")
    how = Sampling(steps=args.steps) if hasattr(args, "steps") else Sampling()
    model = opened.find(args.model).load().to(devices.device(args.device)).eval()
    made_with = {"model": args.model, "device": str(model.device)}
    with closing(progress.make()) as shown:
        found = check.run(model, config, how, made_with, shown)
    sys.stdout.write(f"{found.paragraph}\n{finding.write(Path(args.out), found).absolute()}\n")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from sao_model.evaluation import compare

    found = compare.compare(Path(args.first), Path(args.second))
    sys.stdout.write((compare.as_json(found) if args.json else "\n".join(compare.lines(found))) + "\n")
    if args.page:
        compare.write(found, Path(args.page))
    return 0
