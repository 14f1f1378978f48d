"""A dataset that lies in an object store, copied once to this machine: the library maps files.

A copy is named by the address and by name, size and time of every object, so a changed folder is another copy
and one that was broken off is none. Earlier copies stay until somebody empties the cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from sao_data.errors import UsageError
from sao_data.storage import inputs

_FOLDER = "sao-copies"  # within the cache
_NUM_HEX = 20


def copied(url: str, cache: str) -> str:
    """The folder on this machine that holds what lies below the URL; OSError is transient."""
    url = url.rstrip("/")
    names = inputs.files_below(url)
    for name in names:
        _check(url, name)
    states = [f"{name}\0{inputs.state(f'{url}/{name}')}\n" for name in names]
    digest = hashlib.sha256("".join([f"{url}\n", *states]).encode()).hexdigest()[:_NUM_HEX]
    copies = Path(cache) / _FOLDER
    target = copies / digest
    if not target.is_dir():
        copies.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{digest}-", dir=copies) as made:
            whole = Path(made) / "whole"
            for name in names:
                _copy(f"{url}/{name}", whole / name)
            _publish(whole, target)
    return str(target)


def _check(url: str, name: str) -> None:
    """An object may be called what no file within a folder is."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or "\0" in name:
        raise UsageError(f"hub: {url}: an object named {name[:200]!r} cannot be a file here; rename it")


def _copy(location: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with inputs.open_file(location) as source, path.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _publish(whole: Path, target: Path) -> None:
    """Another process may have been faster: its copy is the same."""
    try:
        whole.rename(target)
    except OSError:
        if not target.is_dir():
            raise
