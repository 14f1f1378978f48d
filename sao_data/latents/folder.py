"""A folder of latents while it is made: whose it is, which shards it lacks, the commit of what is whole."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sao_data.config import canonical
from sao_data.dataset.reader import Dataset
from sao_data.dataset.release import terms_of
from sao_data.errors import UsageError
from sao_data.latents import members, part, registry
from sao_data.latents.facts import (
    FACTS,
    FORMAT,
    FORMAT_VERSION,
    PARTS,
    SILENCE,
    EncodingFacts,
    LatentRow,
    LatentsOwner,
    PartFacts,
    root_digest,
)
from sao_data.latents.part import PartJob
from sao_data.records import SampleRow, Shard
from sao_data.storage import documents, layout, tables
from sao_data.storage.backend import Storage, open_storage, write_if_changed

_FIX = "is this a folder of latents? If so, run its encode into another --out"


def is_latents(storage: Storage) -> bool:
    """Is this a folder of latents, finished or not?"""
    if storage.exists(FACTS):
        return True
    return storage.exists(layout.OWNER) and f'"{FORMAT}"'.encode() in storage.read(layout.OWNER)


def read_owner(storage: Storage) -> LatentsOwner:
    """Whose folder it is; UsageError if it is none of latents."""
    where = f"{storage.url}/{layout.OWNER}"
    if not storage.exists(layout.OWNER):
        raise UsageError(f"{storage.url}: no latents here (no {layout.OWNER}); is the path right?")
    data = storage.read(layout.OWNER)
    said = documents.plain(data, where=where, fix=_FIX, error=UsageError)
    if said.get("format") != FORMAT or said.get("format_version") != FORMAT_VERSION:
        found = f"format {said.get('format')} {said.get('format_version')}"
        raise UsageError(f"{storage.url}: {found}, this reads {FORMAT} {FORMAT_VERSION}; give latents")
    return documents.read(LatentsOwner, data, where=where, fix=_FIX, error=UsageError)


def home_elsewhere(storage: Storage, data: Storage) -> str:
    """The dataset that a folder of latents was made from, if that is another than `data` and is there still:
    a copied dataset names the folders of the one that it was copied from. '' otherwise."""
    home = registry.absolute(read_owner(storage).data, storage.url)
    is_same = home == data.url or os.path.realpath(home) == os.path.realpath(data.url)
    return "" if is_same or not open_storage(home).exists(layout.OWNER) else home


def check_free(storage: Storage, name: str, encoding: EncodingFacts) -> None:
    """UsageError if the folder is somebody else's, another dataset's, or holds what was encoded otherwise."""
    if not storage.exists(layout.OWNER):
        if others := set(storage.entries()) - {layout.LOCK}:
            found = f"not empty and no latents (found {min(others)})"
            raise UsageError(f"{storage.url}: {found}; choose another --out")
        return
    owner = read_owner(storage)
    if owner.name != name:
        raise UsageError(
            f"{storage.url}: latents of the dataset {owner.name!r}, not of {name!r}; choose another --out"
        )
    ours, theirs = encoding.codec.sha256, owner.encoding.codec.sha256
    if ours != theirs:
        raise UsageError(
            f"{storage.url}: latents of another VAE: {theirs[:12]}…, not {ours[:12]}…; give that one, or "
            "choose another --out"
        )
    if owner.encoding.digest != encoding.digest:
        changed = _differing(owner.encoding, encoding)
        raise UsageError(
            f"{storage.url}: encoded with other settings: {changed}; keep them, or choose another --out"
        )


def claim(storage: Storage, data: Storage, name: str, encoding: EncodingFacts, silence: bytes) -> None:
    """Say whose folder it is, first of all, and note it in the dataset's."""
    owner = LatentsOwner(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        name=name,
        data=registry.relative(data.url, storage.url),
        encoding=encoding,
    )
    write_if_changed(storage, layout.OWNER, part.as_json(canonical(owner)))
    write_if_changed(storage, SILENCE, silence)
    registry.note(data, storage.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingPlan:
    """What a folder lacks of a dataset."""

    wanted: tuple[str, ...]  # names of the tars, in the order of the dataset's shards
    done: dict[str, PartFacts]  # of these, by name
    jobs: tuple[PartJob, ...]
    others: tuple[str, ...]  # tars of what the dataset was before

    @property
    def num_samples(self) -> int:
        return sum(len(job.rows) for job in self.jobs)


def plan(dataset: Dataset, storage: Storage, encoding: EncodingFacts) -> EncodingPlan:
    """Which shards are there, which are to be brought, and what of them is there already."""
    chosen = shards_of(dataset, encoding.settings.get("series", ()))
    names = {part.shard_name(encoding, shard): shard for shard in chosen}
    there = part.read_all(storage)
    missing = {shard.name: shard for name, shard in names.items() if name not in there}
    rows: dict[str, list[SampleRow]] = {name: [] for name in missing}
    for row in dataset.samples() if missing else ():
        if row.shard in rows:
            rows[row.shard].append(row)
    wanted = {(row.key, row.sha256) for each in rows.values() for row in each}
    known = {
        row.key: row
        for facts in (there.values() if missing else ())
        for row in part.rows_of(storage, facts)
        if (row.key, row.audio_sha256) in wanted
    }
    jobs = [
        PartJob(
            shard=shard,
            rows=tuple(sorted(rows[name], key=lambda row: row.flac_offset)),
            known=tuple(known[row.key] for row in rows[name] if row.key in known),
        )
        for name, shard in missing.items()
    ]
    return EncodingPlan(
        wanted=tuple(names),
        done={name: facts for name, facts in there.items() if name in names},
        jobs=tuple(jobs),
        others=tuple(sorted(set(there) - set(names))),
    )


def shards_of(dataset: Dataset, series: Sequence[str]) -> list[Shard]:
    """The dataset's shards that are encoded, by name; none named: all."""
    found = [shard for shard in dataset.shards() if shard.num_samples]
    chosen = [shard for shard in found if not series or shard.series in series]
    if not chosen:
        there = ", ".join(sorted({shard.series for shard in found})) or "none at all"
        raise UsageError(
            f"{dataset.storage.url}: no samples in the series {', '.join(series)} (there are: {there})"
        )
    return sorted(chosen, key=lambda shard: shard.name)


def withdraw(storage: Storage) -> None:
    """From here on what latents.json says is no longer true."""
    storage.delete(FACTS)
    storage.delete(layout.SAMPLES)


def commit(dataset: Dataset, storage: Storage, encoding: EncodingFacts, wanted: Iterable[str]) -> bool:
    """Make the folder say this version of the dataset and nothing else, latents.json last; was anything
    written? All wanted parts must be there."""
    there = part.read_all(storage)
    parts = [there[name] for name in wanted]
    rows = [row for each in parts for row in part.rows_of(storage, each)]
    table = tables.to_bytes(LatentRow, rows)
    files = {layout.SAMPLES: hashlib.sha256(table).hexdigest(), SILENCE: encoding.silence_sha256}
    facts = part.as_json(_facts(dataset, encoding, parts, files))
    if storage.exists(FACTS) and storage.read(FACTS) == facts and not _strangers(storage, parts):
        return write_if_changed(storage, layout.SAMPLES, table)
    withdraw(storage)
    for name in _strangers(storage, parts):
        storage.delete(name)
    storage.write(layout.SAMPLES, table)
    storage.write(FACTS, facts)
    return True


def _facts(
    dataset: Dataset, encoding: EncodingFacts, parts: Sequence[PartFacts], files: Mapping[str, str]
) -> dict[str, Any]:
    """latents.json."""
    zeros = np.zeros(encoding.latent_dim)
    num = sum(each.num_latents for each in parts)
    total = sum((np.asarray(each.sums) for each in parts), zeros)
    squares = sum((np.asarray(each.squares) for each in parts), zeros)
    mean, std = members.statistics(num, total, squares)
    terms = {series: terms_of(dataset, [series]) for series in sorted({each.shard.series for each in parts})}
    release = next(iter(terms.values())).dataset_release
    table: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": {name: dataset.facts[name] for name in ("name", "version", "root_digest")},
        "dataset_release": canonical(release),
        "terms": [
            {"series": series, "conditions": canonical(each.conditions)} for series, each in terms.items()
        ],
        "encoding": canonical(encoding),
        "num_samples": sum(each.shard.num_samples for each in parts),
        "num_frames": sum(each.num_frames for each in parts),
        "channels": {"num_latents": num, "mean": mean, "std": std},
        "shards": [canonical(each.shard) for each in parts],
        "files": dict(files),
    }
    return {**table, "root_digest": root_digest(table)}


def _strangers(storage: Storage, parts: Sequence[PartFacts]) -> list[str]:
    """Files of shards that this version does not have, facts before tables before tars."""
    names = [each.shard.name for each in parts]
    kept = {part.part_name(name, suffix) for name in names for suffix in ("json", "parquet")}
    kept |= {f"{layout.SHARD_FOLDER}/{name}" for name in names}
    found = [*storage.names(PARTS), *storage.names(layout.SHARD_FOLDER)]
    return [name for name in found if name not in kept]


def _differing(before: EncodingFacts, now: EncodingFacts) -> str:
    """ "window 1024, now 512" """
    plain = ("hop", "latent_dim", "window_latents", "reach", "sample_rate")
    pairs = {name: (getattr(before, name), getattr(now, name)) for name in plain}
    keys = before.settings.keys() | now.settings.keys()
    pairs |= {key: (before.settings.get(key), now.settings.get(key)) for key in sorted(keys)}
    said = [f"{name} was {was!r}, now {is_now!r}" for name, (was, is_now) in pairs.items() if was != is_now]
    assert said, dataclasses.asdict(now)
    return ", ".join(said)
