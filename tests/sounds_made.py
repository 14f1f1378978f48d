"""Sounds by named people in the layout of a Freesound listing, datasets of them, and storages that fail."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sao_data import manifest
from sao_data.audio import sandbox
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.records import CatalogueRow
from sao_data.storage.backend import Storage, open_storage
from tests.datasets_made import BY, CC0, NC, Quiet, tone_wav

PEOPLE = ("ada", "bo", "cyn")  # their numbers: 70, 71, 72


def sound(number: int, **changes: Any) -> dict[str, Any]:
    """One sound object: a person, a licence and a title each."""
    person = number % len(PEOPLE)
    preview = f"https://cdn.freesound.org/previews/0/{number}_{70 + person}-hq.ogg"
    return {
        "id": number,
        "name": f"Sound {number}",
        "username": PEOPLE[person],
        "license": (BY, BY, CC0, NC)[number % 4],
        "type": "wav",
        "previews": {"preview-hq-ogg": preview},
        "tags": ["tone"],
        "retrieved_at": "2026-01-02T03:04:05Z",
    } | changes


def write_sounds(folder: Path, sounds: list[dict[str, Any]], audio: dict[int, bytes] | None = None) -> Path:
    """A listing, and a tone for every sound that has no other audio."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    (folder / "sounds.jsonl").write_text("".join(json.dumps(item) + "\n" for item in sounds))
    for item in sounds:
        data = (audio or {}).get(item["id"]) or tone_wav(200 + 10 * item["id"], seconds=0.4)
        (folder / "audio" / f"{item['id']}.wav").write_bytes(data)
    return folder


def load(
    folder: Path, extra: str = "", *, num_buckets: int = 4, source: str = "freesound"
) -> manifest.Manifest:
    """A manifest over such a folder."""
    path = folder.parent / "sounds.toml"
    text = f'name = "sounds"\nnum_buckets = {num_buckets}\nscreening = "off"\n{extra}\n'
    path.write_text(text + f'[[source]]\nplugin = "{source}"\npath = "{folder}"\n')
    return manifest.load(path)


def build(chosen: manifest.Manifest, out: Path | str) -> None:
    run.ingest(chosen, str(out), LocalExecutor(), Quiet())


def rows(out: Path | str) -> dict[str, CatalogueRow]:
    return {row.id: row for row in open_dataset(str(out)).catalogue()}


def copy(storage: Storage, url: str) -> Storage:
    """The same files under another URL (a memory:// one, say)."""
    target = open_storage(url)
    for name in names(storage):
        target.write(name, storage.read(name))
    return target


def names(storage: Storage) -> list[str]:
    """Every file but the lock."""
    folders = [
        "",
        "shards",
        "evidence",
        "fingerprints",
        "attribution",
        "attribution/a",
        "attribution/s",
        "work",
    ]
    folders += [f"work/{stage}" for stage in _STAGES]
    return [name for folder in folders for name in storage.names(folder) if name != "lock"]


_STAGES = ("list", "judge", "decide", "fetch", "normalise", "curate", "caption", "pack")


def published(out: Path | str) -> dict[str, bytes]:
    """What readers of a dataset see of it, by name; what persons and requests wrote apart."""
    storage = open_storage(str(out))
    apart = ("work/", "reviews.csv", "takedowns.jsonl", "credits.jsonl")
    return {name: storage.read(name) for name in names(storage) if not name.startswith(apart)}


class Killed(Exception):
    """As if the process had been killed."""


class Mortal:
    """A storage that dies before its n-th write or delete, and counts them."""

    def __init__(self, inner: Storage, dies_at: int = -1) -> None:
        self._inner = inner
        self._dies_at = dies_at
        self.url = inner.url
        self.replaces_safely = inner.replaces_safely
        self.changed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, name: str) -> BinaryIO:
        return self._inner.open(name)

    def write(self, name: str, data: bytes) -> None:
        self._count(name)
        self._inner.write(name, data)

    def delete(self, name: str) -> None:
        if self._inner.exists(name):
            self._count(name)
            self._inner.delete(name)

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        self._count(name)
        with self._inner.staged(name) as path:
            yield path

    def _count(self, name: str) -> None:
        if len(self.changed) == self._dies_at:
            raise Killed(name)
        self.changed.append(name)


def opened(storage: Storage) -> Dataset:
    """The dataset, read and written through this very storage."""
    return dataclasses.replace(open_dataset(storage.url), storage=storage)


def count_decoded(monkeypatch: Any) -> list[Path]:
    """Fills with every file that is decoded from now on."""
    decoded: list[Path] = []
    normalise = sandbox.Sandbox.normalise

    def counted(box: Any, path: Path, out: Path) -> Any:
        decoded.append(path)
        return normalise(box, path, out)

    monkeypatch.setattr(sandbox.Sandbox, "normalise", counted)
    return decoded
