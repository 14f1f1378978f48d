"""A folder of latents brought to what its dataset has become, without a codec: works out, words anew.

What `encode` would copy is copied, so the result is, byte for byte, a fresh encode of the dataset's new
version. Where the dataset has samples that were never encoded, the folder is left unfinished, and the works
are out of it all the same. latents.json is withdrawn first, and everything sees for itself whether it was
done: a run that was killed is finished by the next.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sao_data import config
from sao_data.dataset.reader import Dataset, read_owner
from sao_data.errors import SaoError
from sao_data.latents import folder, part, registry
from sao_data.latents.facts import EncodingFacts, LatentRow, PartFacts
from sao_data.latents.index import dataset_shard
from sao_data.rights.takedowns import read_tombstones
from sao_data.storage import layout
from sao_data.storage.backend import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What became of a folder of latents."""

    url: str
    state: Literal["same", "brought", "behind", "unfinished", "gone", "unreachable"]
    num_removed: int = 0  # samples of works that were taken down
    detail: str = ""

    def line(self) -> str:
        """For a person."""
        match self.state:
            case "same":
                return f"{self.url}: as the dataset is"
            case "brought":
                return f"{self.url}: brought to version {self.detail}, {self.num_removed:,} samples taken out"
            case "behind":
                return f"{self.url}: of another version, without what was taken down; encode again"
            case "unfinished":
                return f"{self.url}: {self.num_removed:,} samples taken out; unfinished: encode again"
            case "gone":
                return f"{self.url}: not there any more; if it was moved, it may hold them yet"
            case "unreachable":
                return f"{self.url}: NOT REACHED, and may hold them yet: {self.detail}"


def follow_all(data: Storage, dataset: Dataset | None) -> list[Followed]:
    """Every folder of latents that the dataset knows of, brought to it; `dataset` None: it is not finished,
    and works that were taken down go all the same."""
    taken, found = read_tombstones(data).ids, []
    name = str(read_owner(data)["name"])
    for storage in registry.known(data):
        try:
            if not storage.exists(layout.OWNER):
                found.append(Followed(url=storage.url, state="gone"))
                continue
            if (other := folder.read_owner(storage).name) != name:
                what = f"it holds latents of {other!r}, not of {name!r}"
                found.append(Followed(url=storage.url, state="unreachable", detail=what))
                continue
            if home := folder.home_elsewhere(storage, data):
                what = f"it is of the dataset in {home}: take the same down there"
                found.append(Followed(url=storage.url, state="unreachable", detail=what))
                continue
            with storage.lock():
                storage.remove_leftovers()
                found.append(follow(storage, dataset, taken))
        except (SaoError, OSError) as error:  # the other folders are to be reached all the same
            found.append(Followed(url=storage.url, state="unreachable", detail=str(error)))
    return found


def follow(storage: Storage, dataset: Dataset | None, taken: Collection[str]) -> Followed:
    """One folder, under its lock."""
    encoding, url = folder.read_owner(storage).encoding, storage.url
    holding = _holding(storage, taken)
    num = sum(row.recording_id in taken for _, rows in holding for row in rows)
    planned = folder.plan(dataset, storage, encoding) if dataset else None
    lacking = sum(len(job.lacking()) for job in planned.jobs) if planned else 0
    if dataset is None or planned is None or lacking:
        if not holding:
            return Followed(url=url, state="behind")
        folder.withdraw(storage)
        for facts, rows in holding:
            _take_out(storage, encoding, facts, [row for row in rows if row.recording_id not in taken])
        return Followed(url=url, state="unfinished", num_removed=num)
    if planned.jobs or planned.others:
        folder.withdraw(storage)
    for job in planned.jobs:
        part.bring(dataset.storage, storage, encoding, job, None)
    is_new = folder.commit(dataset, storage, encoding, planned.wanted)
    version = str(dataset.facts["version"])
    return Followed(url=url, state="brought" if is_new else "same", num_removed=num, detail=version)


def _holding(storage: Storage, taken: Collection[str]) -> list[tuple[PartFacts, list[LatentRow]]]:
    """Parts that hold a work that was taken down, with all their rows."""
    found = []
    for facts in part.read_all(storage).values() if taken else ():
        rows = part.rows_of(storage, facts)
        if any(row.recording_id in taken for row in rows):
            found.append((facts, rows))
    return found


def _take_out(storage: Storage, encoding: EncodingFacts, facts: PartFacts, kept: list[LatentRow]) -> None:
    """A part without works that it held, under a name that no version wants: `encode` copies from it."""
    before = facts.shard
    if kept:
        name = f"{before.dataset_shard.removesuffix('.tar')}-{config.digest('without', before.name)[:16]}.tar"
        part.write(storage, encoding, name, dataset_shard(before), part.entries_of(storage, kept))
    part.delete(storage, before.name)
