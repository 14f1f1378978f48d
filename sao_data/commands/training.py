"""What the training scripts share: their options, and one training from its preset to its last checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sao_data.commands.arguments import Parser

C = TypeVar("C")


def parser(doc: str | None, epilog: str, defaults: Callable[[], object], *, preset: str) -> Parser:
    """Options of a training; `defaults` makes the config that --help shows, `preset` names its file."""
    made = Parser(description=doc, epilog=epilog, config=defaults)
    add = made.add_argument
    example = f"training preset (TOML), e.g. manifests/training/{preset}.toml"
    add("--config", metavar="FILE", required=True, help=example)
    add("--data", metavar="DIR", required=True, help="dataset directory or URL")
    add("--out", metavar="RUN", required=True, help="run folder: log, checkpoints")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field of the config")
    where = "from the last checkpoint (auto, the default), not at all, or from this one"
    add("--resume", metavar="auto|never|PATH", default="auto", help=where)
    return made


def train(
    args: argparse.Namespace, config_type: type[C], train: Callable[..., Any], *, name: str, root: Path
) -> int:
    """Read the config, open the dataset, call `train(config, dataset, out=…, resume=…, progress=…)` and say
    where the last checkpoint lies."""
    from sao_data import config
    from sao_data.commands import common, progress
    from sao_data.dataset.reader import open_dataset

    table = config.read_toml(Path(args.config))
    config.apply_set(table, args.set)
    chosen = config.parse(config_type, table, where=args.config)
    out = common.output_folder(args.out, name, root)
    with closing(progress.make()) as shown:
        last = train(chosen, open_dataset(args.data), out=out, resume=args.resume, progress=shown)
    common.note(f"checkpoint {last}")
    return 0
