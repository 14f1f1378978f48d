"""Members are found where the index says, and damage is named by shard and key."""

import dataclasses
import itertools
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import IntegrityError, UsageError
from sao_data.loading import flac_window
from sao_data.loading.crop import Crop
from sao_data.loading.index import Index
from sao_data.loading.shard_reader import ShardReader
from sao_data.records import SampleRow, SeekPoint
from sao_data.storage.backend import Storage
from tests.streams_made import NUM, make_dataset, stream

SERIES = ("train", "train-sampling-plus")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("members"))


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "out")
    return tmp_path / "out"


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def rows(folder: Path) -> list[SampleRow]:
    return sorted(open_dataset(str(folder)).samples(), key=lambda row: (row.shard, row.flac_offset))


def test_the_index_holds_every_sample_of_its_series_in_the_order_of_the_shards(built: Path) -> None:
    index = Index(open_dataset(str(built)), SERIES)
    found = [index.member(i) for i in range(len(index))]
    assert [(m.shard, m.key, m.flac_offset, m.json_sha256) for m in found] == [
        (row.shard, row.key, row.flac_offset, row.json_sha256) for row in rows(built)
    ]
    assert len(found) == NUM == sum(index.shard_sizes)
    assert [m.index_in_shard for m in found] == [i for size in index.shard_sizes for i in range(size)]
    only = Index(open_dataset(str(built)), ("train-sampling-plus",))
    assert 0 < len(only) < NUM
    assert only.member(0).shard.startswith("train-sampling-plus-")
    assert only.digest != index.digest


def test_a_series_that_is_not_there_is_refused_with_those_that_are(built: Path) -> None:
    with pytest.raises(UsageError, match=r"no samples in the series trian \(there are: train, train-sampl"):
        Index(open_dataset(str(built)), ("trian",))


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_in_any_member_names_shard_and_key(copied: Path, seed: int) -> None:
    dice = random.Random(seed)
    row = dice.choice(rows(copied))
    offset, size = dice.choice([(row.flac_offset, row.flac_size), (row.json_offset, row.json_size)])
    flip(copied / "shards" / row.shard, offset + dice.randrange(size), dice.randrange(8))
    with (
        stream(copied, 1, num_threads=seed % 3) as batches,
        pytest.raises(IntegrityError, match=rf"{row.shard}: (audio|JSON) of {row.key} is damaged; restore"),
    ):
        list(itertools.islice(batches, NUM))


def test_two_hundred_flipped_bits_are_all_noticed_when_their_member_is_first_read(copied: Path) -> None:
    dataset, dice = open_dataset(str(copied)), random.Random(200)
    index = Index(dataset, SERIES)
    crop = Crop(
        start=0, num_frames=100, is_all=False, is_padded_inside=False, seconds_start=0, seconds_total=1
    )
    out_CT = np.zeros((2, 100), np.float32)
    for _ in range(200):
        member = index.member(dice.randrange(len(index)))
        audio = ("audio", member.flac_offset, member.flac_size)
        kind, offset, size = dice.choice([audio, ("JSON", member.json_offset, member.json_size)])
        at, bit = offset + dice.randrange(size), dice.randrange(8)
        path = copied / "shards" / member.shard
        flip(path, at, bit)
        reader = ShardReader(dataset, index, "first")
        fix = "restore the shard from a copy, or delete it and run the same ingest again"
        says = rf"{member.shard}: {kind} of {member.key} is damaged; {fix} \(`sao verify {copied}` lists all"
        with pytest.raises(IntegrityError, match=says):
            (reader.sample(member), reader.window(member, crop, out_CT))
        reader.close()
        flip(path, at, bit)


def test_first_checks_a_member_once_always_every_time_and_never_not_at_all(copied: Path) -> None:
    streams = {verify: stream(copied, NUM, verify=verify) for verify in ("first", "always", "never")}
    for each in streams.values():
        next(each)
    row = rows(copied)[0]
    with (copied / "shards" / row.shard).open("r+b") as file:  # in place: the streams hold it open
        file.seek(row.flac_offset + 26)  # STREAMINFO's MD5, which the decoder does not look at
        file.write(b"other sixteen by")
    next(streams["first"])
    next(streams["never"])
    with pytest.raises(IntegrityError, match=f"audio of {row.key} is damaged"):
        next(streams["always"])
    for each in streams.values():
        each.close()


def test_audio_that_does_not_decode_is_noticed_without_checking(copied: Path) -> None:
    row = rows(copied)[0]
    flip(copied / "shards" / row.shard, row.flac_offset)  # "fLaC"
    with (
        stream(copied, NUM, verify="never") as batches,
        pytest.raises(IntegrityError, match=f"audio of {row.key} does not decode"),
    ):
        next(batches)


