"""Which works a checkpoint has heard, of the dataset as it is and as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data.dataset.history import past
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.loading import training_data
from sao_data.records import CatalogueRow, SampleRow, Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenClip:
    """A sample that was seen, of this version or of an earlier one."""

    recording_id: str
    shard: str
    place: int  # in the shard, by offset
    num_frames: int


def clip(row: SampleRow, place: int) -> SeenClip:
    """A sample at its place in a shard."""
    return SeenClip(recording_id=row.recording_id, shard=row.shard, place=place, num_frames=row.num_frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSamples:
    """What a checkpoint has seen of a dataset, in whichever of its versions."""

    samples: tuple[SeenClip, ...]
    step: int
    elsewhere: tuple[str, ...]  # other datasets that it, or a part of it, was trained on
    not_covered: tuple[str, ...] = ()  # parts trained before that do not say on what
    past: tuple[CatalogueRow, ...] = ()  # works seen that are not in this version, as they were
    past_shards: tuple[Shard, ...] = ()  # shards seen that are no longer as they were
    reason: str = "not_seen"  # why all other works are left out of the report
    num_forgotten: int = 0  # works seen of which nothing is kept: they were taken down

    def remarks(self, checkpoint: str) -> tuple[str, ...]:
        """What a report on these samples has to say of itself."""
        first = f"Only the works that the checkpoint {checkpoint} had seen by step {self.step:,}."
        more = [f"A part of it was trained on {other}: see the report of that." for other in self.elsewhere]
        if self.past:
            is_one = len(self.past) == 1
            more.append(
                f"{len(self.past):,} of them {'is' if is_one else 'are'} no longer in the dataset, and told "
                f"as {'it was' if is_one else 'they were'} then."
            )
        if self.num_forgotten:
            is_one = self.num_forgotten == 1
            more.append(
                f"It had seen {self.num_forgotten:,} more work{'' if is_one else 's'}, which "
                f"{'was' if is_one else 'were'} taken down since: nothing more is kept of "
                f"{'it' if is_one else 'them'}."
            )
        unknown = (
            f"Its {part} was trained before, by others or without a record: what that heard is not covered."
            for part in self.not_covered
        )
        return (first, *more, *unknown)


def seen_samples(dataset: Dataset, checkpoint: Path) -> SeenSamples:
    """The samples of this dataset, in any of its versions, that a checkpoint, or a run's latest one, has
    seen; UsageError if nothing that it was trained on is known here."""
    path = training_data.latest(checkpoint)
    data = training_data.read(path)
    known, root = _Known(dataset), dataset.facts["root_digest"]
    seen: dict[tuple[str, str, int], SeenClip] = {}
    hashes: set[str] = set()
    elsewhere: set[str] = set()
    is_here = False
    for trained in training_data.histories(data):
        missing = [entry for entry in trained["shards"] if not known.has(entry)]
        is_ours = trained["root_digest"] == root or trained["dataset"] == dataset.facts["name"]
        if not is_ours or any(entry["draws"] for entry in missing):
            elsewhere.add(f"{trained['dataset']} {trained['root_digest'][:12]}")
        is_here |= trained["root_digest"] == root or len(missing) < len(trained["shards"])
        for entry in trained["shards"]:
            if known.has(entry):
                found, forgotten = known.seen(entry, path)
                seen |= {(each.shard, str(entry["sha256"]), n): each for n, each in found.items()}
                hashes |= forgotten
    if not is_here:
        given = f"{dataset.facts['name']} {dataset.facts['version']}"
        raise UsageError(
            f"{path}: trained on {', '.join(sorted(elsewhere))}, this is {given}, which knows nothing "
            "of that; give --data that version"
        )
    ids = {clip.recording_id for clip in seen.values()}
    shards = {(name, sha256) for name, sha256, _ in seen}
    return SeenSamples(
        samples=tuple(seen.values()),
        step=data["step"],
        elsewhere=tuple(sorted(elsewhere - {f"{dataset.facts['name']} {root[:12]}"})),
        not_covered=tuple(dict.fromkeys(training_data.unrecorded(data))),
        past=tuple(row for key, row in sorted(known.gone.items()) if row.id in ids),
        past_shards=tuple(known.past.shards[key] for key in sorted(shards & known.past.shards.keys())),
        num_forgotten=len(hashes),
    )


class _Known:
    """The shards of a dataset, those of earlier versions too, and whose samples are in them."""

    def __init__(self, dataset: Dataset) -> None:
        self.past = past.read(dataset.storage)
        self._now = {(shard.name, shard.sha256) for shard in dataset.shards()}
        self._rows = training_data.in_order(dataset.samples())
        kept = {row.id for row in dataset.catalogue() if row.kept}
        self._ids = {past.work_hash(each): each for each in kept}
        self.gone = {key: row for key, row in self.past.works.items() if key not in self._ids}

    def has(self, entry: Mapping[str, Any]) -> bool:
        """Is it known what was in a shard of these bytes?"""
        key = (str(entry["name"]), str(entry["sha256"]))
        return key in self._now or key in self.past.places

    def seen(self, entry: Mapping[str, Any], path: Path) -> tuple[dict[int, SeenClip], set[str]]:
        """By place, what was seen of a shard; and hashes of works of which no more is kept."""
        name, key = str(entry["name"]), (str(entry["name"]), str(entry["sha256"]))
        if key in self._now:
            rows = self._rows.get(name, [])
            return {
                n: clip(rows[n], n) for n in training_data.places_seen(entry, range(len(rows)), path)
            }, set()
        places = {each.place: each for each in self.past.places[key]}
        found, forgotten = {}, set()
        for n in training_data.places_seen(entry, places, path):
            work = places[n].work
            recording_id = self._ids.get(work) or (self.gone[work].id if work in self.gone else "")
            if recording_id:
                num = places[n].num_frames
                found[n] = SeenClip(recording_id=recording_id, shard=name, place=n, num_frames=num)
            else:
                forgotten.add(work)
        return found, forgotten
