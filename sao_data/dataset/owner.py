"""Whose directory is this? OUT/owner.json names the dataset; no run writes into another one's directory."""

from __future__ import annotations

import json

from sao_data.dataset.reader import FORMAT, FORMAT_VERSION, read_owner
from sao_data.errors import UsageError
from sao_data.manifest import Manifest
from sao_data.storage import layout
from sao_data.storage.backend import Storage, write_if_changed

_LEFTOVERS = {layout.LOCK}


def check(storage: Storage, manifest: Manifest) -> None:
    """Raise UsageError if the directory is another dataset's, another format's, or holds somebody's files."""
    if not storage.exists(layout.OWNER):
        others = set(storage.entries()) - _LEFTOVERS
        if others:
            raise UsageError(
                f"{storage.url}: not empty and no sao dataset (found {min(others)}); choose another --out"
            )
        return
    owner = read_owner(storage)
    if owner["name"] != manifest.name:
        raise UsageError(
            f"{storage.url}: belongs to dataset {owner['name']!r}, the manifest is {manifest.name!r}; "
            "choose another --out, or remove that directory"
        )


def claim(storage: Storage, manifest: Manifest) -> None:
    """Write the owner's name, first of all files."""
    owner = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": manifest.name,
        "sources": [source.plugin for source in manifest.source],
    }
    write_if_changed(storage, layout.OWNER, (json.dumps(owner, indent=2, sort_keys=True) + "\n").encode())
