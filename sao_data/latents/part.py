"""One shard of a dataset as one shard of latents: made, copied as far as it is there, published.

A part is the tar, its rows and its facts, in this order: where the facts are, all of it is. Its name holds a
digest of the encoding and of the dataset's shard. So existing is complete, and what changes has another name.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from sao_data import config
from sao_data.errors import IntegrityError
from sao_data.latents import members
from sao_data.latents.facts import PARTS, EncodingFacts, LatentRow, LatentShard, PartFacts
from sao_data.records import Sample, SampleRow, Shard
from sao_data.storage import documents, layout, shards, tables
from sao_data.storage.backend import Storage

log = logging.getLogger(__name__)

Known = Mapping[tuple[str, str], LatentRow]  # latents that are there, by key and sha256 of the audio
Encode = Callable[[bytes], tuple[members.Halves, float]]  # FLAC to latents, and the peak
_FIX = "delete parts/ there and run the same encode again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What became of a shard."""

    part: PartFacts
    num_encoded: int
    num_copied: int
    encoded_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartJob:
    """A shard to bring, with all that is known of it."""

    shard: Shard
    rows: tuple[SampleRow, ...]  # by offset
    known: tuple[LatentRow, ...] = field(default=(), repr=False)  # of the same samples, in other parts

    def by_content(self) -> dict[tuple[str, str], LatentRow]:
        return {(row.key, row.audio_sha256): row for row in self.known}

    def lacking(self) -> list[SampleRow]:
        """Samples that have to be encoded."""
        known = self.by_content()
        return [row for row in self.rows if (row.key, row.sha256) not in known]


def shard_name(encoding: EncodingFacts, shard: Shard) -> str:
    """ "train-000003-0123456789abcdef.tar", the end from what its bytes follow from."""
    digest = config.digest("latents", encoding.digest, shard.name, shard.sha256)
    return f"{shard.name.removesuffix('.tar')}-{digest[:16]}.tar"


def part_name(shard: str, suffix: str) -> str:
    """Of what is known of a shard of latents."""
    return f"{PARTS}/{shard.removesuffix('.tar')}.{suffix}"


def read_all(storage: Storage) -> dict[str, PartFacts]:
    """The finished parts, by the name of their tar; those whose tar is gone, or was cut, are none."""
    found, tars = {}, set(storage.names(layout.SHARD_FOLDER))
    for name in storage.names(PARTS):
        if name.endswith(".json"):
            part = documents.read(PartFacts, storage.read(name), where=f"{storage.url}/{name}", fix=_FIX)
            tar = f"{layout.SHARD_FOLDER}/{part.shard.name}"
            if tar in tars and storage.size(tar) == part.shard.num_bytes:
                found[part.shard.name] = part
    return found


def rows_of(storage: Storage, part: PartFacts) -> list[LatentRow]:
    """A part's samples, in order. IntegrityError where the table is not the part's."""
    name = part_name(part.shard.name, "parquet")
    if hashlib.sha256(storage.read(name)).hexdigest() != part.rows_sha256:
        raise IntegrityError(f"{storage.url}/{name}: damaged; {_FIX}")
    return tables.read(storage, name, LatentRow)


