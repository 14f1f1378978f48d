"""Shards are plain tars whose bytes follow from their samples, and damage anywhere is named."""

import dataclasses
import hashlib
import io
import json
import random
import tarfile
import typing
from pathlib import Path
from typing import Any

import pytest

from sao_data.dataset.checks import shard_check
from sao_data.errors import IntegrityError
from sao_data.records import Sample, SampleRow, Shard
from sao_data.storage import layout, shards
from sao_data.storage.backend import LocalStorage


def sample(n: int, flac: bytes) -> Sample:
    """A sample with every field filled by its type."""
    empty: dict[Any, Any] = {str: "", int: n, list[str]: []}
    values = {name: empty[hint] for name, hint in typing.get_type_hints(Sample).items()}
    return Sample(**values | {"id": f"x:{n}", "title": "Regen ☂", "sha256": hashlib.sha256(flac).hexdigest()})  # type: ignore[arg-type]


def flac_of(num_frames: int) -> bytes:
    """Noise behind a STREAMINFO of so many frames."""
    noise = random.Random(num_frames).randbytes(700 + num_frames)
    return b"fLaC" + bytes(17) + num_frames.to_bytes(5, "big") + noise


def write(storage: LocalStorage, num: int = 4) -> tuple[Shard, list[SampleRow]]:
    name = shards.shard_name("train", 0)
    with storage.staged(f"{layout.SHARD_FOLDER}/{name}") as path, path.open("wb") as file:
        writer = shards.ShardWriter(file, name, "train")
        for n in range(num):
            flac = flac_of(n)
            writer.add(f"x-{n:09d}", sample(n, flac), flac, ())
        shard = writer.finish()
    return shard, writer.rows


def test_any_tar_reader_reads_them(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    data = storage.read(f"shards/{shard.name}")
    assert (shard.sha256, shard.num_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == [f"x-{n:09d}.{e}" for n in range(4) for e in ("flac", "json")]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
        for row, member in zip(rows, members[::2], strict=True):
            assert (row.flac_offset, row.flac_size) == (member.offset_data, member.size)
    assert len(data) % 10240 == 0


def test_the_index_reads_one_sample_without_the_rest(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    _, rows = write(storage)
    flac, fields = shards.read_sample(storage, rows[2])
    assert flac == flac_of(2)
    assert fields["title"] == "Regen ☂"
    assert list(fields) == sorted(fields)


def test_an_intact_shard_has_no_findings(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    assert list(shard_check.verify(storage, [shard], rows)) == []


@pytest.mark.parametrize("seed", range(40))
def test_one_flipped_bit_anywhere_is_named(tmp_path: Path, seed: int) -> None:
    storage, dice = LocalStorage(tmp_path), random.Random(seed)
    shard, rows = write(storage)
    data = bytearray(storage.read(f"shards/{shard.name}"))
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    storage.write(f"shards/{shard.name}", bytes(data))
    assert any(shard.name in finding for finding in shard_check.verify(storage, [shard], rows))


def test_a_cut_at_a_member_boundary_is_named(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    data = storage.read(f"shards/{shard.name}")
    storage.write(f"shards/{shard.name}", data[: rows[2].flac_offset - 512])
    findings = list(shard_check.verify(storage, [shard], rows))
    assert any("x-000000003.flac is damaged" in finding for finding in findings)
    with pytest.raises(IntegrityError, match="shard ends at byte"):
        shards.read_sample(storage, rows[3])


def test_damage_is_not_handed_out(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    data = bytearray(storage.read(f"shards/{shard.name}"))
    data[rows[1].flac_offset + 3] ^= 1
    storage.write(f"shards/{shard.name}", bytes(data))
    with pytest.raises(IntegrityError, match="audio of x-000000001 is damaged"):
        shards.read_sample(storage, rows[1])


def test_missing_unknown_and_misplaced_are_named(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    storage.write("shards/train-000009.tar", b"")
    swapped = [dataclasses.replace(rows[0], flac_offset=rows[1].flac_offset), *rows[1:]]
    other = dataclasses.replace(shard, name="train-000005.tar")
    findings = list(
        shard_check.verify(
            storage, [shard, other], [*swapped, dataclasses.replace(rows[0], shard="gone.tar")]
        )
    )
    assert "shards/train-000009.tar: not in shards.parquet" in findings
    assert "shards/train-000005.tar: missing" in findings
    assert "gone.tar: samples.parquet names it, shards.parquet does not" in findings
    assert any("points at x-000000001.flac for x-000000000.flac" in finding for finding in findings)


@pytest.mark.parametrize("field", ["json_offset", "flac_offset"])
@pytest.mark.parametrize("shift", [-1, 1, -(10**9), 10**9])
def test_an_index_that_points_anywhere_is_named(tmp_path: Path, field: str, shift: int) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    moved = dataclasses.replace(rows[2], **{field: getattr(rows[2], field) + shift})
    findings = list(shard_check.verify(storage, [shard], [*rows[:2], moved, rows[3]]))
    name = f"x-000000002.{field.removesuffix('_offset')}"
    told = (f" for {name}", f"has {name} beyond", f"{name} is damaged")
    assert any(words in finding for finding in findings for words in told)
    assert all(name in finding for finding in findings)


def test_every_sample_is_shown_once_and_compared_with_its_row(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    seen: list[tuple[str, str]] = []

    def on_sample(row: SampleRow, said: Sample) -> None:
        seen.append((row.key, said.id))

    other = dataclasses.replace(rows[0], recording_id="x:9", num_frames=7)
    findings = list(shard_check.verify(storage, [shard], [other, *rows[1:]], on_sample))
    assert seen == [(f"x-{n:09d}", f"x:{n}") for n in range(4)]
    assert findings == [
        "train-000000.tar: x-000000000.flac says that it holds None frames, samples.parquet has 7",
        "train-000000.tar: x-000000000.json: id is 'x:0', samples.parquet has 'x:9'",
        "train-000000.tar: x-000000000.json: num_frames is 0, samples.parquet has 7",
    ]


def test_a_sample_whose_json_is_none_is_named(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    shard, rows = write(storage)
    data = bytearray(storage.read(f"shards/{shard.name}"))
    data[rows[1].json_offset] = ord("[")
    storage.write(f"shards/{shard.name}", bytes(data))
    findings = list(shard_check.verify(storage, [shard], rows))
    assert any(f.startswith("train-000000.tar: x-000000001.json: Invalid JSON: ") for f in findings)


def test_a_sample_written_before_languages_were_noted_is_read() -> None:
    said = dataclasses.asdict(sample(1, flac_of(1)))
    earlier = {name: value for name, value in said.items() if name not in ("language", "language_by")}
    read = shards.parse_sample(json.dumps(earlier).encode(), "x.json")
    assert (read.language, read.language_by, read.title) == ("", "", "Regen ☂")
