"""What the training scripts share: their options, and one training from its preset to its last checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sao_data.commands.arguments import Parser
from sao_data.errors import UsageError

if TYPE_CHECKING:
    from sao_data.loading.source import TrainingSource

C = TypeVar("C")


def parser(
    doc: str | None, epilog: str, defaults: Callable[[], object], *, preset: str, latents: bool = False
) -> Parser:
    """Options of a training; `defaults` makes the config that --help shows, `preset` names its file;
    `latents`: it can learn from those in place of a dataset."""
    made = Parser(description=doc, epilog=epilog, config=defaults)
    add = made.add_argument
    example = f"training preset (TOML), e.g. manifests/training/{preset}.toml"
    add("--config", metavar="FILE", required=True, help=example)
    instead = "; may be left out with --latents" if latents else ""
    add("--data", metavar="DIR", required=not latents, help=f"dataset directory or URL{instead}")
    if latents:
        add("--latents", metavar="DIR", help="latents (pipelines/encode.py) to learn from, not audio")
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

    table = config.read_toml(Path(args.config))
    config.apply_set(table, args.set)
    chosen = config.parse(config_type, table, where=args.config)
    out = common.output_folder(args.out, name, root)
    with closing(progress.make()) as shown:
        learned_from = source(args.data, getattr(args, "latents", None))
        last = train(chosen, learned_from, out=out, resume=args.resume, progress=shown)
    common.note(f"checkpoint {last}")
    return 0


def source(data: str | None, latents: str | None) -> TrainingSource:
    """What a training learns from: latents where they are given, of that version of the dataset if that is
    given too; else a dataset."""
    from sao_data.dataset.reader import open_dataset
    from sao_data.latents.reader import open_latents

    if not data and not latents:
        raise UsageError("what to learn from? give --data DIR, or --latents DIR")
    dataset = open_dataset(data) if data else None
    if latents:
        return open_latents(latents, dataset)
    assert dataset is not None
    return dataset
