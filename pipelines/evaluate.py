#!/usr/bin/env python3
"""Score a checkpoint, or any folder of sounds, by a protocol; OUT/index.html says what was measured how."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a fresh clone runs this without installing the package

EPILOG = """examples:
  pipelines/evaluate.py --protocol own_validation --model RUN --data DIR --out evaluation
  pipelines/evaluate.py --protocol own_validation --sounds FOLDER --reference FOLDER --out evaluation
the paper's, with captions and recordings that you have:
  pipelines/evaluate.py --protocol audiocaps --set captions=test.csv --model CKPT --reference FOLDER --out OUT
embedded on a Ray cluster: ray job submit --working-dir . -- python pipelines/evaluate.py --executor ray …
the same over several GPUs; the same command goes on after a stop:
  accelerate launch --multi_gpu --num_processes 4 pipelines/evaluate.py …
Embedders whose weights are on this machine are used, the others are named with the command that gets them.
Whose work the sounds are near to: --set memorisation.enabled=true, with --data.
Two evaluations side by side: sao evaluate compare A B. All of it: docs/evaluation.md."""


def main() -> int:
    """Parse, load, wire."""
    args = parse_arguments()
    from sao_data.commands import common, progress
    from sao_data.execution import executor
    from sao_model.evaluation import protocol, settings

    config = settings.read(args.config or "", args.set)
    chosen = protocol.read(args.protocol)
    out = common.output_folder(args.out, chosen.name)
    from sao_model.evaluation import page, run

    given = {name: getattr(args, name) or "" for name in ("model", "sounds", "reference", "data")}
    job = run.EvaluationJob(protocol=chosen, config=config, out=out, **given)
    with closing(progress.make()) as shown, closing(executor.make(args.executor)) as runner:
        facts = run.evaluate(job, shown, runner.map)
    if facts is None:
        return 0  # this process only helped to generate
    for each in (*facts.not_measured, *facts.not_comparable):
        common.note(f"not there: {each}")
    for line in (*page.table(facts.scores), facts.memorisation, str(out / "index.html")):
        sys.stdout.write(f"{line}\n" if line else "")
    return 0


def parse_arguments() -> argparse.Namespace:
    from sao_data.commands.arguments import Parser

    parser = Parser(description=__doc__, epilog=EPILOG, config=defaults)
    add = parser.add_argument
    add("--protocol", metavar="NAME", required=True, help="a shipped protocol, or a .toml file of your own")
    sounds = parser.add_mutually_exclusive_group(required=True)
    sounds.add_argument("--model", metavar="CKPT", help="checkpoint or run: generate first")
    sounds.add_argument("--sounds", metavar="FOLDER", help="sounds that are there already")
    add("--reference", metavar="FOLDER", help="recordings to compare with")
    add("--data", metavar="DIR", help="dataset directory or URL: of own_validation, memorisation")
    add("--out", metavar="OUT", required=True, help="folder of the evaluation")
    add("--executor", choices=("local", "ray"), default="local", help="where sounds are embedded")
    add("--config", metavar="FILE", help="TOML with fields of the evaluation")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field")
    return parser.parse_args()


def defaults() -> object:
    """What --help shows."""
    from sao_model.evaluation import settings

    return settings.Config()


if __name__ == "__main__":
    from sao_data.commands.common import guard

    sys.exit(guard(main))
