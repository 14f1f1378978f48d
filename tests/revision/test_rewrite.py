"""Rewriting in place: only what is concerned is written, nothing is lost, no work is redone."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import IntegrityError
from sao_data.ids import bucket_of
from sao_data.records import Sample, SampleRow
from sao_data.revision import rewrite
from sao_data.revision.journal import Change
from sao_data.revision.rewrite_shard import rewrite_shard
from sao_data.revision.takedown import as_taken_down
from sao_data.rights import takedowns
from sao_data.rights.takedowns import Tombstone
from sao_data.screening import AuditRow
from sao_data.sources import freesound
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import LocalStorage, Storage
from sao_data.storage.shards import ShardWriter, read_sample
from tests.sounds_made import Mortal, build, count_decoded, load, opened, rows, sound, write_sounds
from tests.streams_made import sample


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ with 10 sounds, out/ the dataset of them, its audio blobs kept."""
    tmp = tmp_path_factory.mktemp("rewrite")
    sounds = [sound(n) for n in range(1, 11)]
    build(load(write_sounds(tmp / "in", sounds), "[work]\nkeep = true", num_buckets=2), tmp / "out")
    return tmp


def remove(storage: Storage, ids: Collection[str]) -> rewrite.Rewritten:
    """What a take-down does, with the barest of tombstones."""
    dataset = opened(storage)
    takedowns.append(storage, [Tombstone(id=key, when="2026-11-22", reason="test") for key in sorted(ids)])
    blank = as_taken_down(dataset)
    changes = [Change(row=blank.of(row), remove=True) for row in dataset.catalogue() if row.id in ids]
    with storage.lock():
        return rewrite.rewrite(dataset.storage, rewrite.plan(dataset, changes))


def copied(built: Path, tmp_path: Path) -> LocalStorage:
    shutil.copytree(built / "out", tmp_path / "out")
    return LocalStorage(tmp_path / "out")


