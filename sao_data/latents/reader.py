"""Reading a finished folder of latents: what a training learns from in place of a dataset's audio."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sao_data import config
from sao_data.dataset.reader import Dataset
from sao_data.dataset.release import Condition, Release, Terms
from sao_data.errors import IntegrityError, UsageError
from sao_data.latents import folder, members, registry
from sao_data.latents.facts import FACTS, SILENCE, EncodingFacts, LatentsFacts, root_digest
from sao_data.latents.index import dataset_shard
from sao_data.latents.windows import LatentWindows
from sao_data.loading.samples import StreamConfig
from sao_data.records import Shard
from sao_data.rights.takedowns import read_tombstones
from sao_data.storage import documents, layout
from sao_data.storage.backend import LocalStorage, Storage, open_storage

log = logging.getLogger(__name__)

_AGAIN = "run the same encode again, which makes what is missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """A folder of latents; trainings take it as they take a dataset."""

    storage: Storage
    said: LatentsFacts
    data: Storage | None  # the dataset's folder, where it is at hand

    @property
    def encoding(self) -> EncodingFacts:
        return self.said.encoding

    @property
    def facts(self) -> dict[str, Any]:
        """Of the dataset: name, version, root digest; and by which latents."""
        made = {"root_digest": self.said.root_digest, "encoding": self.encoding.digest}
        identity = self.said.dataset
        return {
            "name": identity.name,
            "version": identity.version,
            "root_digest": identity.root_digest,
            "latents": made,
        }

    def shards(self) -> list[Shard]:
        """The dataset's shards that were encoded."""
        return [dataset_shard(shard) for shard in self.said.shards]

    def num_bytes(self, series: Iterable[str]) -> int:
        """Of the shards of latents of these series."""
        wanted = set(series)
        return sum(shard.num_bytes for shard in self.said.shards if shard.series in wanted)

    def terms(self, series: Iterable[str]) -> Terms:
        """What the works of these series ask of a release."""
        wanted = set(series)
        release = config.parse(Release, dict(self.said.dataset_release), where=f"{self.storage.url}/{FACTS}")
        nums: dict[tuple[str, str, bool], int] = {}
        for each in (c for part in self.said.terms if part.series in wanted for c in part.conditions):
            asked = config.parse(Condition, each, where=f"{self.storage.url}/{FACTS}: terms")
            kind = (asked.license_family, asked.ai_preference, asked.reviewed)
            nums[kind] = nums.get(kind, 0) + asked.works
        conditions = (
            Condition(license_family=family, ai_preference=wish, reviewed=reviewed, works=num)
            for (family, wish, reviewed), num in sorted(nums.items())
        )
        return Terms(dataset_release=release, conditions=tuple(conditions))

    def windows(self, config: StreamConfig) -> LatentWindows:
        return LatentWindows(self.storage, self.said, self.silence(), config)

    def silence(self) -> members.Halves:
        """The posterior of a window of silence."""
        data = self.storage.read(SILENCE)
        if hashlib.sha256(data).hexdigest() != self.encoding.silence_sha256:
            raise IntegrityError(f"{self.storage.url}/{SILENCE}: damaged; {_AGAIN}")
        return members.from_bytes(data, self.encoding.latent_dim)

    def taken_down(self) -> frozenset[str]:
        """Recordings that the dataset, if it is at hand, says are not to be used any more."""
        return read_tombstones(self.data).ids if self.data else frozenset()

    def check_codec(self, sha256: str, where: str) -> None:
        """UsageError if these are latents of another codec than the one in `where`."""
        ours = self.encoding.codec.sha256
        if ours != sha256:
            raise UsageError(
                f"{self.storage.url}: latents of another VAE: {ours[:12]}…, {where} has {sha256[:12]}…; give "
                "that VAE, or encode with this one into another --out"
            )

    def check_shape(self, *, latent_dim: int, hop: int, window_latents: int, model: str) -> None:
        """UsageError if a model takes other latents."""
        pairs = {
            "channels": (self.encoding.latent_dim, latent_dim),
            "frames a latent": (self.encoding.hop, hop),
            "latents a window": (self.encoding.window_latents, window_latents),
        }
        if wrong := [f"{ours} {what}, not {asked}" for what, (ours, asked) in pairs.items() if ours != asked]:
            raise UsageError(
                f"{self.storage.url}: latents of another shape than model = {model!r} takes: "
                f"{', '.join(wrong)}; encode for it (window_latents) into another --out, or name its model"
            )


def open_latents(url: str, dataset: Dataset | None = None) -> Latents:
    """The finished latents at a path or URL; with a dataset, only if they are of that version of it."""
    storage = open_storage(url)
    owner = folder.read_owner(storage)
    if not storage.exists(FACTS):
        raise UsageError(f"{storage.url}: not finished (no {FACTS}); {_AGAIN}")
    where = f"{storage.url}/{FACTS}"
    said = documents.read(LatentsFacts, data := storage.read(FACTS), where=where, fix=_AGAIN)
    if root_digest(json.loads(data)) != said.root_digest:
        raise IntegrityError(f"{where}: its root digest is not that of what it says; {_AGAIN}")
    table = said.files.get(layout.SAMPLES)
    if hashlib.sha256(storage.read(layout.SAMPLES)).hexdigest() != table:
        raise IntegrityError(f"{storage.url}/{layout.SAMPLES}: damaged; {_AGAIN}")
    if dataset is not None:
        check_version(storage, said, dataset)
        return Latents(storage=storage, said=said, data=dataset.storage)
    return Latents(storage=storage, said=said, data=_at_hand(storage, owner.data))


def check_version(storage: Storage, said: LatentsFacts, dataset: Dataset) -> None:
    """UsageError if the latents are of another version of the dataset, or of another one."""
    ours, theirs = said.dataset, dataset.facts
    if ours.root_digest != theirs["root_digest"]:
        raise UsageError(
            f"{storage.url}: latents of {ours.name} {ours.version}, --data {dataset.storage.url} is "
            f"{theirs['name']} {theirs['version']}; run encode on it again, which encodes what is new only"
        )


def _at_hand(storage: Storage, place: str) -> Storage | None:
    """The dataset's folder, if it is on this disk where it lay."""
    found = open_storage(registry.absolute(place, storage.url)) if "://" not in place else None
    if isinstance(found, LocalStorage) and found.exists(layout.OWNER):
        return found
    log.info("%s: its dataset is not at hand (%s); take-downs there are not seen", storage.url, place)
    return None
