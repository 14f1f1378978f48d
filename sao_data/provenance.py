"""Reading a finished dataset: what it says of itself, whether it is true, and why a recording is in it or
not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sao_data import catalogue, evidence, owner, shards, tables
from sao_data.errors import MatchedNothing, UsageError
from sao_data.publish import FILE, SAMPLES, SHARDS, root_digest
from sao_data.records import CatalogueRow, SampleRow, Shard
from sao_data.storage import Storage, open_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A published dataset: dataset.json and the tables it commits to."""

    storage: Storage
    facts: dict[str, Any]  # dataset.json

    def shards(self) -> list[Shard]:
        return tables.read(self.storage, SHARDS, Shard)

    def samples(self) -> Iterator[SampleRow]:
        return tables.iterate(self.storage, SAMPLES, SampleRow)

    def catalogue(self) -> Iterator[CatalogueRow]:
        return tables.iterate(self.storage, catalogue.FILE, CatalogueRow)


def open_dataset(url: str) -> Dataset:
    """The published dataset at a path or URL; UsageError if there is none or it is not finished."""
    storage = open_storage(url)
    owner.read(storage)
    if not storage.exists(FILE):
        raise UsageError(f"{storage.url}: not finished (no {FILE}); run the same ingest again to continue")
    try:
        facts = json.loads(storage.read(FILE))
    except ValueError as error:
        raise UsageError(f"{storage.url}/{FILE}: not valid JSON ({error}); run the ingest again") from error
    return Dataset(storage=storage, facts=facts)


def verify(dataset: Dataset, tick: Callable[[str], None] | None = None) -> list[str]:
    """Findings, one sentence each; none means that every byte and every number is as published."""
    say = tick or (lambda _: None)
    say("files")
    findings = list(_verify_files(dataset))
    if findings and any(
        name in finding for finding in findings for name in (SHARDS, SAMPLES, catalogue.FILE)
    ):
        return findings  # the tables themselves are damaged: what they say proves nothing
    say("shards")
    findings += shards.verify(dataset.storage, dataset.shards(), dataset.samples())
    say("evidence")
    findings += _verify_evidence(dataset)
    say("numbers")
    findings += _verify_numbers(dataset)
    return findings


def why(dataset: Dataset, recording_id: str) -> tuple[CatalogueRow, str]:
    """The catalogue row of a recording and its raw evidence ('' if none); MatchedNothing if it was never
    offered."""
    wanted = recording_id.split("#", 1)[0]
    row = next((row for row in dataset.catalogue() if row.id == wanted), None)
    if row is None:
        row = next((row for row in dataset.catalogue() if row.id == _id_of_key(wanted)), None)
    if row is None:
        raise MatchedNothing(
            f"{dataset.storage.url}: {recording_id} was never offered; ids look like {_example(dataset)}"
        )
    return row, _raw(dataset, row.evidence)


def _verify_files(dataset: Dataset) -> Iterator[str]:
    files: dict[str, str] = dataset.facts["files"]
    for name, wanted in files.items():
        if name.startswith(f"{shards.FOLDER}/"):
            continue  # read once, by shards.verify
        if not dataset.storage.exists(name):
            yield f"{name}: missing"
        elif hashlib.sha256(dataset.storage.read(name)).hexdigest() != wanted:
            yield f"{name}: content is not what dataset.json says"
    sealed = {name: sha for name, sha in files.items() if _is_sealed(name)}
    if root_digest(sealed) != dataset.facts["root_digest"]:
        yield "dataset.json: the root digest does not follow from the files it lists"


def _is_sealed(name: str) -> bool:
    return name in (SHARDS, SAMPLES, catalogue.FILE) or name.startswith(
        (f"{shards.FOLDER}/", f"{evidence.FOLDER}/")
    )


def _verify_evidence(dataset: Dataset) -> Iterator[str]:
    known: set[str] = set()
    names = [name for name in dataset.facts["files"] if name.startswith(f"{evidence.FOLDER}/")]
    for name in names:
        try:
            known.update(evidence.read_rows(dataset.storage, name))
        except (ValueError, OSError, EOFError) as error:
            yield f"{name}: {error}"
    leaves = sorted(evidence.digest_of(name) for name in names)
    if evidence.merkle_root(leaves) != dataset.facts["evidence"]["merkle_root"]:
        yield "evidence: the Merkle root in dataset.json is not that of its files"
    for row in dataset.catalogue():
        if row.evidence and row.evidence not in known:
            yield f"{row.id}: its evidence {row.evidence[:12]}… is in no evidence file"


def _verify_numbers(dataset: Dataset) -> Iterator[str]:
    """The catalogue, the sample index and dataset.json must tell the same story."""
    packed: dict[str, int] = {}
    for sample in dataset.samples():
        packed[sample.recording_id] = packed.get(sample.recording_id, 0) + 1
    offered = kept = 0
    for row in dataset.catalogue():
        offered += row.num_offers
        kept += row.kept
        num_samples = packed.pop(row.id, 0)
        if num_samples != row.num_clips or row.kept != (num_samples > 0):
            yield f"{row.id}: {row.num_clips} clips by the catalogue, {num_samples} in the shards"
        if row.kept and row.verdict != "allow":
            yield f"{row.id}: is in the dataset, its verdict is {row.verdict}"
    for recording_id in sorted(packed):
        yield f"{recording_id}: is in a shard, not in the catalogue"
    counts = dataset.facts["counts"]
    for what, number in (("offered", offered), ("kept", kept)):
        if counts[what] != number:
            yield f"dataset.json: {counts[what]} {what}, the catalogue has {number}"


def _raw(dataset: Dataset, digest: str) -> str:
    for name in dataset.facts["files"]:
        if digest and name.startswith(f"{evidence.FOLDER}/"):
            rows = evidence.read_rows(dataset.storage, name)
            if digest in rows:
                return rows[digest]
    return ""


def _id_of_key(key: str) -> str:
    """The id behind a sample name: "freesound-000012345" is "freesound:12345"."""
    source, _, own = key.partition("-")
    return f"{source}:{int(own.split('-')[0])}" if own.split("-")[0].isdigit() else f"{source}:{own}"


def _example(dataset: Dataset) -> str:
    return next((row.id for row in dataset.catalogue()), "freesound:12345")