def test_kept_audio_is_kept_for_the_others_only(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = copied(built, tmp_path)
    dataset = opened(storage)
    flacs = {row.recording_id: read_sample(storage, row)[0] for row in dataset.samples()}
    assert len(flacs) > 6
    remove(storage, {"freesound:1"})
    blobs = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.blob"))
    assert [key for key, flac in flacs.items() if flac not in blobs] == ["freesound:1"]
    decoded = count_decoded(monkeypatch)
    storage.delete(layout.TAKEDOWNS)
    shutil.rmtree(tmp_path / "out" / "shards")
    build(load(built / "in", "[work]\nkeep = true", num_buckets=2), tmp_path / "out")  # takes it in again
    assert len(decoded) == 1
    assert rows(tmp_path / "out") == rows(built / "out")


def test_untouched_files_are_not_written(built: Path, tmp_path: Path) -> None:
    storage = Mortal(copied(built, tmp_path))
    concerned = set(rows(tmp_path / "out")["freesound:1"].shards)
    done = remove(storage, {"freesound:1"})
    assert set(done.written) == concerned
    assert {name for name in storage.changed if name.startswith("shards/")} == {
        f"shards/{n}" for n in concerned
    }
    assert verify(opened(storage)) == []


def test_a_shard_without_samples_is_deleted(built: Path, tmp_path: Path) -> None:
    storage = copied(built, tmp_path)
    (name, *_) = rows(tmp_path / "out")["freesound:1"].shards
    ids = {row.recording_id for row in opened(storage).samples() if row.shard == name}
    assert remove(storage, ids).deleted == (name,)
    assert not storage.exists(f"shards/{name}")
    assert verify(opened(storage)) == []


def test_nothing_to_resume_is_nothing_done(built: Path, tmp_path: Path) -> None:
    assert rewrite.resume(Mortal(copied(built, tmp_path), 0)) is None


def test_a_damaged_journal_is_named(built: Path, tmp_path: Path) -> None:
    storage = copied(built, tmp_path)
    storage.write(layout.JOURNAL, b'{"facts": {}}')
    with pytest.raises(IntegrityError, match=r"rewrite\.json: .* delete it and run the ingest"):
        rewrite.resume(storage)
    assert storage.exists("dataset.json")


def test_a_version_keeps_what_its_report_warned_of(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "out", tmp_path / "out")
    storage = LocalStorage(tmp_path / "out")
    dataset = opened(storage)
    remove(storage, {"freesound:1"})
    assert opened(storage).facts["warnings"] == dataset.facts["warnings"]


def test_other_readings_of_a_work_go_with_it(built: Path, tmp_path: Path) -> None:
    """An earlier reading and a confirming one follow a work's own raw row; no table has their digests."""
    storage = copied(built, tmp_path)
    known = {row.evidence: row.id for row in rows(tmp_path / "out").values()}
    for name in storage.names("evidence"):
        more = []
        for digest, raw in evidence.read_rows(storage, name).items():
            more += [raw, f"earlier of {known[digest]}", f"later of {known[digest]}"]
        storage.delete(name)
        packed, data = evidence.pack(more)
        storage.write(packed, data)
        text = storage.read("dataset.json").decode().replace(name, packed)
        storage.write("dataset.json", text.encode())
    remove(storage, {"freesound:1", "freesound:2"})
    left = [raw for name in storage.names("evidence") for raw in evidence.read_rows(storage, name).values()]
    assert len(left) == 3 * 8
    assert not [raw for raw in left if raw.endswith(("of freesound:1", "of freesound:2"))]


def test_files_and_readings_at_hand_go_too(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = copied(built, tmp_path)
    bucket = bucket_of("freesound:1", 2)
    folder = f"work/originals/{bucket:06d}"
    gone = [f"{folder}/freesound-000000001{end}" for end in ("", ".json", ".0123456789ab.part")]
    stays = f"{folder}/freesound-000000011"
    for name in (*gone, stays):
        storage.write(name, b"x")
    readings = f"work/readings/{bucket:06d}.jsonl"
    storage.write(readings, b'{"recording": {"id": "freesound:1"}}\n{"recording": {"id": "freesound:11"}}\n')
    forgotten = []
    monkeypatch.setattr(freesound, "forget", lambda *given: forgotten.append(given), raising=False)
    remove(storage, {"freesound:1"})
    assert storage.names(folder) == [stays]
    assert storage.read(readings) == b'{"recording": {"id": "freesound:11"}}\n'
    assert forgotten == [(storage, "work/sources/0-freesound", frozenset({"freesound:1"}))]


def test_the_audit_of_a_screening_forgets_too(built: Path, tmp_path: Path) -> None:
    storage = copied(built, tmp_path)

    def sent(number: int) -> AuditRow:
        return AuditRow(
            recording_id=f"freesound:{number}",
            provider="acoustid",
            host="example.org",
            what=f"POST {number}",
            response_sha256="",
            status="sent",
            num_hits=0,
            best="",
            score=0.0,
            reference="",
            note="",
        )

    def answer(number: int) -> str:
        return f"work/identify/acoustid/{hashlib.sha256(sent(number).what.encode()).hexdigest()}.json"

    tables.write(storage, layout.SCREENING, AuditRow, [sent(1), sent(2)])
    for number in (1, 2):
        storage.write(answer(number), b"{}")
    remove(storage, {"freesound:1"})
    assert tables.read(storage, layout.SCREENING, AuditRow) == [sent(2)]
    assert (storage.exists(answer(1)), storage.exists(answer(2))) == (False, True)
    remove(storage, {"freesound:2"})
    assert not storage.exists(layout.SCREENING)


def shard(storage: Storage, num: int) -> list[SampleRow]:
    """A shard of so many samples, and its rows."""
    with storage.staged("shards/train-000000.tar") as path, path.open("wb") as file:
        writer = ShardWriter(file, "train-000000.tar", "train")
        for n in range(num):
            flac = bytes([n]) * 700
            said = sample(id=f"made:{n}", sha256=hashlib.sha256(flac).hexdigest())
            writer.add(f"made-{n:09d}", said, flac, ())
        writer.finish()
    return writer.rows


def words(number: int, flac: bytes, title: str) -> Sample:
    return sample(id=f"made:{number}", sha256=hashlib.sha256(flac).hexdigest(), title=title)


def test_a_shard_is_rewritten_once_and_then_recognised(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    old = shard(storage, 3)
    new = {"made-000000002": words(2, bytes([2]) * 700, "Other")}
    counted = Mortal(storage)
    first = rewrite_shard(counted, "train-000000.tar", old, {"made:1"}, new)
    assert counted.changed == ["shards/train-000000.tar"]
    assert [row.recording_id for row in first[1]] == ["made:0", "made:2"]
    assert read_sample(storage, first[1][1])[1]["title"] == "Other"
    for known in (old, first[1]):  # the tables may have been written already, or not yet
        assert rewrite_shard(Mortal(storage, 0), "train-000000.tar", known, {"made:1"}, new) == first
    assert rewrite_shard(storage, "train-000000.tar", old, {"made:0", "made:1", "made:2"}, {}) == (None, [])
    assert not storage.exists("shards/train-000000.tar")


def test_no_sample_is_lost_or_taken_in_without_a_word(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    three = shard(storage, 3)
    with pytest.raises(IntegrityError, match="made-000000002 is in no table"):
        rewrite_shard(storage, "train-000000.tar", three[:2], {"made:1"}, {})
    shard(storage, 2)  # cut at a member boundary, a tar reads like a shorter one
    with pytest.raises(IntegrityError, match="made-000000002 is missing"):
        rewrite_shard(storage, "train-000000.tar", three, {"made:1"}, {})
    shard(storage, 3)
    wrong = [dataclasses.replace(three[0], sha256="0" * 64), *three[1:]]
    with pytest.raises(IntegrityError, match="made-000000000 is damaged"):
        rewrite_shard(storage, "train-000000.tar", wrong, {"made:1"}, {})


@pytest.mark.slow
def test_of_two_hundred_shards_only_one_authors_are_rewritten(tmp_path: Path) -> None:
    sounds = [sound(n, license="CC0", username="zoe" if n % 40 else "ada") for n in range(1, 201)]
    build(load(write_sounds(tmp_path / "in", sounds), num_buckets=200), tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "shards").iterdir()}
    assert len(before) > 110
    mine = {row.id: row for row in rows(tmp_path / "out").values() if row.author == "ada"}
    concerned = {name for row in mine.values() for name in row.shards}
    done = remove(LocalStorage(tmp_path / "out"), mine.keys())
    assert len(mine) == 5
    assert set(done.written) | set(done.deleted) == concerned
    changed = {
        path.name for path, time in before.items() if not path.exists() or path.stat().st_mtime_ns != time
    }
    assert changed == concerned
    assert verify(open_dataset(str(tmp_path / "out"))) == []
