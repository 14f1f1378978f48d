"""Whose a sample is, told by the shard alone: attribution travels inside every sample. Where the shard still
lies in its dataset, what that says of it is held against the shard.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast

from sao_data.dataset import explain
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import MatchedNothing, UsageError
from sao_data.records import CatalogueRow, Sample, SampleRow, Shard
from sao_data.storage import inputs, layout, shards

_MOST_JSON = 1 << 22  # bytes of one sample's JSON: no honest one comes near


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleProvenance:
    """One sample of a shard."""

    key: str
    sample: Sample
    json_sha256: str
    flac_sha256: str  # of the audio beside it; '' where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardHome:
    """The dataset that a shard lies in."""

    dataset: Dataset
    shard: Shard
    rows: dict[str, SampleRow]  # by key

    def remarks(self, found: SampleProvenance) -> Iterator[str]:
        """What the dataset says otherwise of a sample."""
        row = self.rows.get(found.key)
        if row is None:
            yield "the dataset's index does not have it; `sao verify` tells more"
            return
        same = {"JSON": row.json_sha256 == found.json_sha256, "audio": row.sha256 == found.flac_sha256}
        for what, is_same in same.items():
            if not is_same:
                yield f"its {what} is not what the dataset's index says; `sao verify` tells more"

    def work(self, found: SampleProvenance) -> CatalogueRow:
        """The recording it is of, as the catalogue has it."""
        return explain.find(self.dataset, found.sample.id)[0]


def samples(location: str, key: str = "") -> Iterator[SampleProvenance]:
    """Samples of a shard at a path or URL, in its order; of one key only, if one is given.

    UsageError for what is no shard, MatchedNothing where no sample has the key, IntegrityError for JSON that
    is none of ours.
    """
    if not inputs.is_file(location):
        raise UsageError(f"{location}: no such file; give a shard, as out/demo/shards/train-000000.tar")
    num = 0
    with inputs.open_file(location) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for found in _read(tar, location, key):
                    num += 1
                    yield found
        except tarfile.ReadError as error:
            raise UsageError(f"{location}: no shard ({error}); give a .tar of a dataset's shards/") from error
    if not num:
        what = f"no sample {key!r}" if key else "no samples"
        raise MatchedNothing(f"{location}: {what} in it; `sao provenance {location}` lists those there are")


def home(location: str) -> ShardHome | None:
    """The dataset whose shards/ the shard lies in; None for one that was carried away."""
    folder, _, name = location.rpartition("/")
    root, _, shard_folder = folder.rpartition("/")
    if shard_folder != layout.SHARD_FOLDER or not inputs.is_file(f"{root or '.'}/{layout.DATASET}"):
        return None
    dataset = open_dataset(root or ".")
    shard = next((each for each in dataset.shards() if each.name == name), None)
    if shard is None:
        return None
    rows = {row.key: row for row in dataset.samples() if row.shard == name}
    return ShardHome(dataset=dataset, shard=shard, rows=rows)


def _read(tar: tarfile.TarFile, location: str, key: str) -> Iterator[SampleProvenance]:
    audio: dict[str, str] = {}  # the FLAC stands before its JSON
    for member in tar:
        path = PurePosixPath(member.name)
        if not member.isfile() or (key and path.stem != key):
            continue
        file = tar.extractfile(member)
        assert file is not None, member.name
        if path.suffix == ".flac":
            audio = {path.stem: hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()}
        elif path.suffix == ".json":
            where = f"{location}: {member.name}"
            if member.size > _MOST_JSON:
                raise UsageError(f"{where}: {member.size:,} bytes, which no sample has; is this our shard?")
            text = file.read()
            yield SampleProvenance(
                key=path.stem,
                sample=shards.parse_sample(text, where),
                json_sha256=hashlib.sha256(text).hexdigest(),
                flac_sha256=audio.get(path.stem, ""),
            )
