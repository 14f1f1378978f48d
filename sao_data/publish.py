"""Publish: from finished buckets to the dataset that readers see; dataset.json is written last and commits it
all."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sao_data import (
    __version__,
    catalogue,
    config,
    evidence,
    held,
    licences,
    owner,
    reviews,
    shards,
    tables,
)
from sao_data.attribution.card import dataset_card
from sao_data.attribution.croissant import croissant
from sao_data.attribution.info import DatasetInfo, info_from
from sao_data.attribution.report import files
from sao_data.held import Held
from sao_data.licences import Policy, Release
from sao_data.licences.table import table
from sao_data.manifest import Manifest
from sao_data.records import CatalogueRow, Clip, Decision, Objection, SampleRow, Shard
from sao_data.screening import Screening, Sent
from sao_data.stage import WORK, Bucket
from sao_data.stages.decide import ALLOWED, DENIED
from sao_data.stages.listing import NAME as LIST
from sao_data.stages.listing import Listed
from sao_data.stages.pack import read_shards
from sao_data.storage import Storage, write_if_changed
from sao_data.summary import Summary
from sao_data.words import policy_lines, release_lines, screening_lines

FILE = "dataset.json"
SHARDS = "shards.parquet"
SAMPLES = "samples.parquet"
SCREENING = "screening.parquet"
REPORT = "attribution"
Finished = tuple[Bucket, tuple[Objection, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that a version of a dataset says; `commit` makes it what readers see."""

    described: dict[str, Any]  # the manifest as dataset.json keeps it
    rows: list[CatalogueRow]
    shards: list[Shard]
    samples: list[SampleRow]
    evidence: dict[str, bytes]
    held: dict[str, bytes]  # tables of fingerprints
    sent: tuple[Sent, ...]  # the audit of the screening
    answers: dict[str, str]  # what persons decided, by recording id
    warnings: tuple[str, ...] = ()


def publish(
    storage: Storage,
    manifest: Manifest,
    finished: list[Finished],
    notes: tuple[str, ...] = (),
    sent: tuple[Sent, ...] = (),
) -> Summary:
    """Write tables, evidence, report and card of the finished buckets; then dataset.json; then tidy up."""
    answers = reviews.read(storage)
    rows = [row for bucket, objections in finished for row in catalogue.rows(bucket, objections)]
    contents = Contents(
        described=manifest.described(),
        rows=rows,
        shards=[shard for bucket, _ in finished for shard in read_shards(storage, bucket.parts["pack"])],
        samples=[row for bucket, _ in finished for row in bucket.rows("pack", SampleRow)],
        evidence=dict(_evidence(finished)),
        held=dict(_held(storage, finished)),
        sent=sent,
        answers=_used(rows, answers),
        warnings=(*notes, *_without_effect(manifest, rows, answers)),
    )
    info, changed = commit(storage, contents)
    reviews.write(storage, _waiting(rows))
    _tidy(storage, finished, keep_blobs=manifest.work.keep)
    return summary_of(info, storage.url, rows, changed=changed)


def commit(storage: Storage, contents: Contents) -> tuple[DatasetInfo, bool]:
    """Make the directory say this and nothing else, dataset.json last; say whether anything was written."""
    rows = sorted(contents.rows, key=lambda row: row.id)
    packed = sorted(contents.shards, key=lambda shard: shard.name)
    written = {
        SHARDS: tables.to_bytes(Shard, packed),
        SAMPLES: tables.to_bytes(SampleRow, sorted(contents.samples, key=lambda row: row.key)),
        catalogue.FILE: tables.to_bytes(CatalogueRow, rows),
        **contents.evidence,
    }
    digests = {name: _sha256(data) for name, data in written.items()}
    digests |= {f"{shards.FOLDER}/{shard.name}": shard.sha256 for shard in packed}
    root = root_digest(digests, contents.described)
    info = info_of(contents.described, rows, packed, root, contents.warnings)
    written |= contents.held | dict(report_files(info, rows))
    if contents.sent:
        written[SCREENING] = tables.to_bytes(Sent, contents.sent)
    changed = [_put(storage, name, data) for name, data in written.items()]
    digests |= {name: _sha256(data) for name, data in written.items()}
    _remove_stale(storage, digests)
    changed.append(write_if_changed(storage, FILE, _dataset_json(contents, info, digests)))
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
    where = "dataset.json"
    policy = config.parse(Policy, described["policy"], where=where)
    release = config.parse(Release, described["release"], where=where)
    screening = config.parse(Screening, described["screening"], where=where)
    return info_from(
        rows,
        packed,
        name=described["name"],
        description=described["description"],
        version=root[:12],
        root_digest=root,
        policy=(*policy_lines(policy), *screening_lines(screening)),
        release=release_lines(release),
        contact=described["contact"],
        warnings=warnings,
    )


def report_files(info: DatasetInfo, rows: list[CatalogueRow]) -> Iterator[tuple[str, bytes]]:
    """Attribution report, dataset card and Croissant, by their names in the dataset directory."""
    for name, data in files(info, rows):
        yield f"{REPORT}/{name}", data
    yield "README.md", dataset_card(info).encode()
    yield "croissant.json", _json(croissant(info))


