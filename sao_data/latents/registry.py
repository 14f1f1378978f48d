"""Where the folders of latents of a dataset lie, so that a take-down reaches them.

One small file a folder in DATA/encodings, named by a hash of its place: places are relative where both are on
a disk, so that both may move together. It is in no digest of the dataset.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass

from sao_data.storage import documents, layout
from sao_data.storage.backend import Storage, open_storage, write_if_changed

_FIX = "delete it, and note the folder again by running its encode"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noted:
    """A file in encodings/."""

    folder: str


def relative(url: str, start: str) -> str:
    """A place as seen from another: relative where both are on a disk."""
    return url if "://" in url or "://" in start else os.path.relpath(url, start)


def absolute(place: str, start: str) -> str:
    """The place that `relative` gave."""
    is_whole = "://" in place or "://" in start or os.path.isabs(place)
    return place if is_whole else os.path.normpath(os.path.join(start, place))


def note(data: Storage, url: str) -> None:
    """Remember a folder of latents."""
    place = relative(url, data.url)
    name = f"{layout.ENCODINGS}/{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
    write_if_changed(data, name, (json.dumps({"folder": place}, ensure_ascii=False) + "\n").encode())


def known(data: Storage) -> list[Storage]:
    """The folders noted, whether they are still there or not."""
    found = []
    for name in data.names(layout.ENCODINGS):
        noted = documents.read(_Noted, data.read(name), where=f"{data.url}/{name}", fix=_FIX)
        found.append(open_storage(absolute(noted.folder, data.url)))
    return found
