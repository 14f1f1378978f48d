"""Checking a folder of latents: is every byte and number as it says, and does it agree with its dataset?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import IntegrityError, SaoError
from sao_data.latents import folder, members, part, registry
from sao_data.latents.facts import FACTS, PARTS, SILENCE, LatentRow, LatentShard
from sao_data.latents.reader import Latents, open_latents
from sao_data.rights.takedowns import read_tombstones
from sao_data.storage import layout, shards, tables
from sao_data.storage.backend import Storage

_READ = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLatents:
    """What a check found."""

    latents: Latents | None  # None: not even latents.json could be read
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check(storage: Storage, say: Callable[[str], None], dataset: Dataset | None = None) -> CheckedLatents:
    """Check all of a folder of latents, and against its dataset where that is given, or at hand."""
    try:
        latents = open_latents(storage.url)
    except IntegrityError as error:
        return CheckedLatents(latents=None, findings=(str(error),))
    say("latents")
    findings = list(_files(latents))
    rows: dict[str, list[LatentRow]] = {}
    for row in tables.iterate(storage, layout.SAMPLES, LatentRow):
        rows.setdefault(row.shard, []).append(row)
    sums = np.zeros((2, latents.encoding.latent_dim))
    for shard in latents.said.shards:
        findings += _shard(latents, shard, rows.pop(shard.name, []), sums)
    findings += (f"{layout.SAMPLES}: {name} is in no shard of {FACTS}" for name in sorted(rows))
    findings += _numbers(latents, sums)
    dataset, notes = (dataset, ()) if dataset else _its_dataset(latents)
    if dataset:
        say("its dataset")
        findings += _against(latents, dataset)
    return CheckedLatents(latents=latents, findings=tuple(findings), notes=notes)


def check_known(dataset: Dataset, say: Callable[[str], None]) -> Iterator[tuple[str, CheckedLatents]]:
    """All folders of latents that a dataset knows of, each with its place; those not there are a note."""
    for storage in registry.known(dataset.storage):
        try:
            if storage.exists(layout.OWNER) and (home := folder.home_elsewhere(storage, dataset.storage)):
                notes = (f"it is of the dataset in {home}, and was not checked",)
                yield storage.url, CheckedLatents(latents=None, findings=(), notes=notes)
                continue
            found = check(storage, say, dataset) if storage.exists(layout.OWNER) else None
        except (SaoError, OSError) as error:
            yield storage.url, CheckedLatents(latents=None, findings=(), notes=(str(error),))
            continue
        if found is None:
            gone = "latents were encoded to it, and are not there any more; they were not checked"
            yield storage.url, CheckedLatents(latents=None, findings=(), notes=(gone,))
        else:
            yield storage.url, found


def _files(latents: Latents) -> Iterator[str]:
    """Nothing is missing, nothing too many."""
    storage, said = latents.storage, latents.said
    if set(said.files) != {layout.SAMPLES, SILENCE}:
        yield f"{FACTS}: names the files {', '.join(sorted(said.files))}"
    try:
        silence = latents.silence()
    except (SaoError, ValueError, FileNotFoundError) as error:
        yield f"{SILENCE}: {error}"
    else:
        if len(silence) != latents.encoding.window_latents:
            yield f"{SILENCE}: {len(silence)} latents, the window has {latents.encoding.window_latents}"
    if folder.read_owner(storage).encoding.digest != latents.encoding.digest:
        yield f"{layout.OWNER}: another codec or other settings than {FACTS}"
    names = {shard.name for shard in said.shards}
    kept = {part.part_name(name, suffix) for name in names for suffix in ("json", "parquet")}
    kept |= {f"{layout.SHARD_FOLDER}/{name}" for name in names}
    for name in (*storage.names(layout.SHARD_FOLDER), *storage.names(PARTS)):
        if name not in kept:
            yield f"{name}: not in {FACTS}"
    parts = part.read_all(storage)
    for shard in said.shards:
        if (found := parts.get(shard.name)) and found.shard != shard:
            yield f"{part.part_name(shard.name, 'json')}: not as {FACTS} has it"


def _shard(latents: Latents, shard: LatentShard, rows: list[LatentRow], sums: members.Sums) -> Iterator[str]:
    """The tar, member by member as its rows have them: these bytes and no others."""
    name = f"{layout.SHARD_FOLDER}/{shard.name}"
    if not latents.storage.exists(name):
        yield f"{name}: missing; run the same encode again"
        return
    if len(rows) != shard.num_samples:
        yield f"{name}: {shard.num_samples} samples by {FACTS}, {len(rows)} by {layout.SAMPLES}"
    whole, findings = hashlib.sha256(), []
    with latents.storage.open(name) as file:

        def take(num: int) -> bytes:
            data = file.read(num)
            whole.update(data)
            return data

        for row in rows:
            found = {}
            for suffix, size, sha256 in (
                ("npy", row.latents_size, row.sha256),
                ("json", row.json_size, row.json_sha256),
            ):
                header, found[suffix] = take(shards.BLOCK), take(size)
                if header != shards.member_header(f"{row.key}.{suffix}", size):
                    findings.append(f"{shard.name}: {row.key}.{suffix} is not where {layout.SAMPLES} has it")
                if hashlib.sha256(found[suffix]).hexdigest() != sha256:
                    what = f"{row.key}.{suffix} is damaged: not the sha256 of {layout.SAMPLES}"
                    findings.append(f"{shard.name}: {what}")
                take(shards.num_padding(size))
            findings += _sample(latents, row, found["npy"], found["json"], sums)
        while block := file.read(_READ):
            whole.update(block)
            if block.strip(b"\0"):
                findings.append(f"{shard.name}: something lies behind its last sample")
    if whole.hexdigest() != shard.sha256 or latents.storage.size(name) != shard.num_bytes:
        yield f"{name}: content is not what {FACTS} says; delete it and run the same encode again"
    yield from findings


def _sample(latents: Latents, row: LatentRow, data: bytes, text: bytes, sums: members.Sums) -> Iterator[str]:
    """The numbers of one sample, and what its JSON says of it."""
    encoding, where = latents.encoding, f"{row.shard}: {row.key}"
    try:
        found = members.from_bytes(data, encoding.latent_dim)
        sample = shards.parse_sample(text, where)
    except (ValueError, EOFError, SaoError) as error:
        yield f"{where}: {error}"
        return
    if not np.isfinite(found).all() or not (found[:, 1] > 0).all():
        yield f"{where}: numbers that are not finite, or deviations that are not above 0"
    sound = -(-row.num_frames // encoding.hop)
    stored = {sound} if sound > encoding.window_latents else range(sound, encoding.window_latents + 1)
    if len(found) != row.num_latents or row.num_latents not in stored:
        what = f"{len(found)} latents of {row.num_frames} frames"
        yield f"{where}: {what}, {layout.SAMPLES} has {row.num_latents}"
    said = (sample.id, sample.sha256, sample.num_frames, sample.start_frame, sample.recording_frames)
    if said != (row.recording_id, row.audio_sha256, row.num_frames, row.start_frame, row.recording_frames):
        yield f"{where}: its JSON says otherwise than {layout.SAMPLES}"
    for total, more in zip(sums, members.sums(found[:sound]), strict=True):
        total += more


def _numbers(latents: Latents, sums: members.Sums) -> Iterator[str]:
    """Counts and statistics follow from the shards."""
    said, num = latents.said, 0
    counted = {"samples": 0, "frames": 0}
    for row in tables.iterate(latents.storage, layout.SAMPLES, LatentRow):
        counted["samples"] += 1
        counted["frames"] += row.num_frames
        num += min(-(-row.num_frames // said.encoding.hop), row.num_latents)
    for what, there in (("samples", said.num_samples), ("frames", said.num_frames)):
        if there != counted[what]:
            yield f"{FACTS}: {there} {what}, {layout.SAMPLES} has {counted[what]}"
    mean, std = members.statistics(num, *sums)
    ours = (num, mean, std)
    near = said.channels.num_latents == num and np.allclose(
        [said.channels.mean, said.channels.std], [mean, std], rtol=1e-5, atol=1e-6
    )
    if not near:
        yield f"{FACTS}: channels are not those of the latents ({ours[0]:,} of them)"


def _its_dataset(latents: Latents) -> tuple[Dataset | None, tuple[str, ...]]:
    """The dataset where it lay, or why it cannot be held against it."""
    if latents.data is None:
        return None, ("its dataset is not at hand: its JSON was not held against that",)
    try:
        return open_dataset(latents.data.url), ()
    except SaoError as error:
        return None, (f"its dataset cannot be read: {error}",)


def _against(latents: Latents, dataset: Dataset) -> Iterator[str]:
    """The same samples, words and audio as in the dataset, and no work that was taken down."""
    taken = read_tombstones(dataset.storage).ids
    rows = {row.key: row for row in tables.iterate(latents.storage, layout.SAMPLES, LatentRow)}
    held = sorted({row.recording_id for row in rows.values()} & taken)
    if held:
        fix = "run the take-down again with --apply, or the same encode"
        yield f"{', '.join(held)}: taken down, and still in the latents; {fix}"
    ours, theirs = latents.said.dataset, dataset.facts
    if ours.root_digest != theirs["root_digest"]:
        if not held:
            yield f"latents of version {ours.version}, the dataset is {theirs['version']}; run encode again"
        return
    names = {shard.dataset_shard for shard in latents.said.shards}
    for sample in dataset.samples():
        if sample.shard not in names:
            continue
        row = rows.pop(sample.key, None)
        if row is None:
            yield f"{sample.key}: in the dataset, not in the latents"
        elif (row.audio_sha256, row.json_sha256) != (sample.sha256, sample.json_sha256):
            yield f"{sample.key}: its audio or JSON is not that of the dataset"
    yield from (f"{key}: in the latents, not in the dataset" for key in sorted(rows))
