"""A run that encodes: what is lacking is dealt out, the folder is committed, and what was done is told."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Protocol

from sao_data.dataset.reader import Dataset
from sao_data.latents import folder, members
from sao_data.latents.facts import SILENCE, LatentsFacts
from sao_data.latents.part import Brought
from sao_data.latents.reader import open_latents
from sao_data.records import SAMPLE_RATE
from sao_data.storage import layout
from sao_data.storage.backend import Storage, open_storage
from sao_model import opened
from sao_model.encoding.encoder import EncodeShard, EncodeSilence, SeesAll
from sao_model.encoding.settings import Config, Workers, extent, facts_of


class EncodeProgress(Protocol):
    """Shows how far it is."""

    def start(self, step: str, total: int | None, unit: str = ...) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeSummary:
    """What a run did, and what is there now."""

    url: str
    said: LatentsFacts
    num_bytes: int
    num_encoded: int
    num_copied: int
    encoded_seconds: float  # of audio
    wall_seconds: float

    @property
    def realtime(self) -> float:
        """Seconds of audio encoded in a second."""
        return self.encoded_seconds / max(self.wall_seconds, 1e-9)

    def line(self) -> str:
        """For a person."""
        said, channels = self.said, self.said.channels
        hours = said.num_frames / SAMPLE_RATE / 3600
        spread = f"{min(channels.std):.3g} to {max(channels.std):.3g}"
        return (
            f"{said.dataset.name} {said.dataset.version}: {said.num_samples:,} samples, {hours:,.2f} hours, "
            f"{self.num_bytes / 1e6:,.1f} MB in {len(said.shards):,} shards\n"
            f"encoded {self.num_encoded:,}, copied {self.num_copied:,} in {self.wall_seconds:,.1f} s "
            f"({self.realtime:,.1f} × real time); deviations of the channels {spread}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeForecast:
    """What a run would do."""

    num_samples: int  # of all
    num_new: int
    new_seconds: float
    num_bytes: int  # of all latents, without their JSON

    def line(self) -> str:
        """For a person."""
        return (
            f"{self.num_samples:,} samples, {self.num_bytes / 1e6:,.1f} MB of latents; to encode: "
            f"{self.num_new:,} samples, {self.new_seconds / 3600:,.2f} hours; nothing was written"
        )


def encode(
    config: Config, dataset: Dataset, vae: str, out: str, workers: Workers, progress: EncodeProgress
) -> EncodeSummary:
    """Bring the folder `out` to this version of the dataset, encoding what is new."""
    begun, codec_from, storage = time.monotonic(), opened.find(vae), open_storage(out)
    encoding, name = facts_of(config, codec_from, workers), str(dataset.facts["name"])
    folder.check_free(storage, name, encoding)
    where, num_gpus = str(codec_from.folder.absolute()), int(encoding.settings["device"] == "cuda")
    brought: list[Brought] = []
    with storage.lock():
        storage.remove_leftovers()
        sees = SeesAll(storage.url, storage.read(layout.LOCK), dataset.storage.url, where)
        workers.on_every_node(sees)
        silence = _kept_silence(storage) or next(
            workers.map(EncodeSilence(where, encoding), [0], num_gpus=num_gpus)
        )
        encoding = replace(encoding, silence_sha256=hashlib.sha256(silence).hexdigest())
        folder.claim(storage, dataset.storage, name, encoding, silence)
        planned = folder.plan(dataset, storage, encoding)
        unit = EncodeShard(dataset.storage.url, storage.url, where, encoding)
        progress.start("encode", planned.num_samples, "samples")
        for done in workers.map(unit, planned.jobs, num_gpus=num_gpus):
            brought.append(done)
            progress.advance(done.part.shard.num_samples)
        progress.finish()
        folder.commit(dataset, storage, encoding, planned.wanted)
    said = open_latents(out, dataset).said
    return EncodeSummary(
        url=storage.url,
        said=said,
        num_bytes=sum(shard.num_bytes for shard in said.shards),
        num_encoded=sum(each.num_encoded for each in brought),
        num_copied=sum(each.num_copied for each in brought),
        encoded_seconds=sum(each.encoded_frames for each in brought) / SAMPLE_RATE,
        wall_seconds=time.monotonic() - begun,
    )


def forecast(config: Config, dataset: Dataset, vae: str, out: str, workers: Workers) -> EncodeForecast:
    """What `encode` would do; nothing is written."""
    encoding, storage = facts_of(config, opened.find(vae), workers), open_storage(out)
    folder.check_free(storage, str(dataset.facts["name"]), encoding)
    chosen = {shard.name for shard in folder.shards_of(dataset, config.series)}
    lengths = [row.num_frames for row in dataset.samples() if row.shard in chosen]
    stored = sum(extent(encoding, num)[1] for num in lengths)
    lacking = [row for job in folder.plan(dataset, storage, encoding).jobs for row in job.lacking()]
    return EncodeForecast(
        num_samples=len(lengths),
        num_new=len(lacking),
        new_seconds=sum(row.num_frames for row in lacking) / SAMPLE_RATE,
        num_bytes=members.num_bytes(stored, encoding.latent_dim),
    )


def _kept_silence(storage: Storage) -> bytes:
    """silence.npy as it is there; b'' where it is not, or is damaged."""
    if not storage.exists(layout.OWNER) or not storage.exists(SILENCE):
        return b""
    data, wanted = storage.read(SILENCE), folder.read_owner(storage).encoding.silence_sha256
    return data if hashlib.sha256(data).hexdigest() == wanted else b""
