"""Commit: everything that a version of a dataset says, made what readers see; dataset.json last of all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sao_data import __version__, config, licences
from sao_data.attribution.card import dataset_card
from sao_data.attribution.croissant import croissant
from sao_data.attribution.figures.overview import statistics_files
from sao_data.attribution.figures.tally import Statistics, statistics_of
from sao_data.attribution.info import DatasetInfo, info_from
from sao_data.attribution.policy_text import evaluation_lines, policy_lines, release_lines, screening_lines
from sao_data.attribution.report import files
from sao_data.dataset import reader
from sao_data.dataset.history import past
from sao_data.errors import Locked
from sao_data.licences import Policy, Release
from sao_data.licences.table import table
from sao_data.measures import MeasuredClip
from sao_data.records import CatalogueRow, SampleRow, Shard
from sao_data.rights import request_log
from sao_data.screening import AuditRow, Screening
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import Storage, write_if_changed

_REQUESTS = (layout.TAKEDOWNS, layout.CREDITS)  # files that only grow


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that a version of a dataset says; `commit` makes it what readers see."""

    described: dict[str, Any]  # the manifest as dataset.json keeps it
    rows: list[CatalogueRow]
    shards: list[Shard]
    samples: list[SampleRow]
    measures: list[MeasuredClip] | None  # None: of a dataset that never had them
    evidence: dict[str, bytes]
    fingerprints: dict[str, bytes]  # tables of fingerprints
    audit: tuple[AuditRow, ...]  # the audit of the screening
    answers: dict[str, str]  # what persons decided, by recording id
    undone: Mapping[str, int] = field(default_factory=dict)  # "buckets", "recordings" left for the next run
    warnings: tuple[str, ...] = ()


def commit(storage: Storage, contents: Contents) -> tuple[DatasetInfo, bool]:
    """Make the directory say this and nothing else, dataset.json last; say whether anything was written."""
    rows = sorted(contents.rows, key=lambda row: row.id)
    packed = sorted(contents.shards, key=lambda shard: shard.name)
    written = {
        layout.SHARDS: tables.to_bytes(Shard, packed),
        layout.SAMPLES: tables.to_bytes(SampleRow, sorted(contents.samples, key=lambda row: row.key)),
        layout.CATALOGUE: tables.to_bytes(CatalogueRow, rows),
        **contents.evidence,
    }
    if contents.measures is not None:
        measures = sorted(contents.measures, key=lambda row: row.id)
        written[layout.MEASURES] = tables.to_bytes(MeasuredClip, measures)
    digests = {name: _sha256(data) for name, data in written.items()}
    digests |= {f"{layout.SHARD_FOLDER}/{shard.name}": shard.sha256 for shard in packed}
    root = root_digest(digests, contents.described)
    info = info_of(contents.described, rows, packed, root, contents.warnings)
    found = statistics_of(rows, contents.measures)
    written |= contents.fingerprints | dict(report_files(info, rows, found))
    if contents.audit:
        written[layout.SCREENING] = tables.to_bytes(AuditRow, contents.audit)
    past.supersede(storage, packed, rows)
    changed = [_put(storage, name, data) for name, data in written.items()]
    digests |= {name: _sha256(data) for name, data in written.items()}
    _remove_stale(storage, digests)
    changed.append(_publish(storage, _dataset_json(storage, contents, info, digests)))
    storage.delete(layout.SUPERSEDED)
    return info, any(changed)


def root_digest(digests: dict[str, str], described: object) -> str:
    """Merkle root over manifest, shards, tables and evidence: names and contents, ordered by name."""
    leaves = digests | {"manifest": config.digest(described)}
    return evidence.merkle_root([_sha256(f"{name}\n{leaves[name]}".encode()) for name in sorted(leaves)])


def info_of(
    described: dict[str, Any],
    rows: list[CatalogueRow],
    packed: list[Shard],
    root: str,
    warnings: tuple[str, ...],
) -> DatasetInfo:
    """What reports say about the dataset as a whole."""
    where = layout.DATASET
    policy = config.parse(Policy, described["policy"], where=where)
    release = config.parse(Release, described["release"], where=where)
    screening = config.parse(Screening, described["screening"], where=where)
    lists = [item["name"] for item in described.get("decontaminate", ())]
    return info_from(
        rows,
        packed,
        name=described["name"],
        description=described["description"],
        version=root[:12],
        root_digest=root,
        policy=(*policy_lines(policy), *evaluation_lines(lists), *screening_lines(screening)),
        release=release_lines(release),
        contact=described["contact"],
        warnings=warnings,
    )


def report_files(
    info: DatasetInfo, rows: list[CatalogueRow], found: Statistics
) -> Iterator[tuple[str, bytes]]:
    """Attribution report, dataset card, Croissant and statistics, by their names in the directory."""
    for name, data in files(info, rows):
        yield f"{layout.REPORT}/{name}", data
    yield layout.CARD, dataset_card(info, found).encode()
    yield layout.CROISSANT, _json(croissant(info))
    yield from statistics_files(info, found)


def _put(storage: Storage, name: str, data: bytes) -> bool:
    """Write a file that dataset.json speaks of; the old dataset.json is deleted first, since it would no
    longer be true."""
    if storage.exists(name) and storage.size(name) == len(data) and storage.read(name) == data:
        return False
    storage.delete(layout.DATASET)
    storage.write(name, data)
    return True


def _publish(storage: Storage, data: bytes) -> bool:
    """Put dataset.json, the one commit point; say whether it was anew. Where is none, one run puts it."""
    if storage.exists(layout.DATASET):
        return write_if_changed(storage, layout.DATASET, data)
    if not storage.create(layout.DATASET, data):
        raise Locked(
            f"{storage.url}: another run has published a version meanwhile; run the same command again"
        )
    return True


def _dataset_json(storage: Storage, contents: Contents, info: DatasetInfo, digests: dict[str, str]) -> bytes:
    leaves = sorted(evidence.digest_of(name) for name in digests if name.startswith(f"{layout.EVIDENCE}/"))
    return _json(
        {
            "format": reader.FORMAT,
            "format_version": reader.FORMAT_VERSION,
            "name": info.name,
            "version": info.version,
            "root_digest": info.root_digest,
            "tool": f"sao {__version__}",
            "manifest": contents.described,
            "counts": {
                "offered": info.offered,
                "kept": info.kept,
                "rejected": info.rejected,
                "clips": info.num_clips,
                "samples": info.num_samples,
                "shards": len(info.shards),
                "seconds": info.seconds,
            },
            "rejected_by_reason": dict(sorted(info.rejected_by_reason)),
            "undone": {name: contents.undone.get(name, 0) for name in ("buckets", "recordings")},
            "answers": contents.answers,
            "requests": {
                name: request_log.seal(storage, name) for name in (layout.TAKEDOWNS, layout.CREDITS)
            },
            "licence_reader": {"version": licences.VERSION, "table": table().digest},
            "warnings": list(contents.warnings),
            "evidence": {"num_files": len(leaves), "merkle_root": evidence.merkle_root(leaves)},
            "files": dict(sorted(digests.items())),
        }
    )


def _remove_stale(storage: Storage, digests: dict[str, str]) -> None:
    """Shards, evidence and report pages of an earlier version that this one does not have."""
    for folder in (layout.SHARD_FOLDER, layout.EVIDENCE, layout.FINGERPRINTS, layout.REPORT):
        for name in storage.names(folder):
            if name not in digests:
                storage.delete(name)
    for name in (layout.SCREENING, layout.MEASURES):
        if name not in digests:
            storage.delete(name)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
