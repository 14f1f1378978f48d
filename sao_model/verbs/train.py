"""What a training will take, how it goes, and whether it goes as known-good ones did.

  sao train plan --config FILE  what it takes: memory, operations, hours, data, disk
  sao train page RUN            RUN/index.html anew: curves, sounds, checkpoints; a training writes it, too
  sao train compare RUN         its curves against known-good ones; exit 1 where it leaves them, 2 where runs
                                do not compare

The training itself: pipelines/train_vae.py and pipelines/train_dit.py, under `accelerate launch`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sao_model import train_dit, train_vae

HELP = "what a training will take, its page, and whether it goes as known-good ones did"

_ONLY = {  # fields of one kind of training that the other does not have
    "vae": {"freeze_encoder", "losses", "adversary"},
    "dit": {"times", "dropout", "preflight"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_plan(kinds.add_parser("plan", help="what a training will take"))
    page = kinds.add_parser("page", help="write RUN/index.html anew")
    page.add_argument("run", metavar="RUN", help="run folder of a training")
    compare = kinds.add_parser("compare", help="its curves against known-good ones")
    compare.add_argument("run", metavar="RUN", nargs="+", help="run folder; several to write bands from them")
    group = compare.add_mutually_exclusive_group()
    group.add_argument("--with", dest="reference", metavar="FILE", help="bands (default: those that ship)")
    group.add_argument("--write-bands", metavar="FILE", help="write bands around the runs instead")


def run(args: argparse.Namespace) -> int:
    return {"plan": _plan, "page": _page, "compare": _compare}[args.what](args)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", metavar="FILE", required=True, help="training preset, e.g. manifests/training/dit.toml")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field of the config")
    add("--kind", choices=tuple(_ONLY), help="of which training, where the file does not tell")
    add("--data", metavar="DIR", help="dataset directory or URL (default: the paper's sizes)")
    add("--latents", metavar="DIR", help="latents that a DiT learns from in place of the dataset's audio")
    add("--gpus", type=int, default=8, help="of all machines together (default: 8)")
    add("--gpu-memory", type=float, default=80.0, metavar="GIB", help="of each (default: 80)")
    peak = "peak of each (default: an A100's, 312 in bf16, 19.5 in float32)"
    add("--tflops", type=float, default=0.0, metavar="N", help=peak)
    add("--utilisation", type=float, default=0.35, metavar="SHARE", help="of that peak (default: 0.35)")
    add("--json", action="store_true", help="as one JSON object")


def _plan(args: argparse.Namespace) -> int:
    from sao_data.commands import training
    from sao_data.config import canonical
    from sao_model.monitoring import plan, plan_lines

    machines = plan.Machines(
        gpus=args.gpus, gpu_memory=args.gpu_memory, tflops=args.tflops, utilisation=args.utilisation
    )
    config = _config(args.config, args.set, args.kind)
    is_given = args.data or args.latents
    made = plan.make(config, machines, training.source(args.data, args.latents) if is_given else None)
    if args.json:
        table: Any = canonical(made)
        said = json.dumps({**table, "machines": canonical(machines)}, indent=1, ensure_ascii=False)
    else:
        said = "\n".join(plan_lines.lines(made, machines))
    sys.stdout.write(said + "\n")
    return 0


def _config(name: str, assignments: list[str], kind: str | None) -> train_vae.Config | train_dit.Config:
    """The config in a file, which is the one of two kinds that its fields, or its name, tell."""
    from sao_data import config
    from sao_data.errors import UsageError
    from sao_model import train_dit, train_vae

    table = config.read_toml(Path(name))
    config.apply_set(table, assignments)
    told = [each for each, fields in _ONLY.items() if fields & table.keys()]
    named = [each for each in _ONLY if each in Path(name).stem.lower()]
    kinds = [kind] if kind else told or named
    if len(kinds) != 1:
        raise UsageError(f"{name}: of train_vae or of train_dit? Say which: --kind vae, or --kind dit")
    if kinds[0] == "vae":
        return config.parse(train_vae.Config, table, where=name)
    return config.parse(train_dit.Config, table, where=name)


def _page(args: argparse.Namespace) -> int:
    from sao_model.monitoring import page

    sys.stdout.write(f"{page.write(Path(args.run)).absolute()}\n")
    return 0


def _compare(args: argparse.Namespace) -> int:
    """0: inside all bands; 1: not; bands are written only if they are asked for."""
    from sao_data.errors import UsageError
    from sao_model.monitoring import bands, compare

    measured = [bands.measure(Path(each)) for each in args.run]
    if args.write_bands:
        made = bands.make(measured)
        bands.write(made, Path(args.write_bands))
        sys.stdout.write(f"{args.write_bands}: {len(made.bands)} measures of {made.num_runs} runs\n")
        return 0
    if len(measured) > 1:
        raise UsageError(f"{len(measured)} runs to compare; give one, or --write-bands FILE")
    reference = bands.read(Path(args.reference)) if args.reference else bands.find(measured[0])
    found = compare.departures(measured[0], reference)
    for each in found:
        sys.stdout.write(f"{each}\n")
    num = compare.num_common(measured[0], reference)
    left = f"{len(found)} measures leave the bands" if found else "inside the bands"
    sys.stdout.write(f"{args.run[0]}: {left}: {num:,} points compared, bands of {reference.num_runs} runs\n")
    return 1 if found else 0
