"""Evaluations compared, codecs compared, and checks of a model: where sounds end, how fast they are made.

  sao evaluate compare A B      A and B are what pipelines/evaluate.py --out wrote: every score of both, and
                                their difference with an interval, pair by pair; refused where protocol,
                                reference or embedders differ
  sao evaluate codecs FOLDER    what VAEs and other codecs leave of sounds, whole and per folder, to be heard
  sao evaluate timing CKPT      does a sound end where it was asked to, and is it quiet behind?
  sao evaluate speed CKPT       steps a second and memory, over steps and sounds at once

An evaluation itself: pipelines/evaluate.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "compare evaluations or codecs; check a model's timing and speed"


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
    for name, said in (("timing", "where sounds end"), ("speed", "steps a second, memory")):
        check = kinds.add_parser(name, help=said)
        check.add_argument("model", metavar="CKPT", help="checkpoint, run (its latest), or published folder")
        check.add_argument("--out", metavar="OUT", required=True, help="folder of table and page")
        check.add_argument("--steps", type=int, default=100, help="of a sound (timing; default: 100)")
        check.add_argument("--device", default="", help="the GPU if there is one")


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    return {"compare": _compare, "codecs": _codecs, "timing": _check, "speed": _check}[args.what](args)


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
    from sao_model import devices, opened
    from sao_model.evaluation.checks import finding, speed, timing
    from sao_model.request import Sampling

    model = opened.find(args.model).load().to(devices.device(args.device)).eval()
    made_with = {"model": args.model, "device": str(model.device)}
    found = (
        timing.run(model, timing.Config(), Sampling(steps=args.steps), made_with)
        if args.what == "timing"
        else speed.run(model, speed.Config(), Sampling(), made_with)
    )
    sys.stdout.write(f"{found.paragraph}\n{finding.write(Path(args.out), found).absolute()}\n")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from sao_model.evaluation import compare

    found = compare.compare(Path(args.first), Path(args.second))
    sys.stdout.write((compare.as_json(found) if args.json else "\n".join(compare.lines(found))) + "\n")
    if args.page:
        compare.write(found, Path(args.page))
    return 0