def summary_of(info: DatasetInfo, url: str, rows: Iterable[CatalogueRow], *, changed: bool) -> Summary:
    """The closing numbers."""
    reasons: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.num_offers > 1:
            reasons[(LIST, "duplicate_id")] += row.num_offers - 1
        if not row.kept:
            reasons[(row.stage, row.reason)] += 1
    return Summary(
        name=info.name,
        url=url,
        version=info.version,
        offered=info.offered,
        kept=info.kept,
        rejected=tuple((*key, num) for key, num in sorted(reasons.items(), key=lambda i: (-i[1], i[0]))),
        seconds=info.seconds,
        num_samples=info.num_samples,
        num_shards=len(info.shards),
        num_bytes=sum(shard.num_bytes for shard in info.shards),
        warnings=info.warnings,
        changed=changed,
    )


def _put(storage: Storage, name: str, data: bytes) -> bool:
    """Write a file that dataset.json speaks of; the old dataset.json goes first, lest it speak falsely."""
    if storage.exists(name) and storage.size(name) == len(data) and storage.read(name) == data:
        return False
    storage.delete(FILE)
    storage.write(name, data)
    return True


def _evidence(finished: list[Finished]) -> Iterable[tuple[str, bytes]]:
    for bucket, _ in finished:
        raw = [row.raw for row in bucket.rows(LIST, Listed) if row.raw]
        if raw:
            yield evidence.pack(raw)


def _held(storage: Storage, finished: list[Finished]) -> Iterator[tuple[str, bytes]]:
    for bucket, _ in finished:
        authors = {row.recording.id: row.recording.author_id for row in bucket.rows(LIST, Listed)}
        taken = {d.recording_id for d in bucket.rows("decide", Decision) if d.rule == "taken_down"}
        new = [
            Held(
                recording_id=clip.recording_id,
                author_id=authors[clip.recording_id],
                audio_sha256=clip.audio_sha256,
                original_sha256=clip.audio.sha256,
                fingerprint=clip.fingerprint,
            )
            for clip in bucket.rows("normalise", Clip)
            if clip.number == 0
        ]
        rows = held.merged(storage, bucket.index, len(finished), new, taken)
        if rows:
            yield held.name_of(bucket.index), tables.to_bytes(Held, rows)


def _used(rows: list[CatalogueRow], answers: dict[str, reviews.Answer]) -> dict[str, str]:
    """Answers that decided something."""
    decided = (row.id for row in rows if row.rule in (ALLOWED, DENIED))
    return {key: answers[key].verdict for key in sorted(decided)}


def _without_effect(
    manifest: Manifest, rows: list[CatalogueRow], answers: dict[str, reviews.Answer]
) -> tuple[str, ...]:
    """Answers and block lists that change nothing: most often a typing error, so it is said."""
    rules = {row.id: row.rule for row in rows}
    idle = [
        f"{reviews.FILE}: allow for {answer.id} has no effect: {rules[answer.id]} is not up for review."
        for answer in answers.values()
        if answer.verdict == "allow"
        and rules.get(answer.id, "allowed_by_review") not in ("allowed_by_review", "allowed")
    ]
    idle += [f"{reviews.FILE}: {name} was never offered." for name in answers if name not in rules]
    idle += [
        f"policy.block_ids: {name} was never offered."
        for name in manifest.policy.block_ids
        if name not in rules
    ]
    return tuple(sorted(idle))


def _waiting(rows: list[CatalogueRow]) -> list[tuple[str, str]]:
    return [(row.id, f"{row.rule}: {row.detail}") for row in rows if row.verdict == "review"]


def _dataset_json(contents: Contents, info: DatasetInfo, digests: dict[str, str]) -> bytes:
    leaves = sorted(evidence.digest_of(name) for name in digests if name.startswith(f"{evidence.FOLDER}/"))
    return _json(
        {
            "format": owner.FORMAT,
            "format_version": owner.FORMAT_VERSION,
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
            "answers": contents.answers,
            "licence_reader": {"version": licences.VERSION, "table": table().digest},
            "warnings": list(contents.warnings),
            "evidence": {"num_files": len(leaves), "merkle_root": evidence.merkle_root(leaves)},
            "files": dict(sorted(digests.items())),
        }
    )


def _remove_stale(storage: Storage, digests: dict[str, str]) -> None:
    """Shards, evidence and report pages of an earlier version that this one does not have."""
    for folder in (shards.FOLDER, evidence.FOLDER, held.FOLDER, REPORT):
        for name in storage.names(folder):
            if name not in digests:
                storage.delete(name)
    if SCREENING not in digests:
        storage.delete(SCREENING)


def _tidy(storage: Storage, finished: list[Finished], *, keep_blobs: bool) -> None:
    """Parts of earlier settings, and blobs: packing deletes them, but may have been killed before it did."""
    current = {part.stem for bucket, _ in finished for part in bucket.parts.values()}
    stages = {part.stage for bucket, _ in finished for part in bucket.parts.values()}
    for stage in sorted(stages):
        for name in storage.names(f"{WORK}/{stage}"):
            if name.split(".", 1)[0] not in current or (name.endswith(".blob") and not keep_blobs):
                storage.delete(name)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
