"""Which checkpoints have heard a work, in whichever version of the dataset it was."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sao_data.dataset.history import past
from sao_data.dataset.reader import Dataset
from sao_data.errors import SaoError, UsageError
from sao_data.loading import training_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A checkpoint that saw some of the samples asked about, or may have."""

    path: str
    step: int
    num_seen: int  # of the samples asked about
    doubt: str = ""  # why it cannot be told, or not of all; '' = told for certain


def exposures(dataset: Dataset, ids: Collection[str], folders: Iterable[Path]) -> list[Exposure]:
    """Checkpoints below the folders that saw a sample of these recordings, in any version of the dataset, or
    of which it cannot be told."""
    where = places_of(dataset, ids)
    known = {(shard.name, shard.sha256) for shard in dataset.shards()}
    known |= past.read(dataset.storage).places.keys()
    found = []
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"--checkpoints {folder}: not there; give a folder with trainings below it")
        paths = [folder] if folder.is_file() else sorted(folder.rglob(training_data.FILE))
        found += [_exposure(dataset, path, where, known) for path in paths]
    return [item for item in found if item.num_seen or item.doubt]


def places_of(dataset: Dataset, ids: Collection[str]) -> dict[tuple[str, str], list[int]]:
    """By name and sha256 of a shard, of this version and of earlier ones, the places of these recordings'
    samples."""
    rows = training_data.in_order(dataset.samples())
    places = {
        (shard.name, shard.sha256): [
            n for n, row in enumerate(rows.get(shard.name, ())) if row.recording_id in ids
        ]
        for shard in dataset.shards()
    }
    return past.read(dataset.storage).of_works(ids) | {key: found for key, found in places.items() if found}


def _exposure(
    dataset: Dataset,
    path: Path,
    where: Mapping[tuple[str, str], list[int]],
    known: Collection[tuple[str, str]],
) -> Exposure:
    concerned = {name for name, _ in where}
    try:
        data = training_data.read(path)
        seen: set[tuple[str, str, int]] = set()
        doubts: set[str] = set()
        for trained in training_data.histories(data):
            for entry in trained["shards"]:
                key = (str(entry["name"]), str(entry["sha256"]))
                if key in where:
                    seen |= {(*key, place) for place in training_data.places_seen(entry, where[key], path)}
                elif key in known or not entry["draws"]:
                    continue
                elif key[0] in concerned and trained["dataset"] == dataset.facts["name"]:
                    version = str(trained["version"])
                    doubts.add(f"it saw {key[0]} as in version {version}: ask with that version's directory")
    except (OSError, SaoError) as error:
        return Exposure(path=str(path), step=0, num_seen=0, doubt=str(error))
    return Exposure(
        path=str(path.parent), step=data["step"], num_seen=len(seen), doubt="; ".join(sorted(doubts))
    )
