"""What take-downs and credits say of the folders of latents that a dataset knows of, and do to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sao_data.commands.common import printable

if TYPE_CHECKING:
    from sao_data.storage.backend import Storage


def show(storage: Storage) -> None:
    """Name the folders."""
    from sao_data.latents import registry

    folders = [each.url for each in registry.known(storage)]
    if folders:
        _say(f"latents      {len(folders):,}: {', '.join(folders)}")


def follow(storage: Storage) -> None:
    """Bring the folders to what the dataset is now, and say what became of each."""
    from sao_data.latents import update
    from sao_data.revision.takedown import open_published

    for found in update.follow_all(storage, open_published(storage)):
        _say(f"latents      {found.line()}")


def _say(line: str) -> None:
    sys.stdout.write(f"{printable(line)}\n")