def test_a_damaged_frame_is_noticed_without_checking(copied: Path) -> None:
    row = rows(copied)[0]
    flip(copied / "shards" / row.shard, row.flac_offset + row.flac_size // 2)  # CRC-16 of its frame tells
    with (
        stream(copied, NUM, verify="never", window_frames=200_000) as batches,
        pytest.raises(IntegrityError, match=f"audio of {row.key} (does not decode|has)"),
    ):
        next(batches)


def test_members_of_an_ingest_are_read_by_their_frames(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShardReader, "_usual", None)  # the slower way is not gone
    with stream(built, NUM) as batches:
        assert len(next(batches).samples) == NUM


def test_what_misleads_the_search_for_a_frame_changes_nothing(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stream(built, NUM) as batches:
        right = next(batches)
    real = flac_window.find

    def mistaken(*given: object) -> SeekPoint:
        found = real(*given)  # type: ignore[arg-type]
        return dataclasses.replace(found, byte=found.byte + 1)

    monkeypatch.setattr(flac_window, "find", mistaken)
    with stream(built, NUM) as batches:
        assert (next(batches).audio == right.audio).all()


def test_a_window_beyond_the_audio_is_noticed(built: Path) -> None:
    dataset = open_dataset(str(built))
    index = Index(dataset, SERIES)
    reader = ShardReader(dataset, index, "first")
    crop = Crop(
        start=10, num_frames=99_999, is_all=True, is_padded_inside=False, seconds_start=0, seconds_total=1
    )
    with pytest.raises(IntegrityError, match=r"frames at 10; restore"):
        reader.window(index.member(0), crop, np.zeros((2, 99_999), np.float32))
    reader.close()


def test_a_missing_or_truncated_shard_is_named(copied: Path) -> None:
    shard = copied / "shards" / rows(copied)[0].shard
    shard.write_bytes(shard.read_bytes()[:-512])
    with stream(copied, NUM) as batches, pytest.raises(IntegrityError, match=f"{shard.name}: it has"):
        next(batches)
    shard.unlink()
    with pytest.raises(IntegrityError, match=f"{shard.name}: the shard is missing"):
        stream(copied)


def test_tables_that_disagree_are_refused(built: Path) -> None:
    dataset = open_dataset(str(built))

    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Changed(Dataset):
        def shards(self) -> list:  # type: ignore[type-arg]
            first, *rest = Dataset.shards(self)
            return [dataclasses.replace(first, num_samples=first.num_samples + 1), *rest]

    with pytest.raises(IntegrityError, match="disagree"):
        Index(Changed(storage=dataset.storage, facts=dataset.facts), SERIES)


def test_a_sample_of_another_version_is_refused(copied: Path) -> None:
    row = rows(copied)[0]
    path = copied / "shards" / row.shard
    data = path.read_bytes()
    text = data[row.json_offset : row.json_offset + row.json_size]
    path.write_bytes(data.replace(text, text.replace(b'"year"', b'"mood"')))
    with (
        stream(copied, NUM, verify="never") as batches,
        pytest.raises(IntegrityError, match=rf"{row.key}\.json: year: Field required; restore the shard"),
    ):
        next(batches)


def test_many_shards_are_not_all_held_open(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sao_data.loading.shard_reader._MAX_OPEN", 1)
    before = set(Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else set()
    with stream(built, NUM) as batches:
        batch = next(batches)
        assert len({sample.shard for sample in batch.samples}) > 3
        after = set(Path("/proc/self/fd").iterdir()) if before else set()
        assert len(after) <= len(before) + 2  # the shard, and the marks of what was checked in it
    with stream(built, NUM, num_threads=3) as batches:
        assert [s.key for s in next(batches).samples] == [s.key for s in batch.samples]


def test_a_shard_stays_open_while_it_is_read(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sao_data.loading.shard_reader._MAX_OPEN", 0
    )  # as if other threads had pushed it out at once
    with stream(built, NUM, num_threads=2, num_retries=0, verify="never") as batches:
        assert len(next(batches).samples) == NUM


class Flaky:
    """A storage that is no local one, and whose shards cannot be opened a number of times."""

    replaces_safely = False

    def __init__(self, inner: Storage, failures: int) -> None:
        self.inner, self.failures, self.url = inner, failures, inner.url

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def open(self, name: str) -> object:
        if name.startswith("shards/") and self.failures:
            self.failures -= 1
            raise TimeoutError("503 slow down")
        return self.inner.open(name)

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        with self.open(name) as file:  # type: ignore[attr-defined]
            file.seek(offset)
            return bytes(file.read(size))


def flaky(folder: Path, failures: int) -> Dataset:
    dataset = open_dataset(str(folder))
    storage: object = Flaky(dataset.storage, failures)
    return Dataset(storage=storage, facts=dataset.facts)  # type: ignore[arg-type]


def test_a_transient_failure_is_tried_again_and_changes_nothing(built: Path) -> None:
    with stream(built, NUM) as plain, stream(flaky(built, 4), NUM) as shaken:
        one, other = next(plain), next(shaken)
    assert (one.audio == other.audio).all()
    assert [s.prompt for s in one.samples] == [s.prompt for s in other.samples]


def test_a_lasting_failure_stops_cleanly(built: Path) -> None:
    from sao_data.errors import Stopped

    with (
        stream(flaky(built, 10**6), NUM, num_threads=2, num_retries=2) as batches,
        pytest.raises(Stopped, match=r"cannot read folder-.* \(503 slow down\); run the same command again"),
    ):
        next(batches)
