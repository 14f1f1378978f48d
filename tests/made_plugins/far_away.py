"""A remote source for tests: a world in a JSON file, files in a folder, a quota, and claims that change."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from sao_data.config import Location
from sao_data.errors import TryLater
from sao_data.fetch.remote import Fetched
from sao_data.fetch.workspace import Workspace
from sao_data.licences import Release
from sao_data.plugins import DamagedFile
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._common import rows
from sao_data.storage.backend import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    path: Location  # world.json beside the files


@dataclass(frozen=True, slots=True, kw_only=True)
class FarAway:
    config: Config
    is_attached: bool = False

    remote: ClassVar[bool] = True

    def check(self) -> None: ...

    def check_terms(self, storage: Storage, release: Release, *, accept: bool) -> None: ...

    def services(self, storage: Storage) -> dict[str, Any]:
        return {"far-away-quota": dict}

    def attached(self, workspace: Workspace, services: dict[str, Any]) -> FarAway:
        return dataclasses.replace(self, is_attached=True)

    def offers(self) -> Iterator[Offer | Rejection]:
        for row in self._world()["listed"]:
            yield self._offer(row)

    def look_up(self, ids: Iterable[str]) -> Iterator[Offer]:
        wanted = set(ids)
        self._count("looked_up", len(wanted))
        now = self._world().get("now", self._world()["listed"])
        yield from (self._offer(row) for row in now if f"far:{row['id']}" in wanted)

    def is_stale(self, recording: Recording) -> bool:
        return recording.retrieved_at < "2026-01-01"

    def fetch(self, recording: Recording, partial: Path) -> Fetched:
        world = self._world()
        if len(self._log("fetched")) >= world.get("quota", 10**9):
            raise TryLater("far: the day's quota is used up; next request at noon")
        self._count("fetched", recording.id)
        number = recording.id.split(":")[1]
        if number in world.get("damaged", []):
            raise DamagedFile("md5 is wrong twice")
        partial.write_bytes((Path(self.config.path) / f"{number}.wav").read_bytes())
        return Fetched(rendition="original")

    def open(self, recording: Recording) -> BinaryIO:
        raise AssertionError("remote files are fetched, not opened")

    def notes(self) -> tuple[str, ...]:
        return ("Far away is far away.",)

    def _offer(self, row: dict[str, Any]) -> Offer:
        raw = json.dumps(row, sort_keys=True)
        return Offer(recording=recording(raw, self.config), raw=raw)

    def _world(self) -> dict[str, Any]:
        world: dict[str, Any] = json.loads((Path(self.config.path) / "world.json").read_text())
        return world

    def _log(self, what: str) -> list[Any]:
        path = Path(self.config.path) / f"{what}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _count(self, what: str, entry: object) -> None:
        with (Path(self.config.path) / f"{what}.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def build(config: Config) -> FarAway:
    return FarAway(config=config)


def recording(raw: str, config: Config) -> Recording:
    row = json.loads(raw)
    return Recording(
        id=f"far:{row['id']}",
        source="far",
        title=f"Sound {row['id']}",
        author=row.get("author", "Ana"),
        license_url=row["license"],
        ai_preference=row.get("wish", ""),
        md5=row.get("md5", ""),
        audio_url=f"far://{row['id']}",
        retrieved_at=row.get("at", "2026-02-01T00:00:00Z"),
        evidence=rows.sha256_of(raw),
    )