def bring(
    data: Storage, storage: Storage, encoding: EncodingFacts, job: PartJob, encode: Encode | None
) -> Brought:
    """Make the part of a shard: latents that are known are copied, others encoded."""
    counts = {"encoded": 0, "copied": 0, "frames": 0}

    def entries() -> Iterator[PartEntry]:
        known = job.by_content()
        with data.open(f"{layout.SHARD_FOLDER}/{job.shard.name}") as audio:
            for row in job.rows:
                text = _checked(audio, row, "json")
                sample = shards.parse_sample(text, f"{data.url}: {row.key}.json")
                before = known.get((row.key, row.sha256))
                latents = _copied(storage, before) if before else None
                if before is None or latents is None:
                    if encode is None:
                        lost = f"{storage.url}: latents of {row.key} are damaged or missing"
                        raise IntegrityError(f"{lost}; run the same encode again")
                    found, peak = _encoded(encode, _checked(audio, row, "flac"), row)
                    latents = members.to_bytes(found)
                    counts["encoded"] += 1
                    counts["frames"] += row.num_frames
                else:
                    peak = before.peak
                    counts["copied"] += 1
                yield PartEntry(key=row.key, data=latents, text=text, sample=sample, peak=peak)

    part = write(storage, encoding, shard_name(encoding, job.shard), job.shard, entries())
    return Brought(
        part=part,
        num_encoded=counts["encoded"],
        num_copied=counts["copied"],
        encoded_frames=counts["frames"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEntry:
    """A sample as it goes into a tar."""

    key: str
    data: bytes  # of the .npy
    text: bytes  # of the JSON, as the dataset has it
    sample: Sample
    peak: float


def write(
    storage: Storage, encoding: EncodingFacts, name: str, shard: Shard, entries: Iterable[PartEntry]
) -> PartFacts:
    """Publish a part: the tar, its rows, its facts."""
    writer = _Writer(encoding, name, shard)
    with storage.staged(f"{layout.SHARD_FOLDER}/{name}") as temporary, temporary.open("wb") as file:
        for entry in entries:
            writer.add(file, entry)
        writer.finish(file)
    table = tables.to_bytes(LatentRow, writer.rows)
    storage.write(part_name(name, "parquet"), table)
    part = writer.facts(hashlib.sha256(table).hexdigest())
    storage.write(part_name(name, "json"), as_json(config.canonical(part)))
    return part


def delete(storage: Storage, name: str) -> None:
    """A part, its facts first."""
    for each in (part_name(name, "json"), part_name(name, "parquet"), f"{layout.SHARD_FOLDER}/{name}"):
        storage.delete(each)


def entries_of(storage: Storage, rows: Sequence[LatentRow]) -> Iterator[PartEntry]:
    """Samples of one part as they lie in its tar. IntegrityError where they are damaged."""
    for row in rows:
        data = _copied(storage, row)
        with storage.open(f"{layout.SHARD_FOLDER}/{row.shard}") as file:
            text = shards.read_member(file, row.json_offset, row.json_size)
        if data is None or hashlib.sha256(text).hexdigest() != row.json_sha256:
            raise IntegrityError(f"{storage.url}/{row.shard}: {row.key} is damaged; {_FIX}")
        sample = shards.parse_sample(text, f"{storage.url}/{row.shard}: {row.key}.json")
        yield PartEntry(key=row.key, data=data, text=text, sample=sample, peak=row.peak)


class _Writer:
    """A tar being written, and what becomes known of it."""

    def __init__(self, encoding: EncodingFacts, name: str, shard: Shard) -> None:
        self._encoding, self._name, self._shard = encoding, name, shard
        self._sha256, self._at = hashlib.sha256(), 0
        self._sums = np.zeros(encoding.latent_dim), np.zeros(encoding.latent_dim)
        self._num_latents = 0
        self.rows: list[LatentRow] = []

    def add(self, file: BinaryIO, entry: PartEntry) -> None:
        latents = members.from_bytes(entry.data, self._encoding.latent_dim)
        sample = entry.sample
        num_sound = min(-(-sample.num_frames // self._encoding.hop), len(latents))
        for total, more in zip(self._sums, members.sums(latents[:num_sound]), strict=True):
            total += more
        self._num_latents += num_sound
        latents_offset = self._member(file, f"{entry.key}.npy", entry.data)
        json_offset = self._member(file, f"{entry.key}.json", entry.text)
        self.rows.append(
            LatentRow(
                key=entry.key,
                recording_id=sample.id,
                dataset_shard=self._shard.name,
                shard=self._name,
                latents_offset=latents_offset,
                latents_size=len(entry.data),
                json_offset=json_offset,
                json_size=len(entry.text),
                sha256=hashlib.sha256(entry.data).hexdigest(),
                json_sha256=hashlib.sha256(entry.text).hexdigest(),
                audio_sha256=sample.sha256,
                num_latents=len(latents),
                num_frames=sample.num_frames,
                start_frame=sample.start_frame,
                recording_frames=sample.recording_frames,
                peak=entry.peak,
            )
        )

    def finish(self, file: BinaryIO) -> None:
        self._write(file, b"\0" * shards.num_closing(self._at))

    def facts(self, rows_sha256: str) -> PartFacts:
        shard = LatentShard(
            name=self._name,
            sha256=self._sha256.hexdigest(),
            num_bytes=self._at,
            num_samples=len(self.rows),
            series=self._shard.series,
            dataset_shard=self._shard.name,
            dataset_sha256=self._shard.sha256,
            dataset_bytes=self._shard.num_bytes,
        )
        total, squares = self._sums
        return PartFacts(
            shard=shard,
            rows_sha256=rows_sha256,
            num_latents=self._num_latents,
            num_frames=sum(row.num_frames for row in self.rows),
            sums=total.tolist(),
            squares=squares.tolist(),
        )

    def _member(self, file: BinaryIO, name: str, data: bytes) -> int:
        self._write(file, shards.member_header(name, len(data)))
        offset = self._at
        self._write(file, data + b"\0" * shards.num_padding(len(data)))
        return offset

    def _write(self, file: BinaryIO, data: bytes) -> None:
        file.write(data)
        self._sha256.update(data)
        self._at += len(data)


def as_json(value: Any) -> bytes:
    """JSON as people read it, the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _encoded(encode: Encode, flac: bytes, row: SampleRow) -> tuple[members.Halves, float]:
    try:
        return encode(flac)
    except ValueError as error:
        raise IntegrityError(f"{row.shard}: {row.key}: {error}; is this the codec that was meant?") from error


def _checked(file: BinaryIO, row: SampleRow, what: str) -> bytes:
    """A member of the dataset."""
    is_json = what == "json"
    offset, size = (row.json_offset, row.json_size) if is_json else (row.flac_offset, row.flac_size)
    data = shards.read_member(file, offset, size)
    if hashlib.sha256(data).hexdigest() != (row.json_sha256 if is_json else row.sha256):
        raise IntegrityError(f"{row.shard}: {row.key}.{what} is damaged; run `sao verify` on the dataset")
    return data


def _copied(storage: Storage, row: LatentRow) -> bytes | None:
    """Latents that are there; None where they are not as their row says."""
    name = f"{layout.SHARD_FOLDER}/{row.shard}"
    data = storage.read_range(name, row.latents_offset, row.latents_size) if storage.exists(name) else b""
    if hashlib.sha256(data).hexdigest() != row.sha256:
        log.warning("%s/%s: %s is damaged; encoded again", storage.url, name, row.key)
        return None
    return data
