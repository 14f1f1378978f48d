"""Whose directory is this? OUT/owner.json names the dataset; no run writes into another one's directory."""

from __future__ import annotations

import json

from sao_data.dataset.facts import Owner
from sao_data.errors import UsageError
from sao_data.manifest import Manifest
from sao_data.storage import documents as stored
from sao_data.storage.backend import Storage, write_if_changed

FILE = "owner.json"
FORMAT = "sao-dataset"
FORMAT_VERSION = 1
_LEFTOVERS = {"lock"}


def check(storage: Storage, manifest: Manifest) -> None:
    """Raise UsageError if the directory is another dataset's, another format's, or holds somebody's files."""
    if not storage.exists(FILE):
        others = set(storage.entries()) - _LEFTOVERS
        if others:
            raise UsageError(
                f"{storage.url}: not empty and no sao dataset (found {min(others)}); choose another --out"
            )
        return
    owner = read(storage)
    if owner["name"] != manifest.name:
        raise UsageError(
            f"{storage.url}: belongs to dataset {owner['name']!r}, the manifest is {manifest.name!r}; "
            "choose another --out, or remove that directory"
        )


def read(storage: Storage) -> dict[str, object]:
    """The owner of a dataset directory; UsageError if it is none, or of a format unknown here."""
    if not storage.exists(FILE):
        raise UsageError(f"{storage.url}: no dataset here (no {FILE}); is the path right?")
    where, fix = f"{storage.url}/{FILE}", "is this a sao dataset? If so, restore the file from a copy"
    data = storage.read(FILE)
    owner = stored.plain(data, where=where, fix=fix, error=UsageError)
    if owner.get("format") != FORMAT or owner.get("format_version") != FORMAT_VERSION:
        raise UsageError(
            f"{storage.url}: format {owner.get('format')} {owner.get('format_version')}, this reads {FORMAT} "
            f"{FORMAT_VERSION}; use the version of sao that made it, or build into another --out"
        )
    return stored.document(Owner, data, where=where, fix=fix, error=UsageError)


def claim(storage: Storage, manifest: Manifest) -> None:
    """Write the owner's name, first of all files."""
    owner = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": manifest.name,
        "sources": [source.plugin for source in manifest.source],
    }
    write_if_changed(storage, FILE, (json.dumps(owner, indent=2, sort_keys=True) + "\n").encode())
