"""Whose work is this near to? The nearest works of a dataset to a sound, with credit, and whether that is
nearer than the dataset's own works are to one another.

  sao neighbours SOUND --data DIR                    a table
  sao neighbours FOLDER --data DIR --out FOLDER      and a page with both sounds side by side

SOUND is an audio file or a folder of them. Windows of ten seconds are compared with windows, by every
embedder whose weights are on this machine, and by fingerprint. What was heard of the dataset is kept
(--set cache=FOLDER; else OUT/embeddings, or ~/.cache/sao-neighbours), so the second question is quick.
Settings are those of an evaluation: docs/evaluation.md. Exit code 7: there was nothing to compare.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_model.evaluation.sounds import SoundItem

HELP = "whose work a sound is near to, with credit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sounds", metavar="SOUND", nargs="+", help="audio file, or folder of them")
    parser.add_argument("--data", metavar="DIR", required=True, help="dataset directory or URL")
    parser.add_argument("--top", type=int, default=5, help="works of each sound and embedder (default: 5)")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--out", metavar="FOLDER", help="write page, CSV and JSON there")
    parser.add_argument("--config", metavar="FILE", help="TOML with fields of an evaluation")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field")


def run(args: argparse.Namespace) -> int:
    """Ask, and write what was found to standard output."""
    from contextlib import closing

    from sao_data.commands import common, progress
    from sao_data.dataset.reader import open_dataset
    from sao_data.errors import UsageError
    from sao_model.evaluation import settings
    from sao_model.evaluation.embedding import at_hand
    from sao_model.evaluation.memorisation import asking, writing

    if not 1 <= args.top <= 1_000:
        raise UsageError(f"--top {args.top}: give 1 to 1000")
    config = settings.read(args.config or "", args.set)
    items = _items(args.sounds)
    dataset = open_dataset(args.data)
    embedders, missing = at_hand(config)
    for each in missing:
        common.note(f"not there: {each.name}: {each.why}")
    cache = Path(config.cache) if config.cache else _cache(args.out)
    with closing(progress.make()) as shown:
        found = asking.ask(items, dataset, embedders, config.memorisation, cache, shown, top=args.top)
    page = (
        str(writing.write(Path(args.out), found, dataset, config.memorisation).absolute()) if args.out else ""
    )
    told = [writing.as_json(found)] if args.json else [*writing.lines(found), *([page] if page else [])]
    sys.stdout.write(common.printable("\n".join(told)) + "\n")
    return 0


def _cache(out: str | None) -> Path:
    if out:
        return Path(out) / "embeddings"
    return Path.home() / ".cache" / "sao-neighbours"


def _items(given: list[str]) -> list[SoundItem]:
    """All sounds, files as they are, folders by name."""
    from sao_data.errors import UsageError
    from sao_model.evaluation import sounds

    found = []
    for each in given:
        path = Path(each)
        if path.is_file():
            found.append(sounds.of_file(path))
        elif path.is_dir():
            found += sounds.of_folder(path)
        else:
            raise UsageError(f"{path}: no such file or folder; give audio")
    return found
