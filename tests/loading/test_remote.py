"""From an object store a window costs two requests; what comes in part is checked by its frames."""

import io
import logging
import random
from pathlib import Path

import numpy as np
import pytest

from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import IntegrityError
from sao_data.loading.crop import Crop
from sao_data.loading.index import Index
from sao_data.loading.shard_reader import ShardReader
from sao_data.records import SampleRow
from sao_data.storage.backend import Storage
from tests.datasets_made import CC0, build, load, write_folder
from tests.fakes.range_server import RangeServer, Request, serving
from tests.made import noise, wav_bytes
from tests.streams_made import stream

LONG = 2_097_152  # frames: the DiT's window
LONGEST = "folder-tone-000-wav"
SECONDS = (100, 55, 20)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings: of 100 s, of 55 s, and shorter than a window."""
    tmp = tmp_path_factory.mktemp("remote")
    folder = write_folder(tmp / "in", len(SECONDS), licenses=(CC0,))
    for n, seconds in enumerate(SECONDS):
        (folder / f"tone-{n:03d}.wav").write_bytes(wav_bytes(noise(n, seconds, level=0.01)))
    build(load(tmp, folder, num_buckets=1), tmp / "out")
    return tmp / "out"


def asked(server: RangeServer) -> list[Request]:
    """The requests for bytes of shards since it was last asked."""
    found = [request for request in server.requests if request.path.endswith(".tar")]
    server.requests.clear()
    return found


def test_a_window_costs_two_requests_and_not_the_whole_member(
    built: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = {row.key: row.flac_size for row in open_dataset(str(built)).samples()}
    caplog.set_level(logging.INFO)
    with serving(built) as server, stream(open_dataset(server.url), 1, window_frames=LONG) as batches:
        asked(server)
        with stream(built, 1, window_frames=LONG) as local:
            for _ in range(3):
                here, there = next(local), next(batches)
                requests = asked(server)
                assert [request.method for request in requests] == ["GET", "GET"]
                num_bytes = requests[1].num_bytes
                if there.samples[0].key == LONGEST:  # and up to 10 s on either side
                    assert num_bytes < sizes[LONGEST] * (47.6 + 20.1) / SECONDS[0]
                else:
                    assert num_bytes == sizes[there.samples[0].key]  # most of it: fetched whole, and hashed
                assert np.array_equal(here.audio, there.audio)
                assert here.samples[0].prompt == there.samples[0].prompt
        assert batches.num_in_part == 1
    said = [record.message for record in caplog.records if "parts of members" in record.message]
    assert len(said) == 1
    assert 'verify = "always" reads and hashes whole members' in said[0]


def test_always_reads_whole_members(built: Path) -> None:
    sizes = {row.key: row.flac_size for row in open_dataset(str(built)).samples()}
    settings = {"window_frames": 50_000, "verify": "always"}
    with serving(built) as server, stream(open_dataset(server.url), 1, **settings) as batches:  # type: ignore[arg-type]
        asked(server)
        for _ in range(3):
            key = next(batches).samples[0].key
            assert asked(server)[1].num_bytes == sizes[key]
        assert batches.num_in_part == 0


class Stored:
    """A storage that is no local one, of which bytes can be damaged."""

    def __init__(self, inner: Storage) -> None:
        self.inner, self.url, self.damage = inner, "far://away", dict[int, int]()

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        data = bytearray(self.inner.read_range(name, offset, size))
        for at, bit in self.damage.items():
            if offset <= at < offset + len(data):
                data[at - offset] ^= 1 << bit
        return bytes(data)


@pytest.fixture(scope="module")
def far(built: Path) -> tuple[Dataset, Stored]:
    dataset = open_dataset(str(built))
    stored = Stored(dataset.storage)
    storage: object = stored
    return Dataset(storage=storage, facts=dataset.facts), stored  # type: ignore[arg-type]


def window(start: int, num: int) -> Crop:
    return Crop(
        start=start, num_frames=num, is_all=False, is_padded_inside=False, seconds_start=0, seconds_total=1
    )


def test_no_flipped_bit_goes_through_a_part_and_the_member_is_named(
    far: tuple[Dataset, Stored], built: Path
) -> None:
    dataset, stored = far
    row = next(row for row in dataset.samples() if row.key == LONGEST)
    index = Index(dataset, ("train",))
    member = next(m for m in map(index.member, range(len(index))) if m.key == row.key)
    reader = ShardReader(dataset, index, "first")
    start, num = 1_000_000, 60_000
    stored.damage = {}
    right = np.zeros((2, num), np.float32)
    reader.window(member, window(start, num), right)
    first, last = row.seek_points[2], row.seek_points[3]  # 20 s to 30 s; the window is 22.7 s to 24.0 s
    dice, noticed, messages = random.Random(5), 0, set[str]()
    for _ in range(200):
        stored.damage = {row.flac_offset + dice.randrange(first.byte, last.byte): dice.randrange(8)}
        again = np.zeros((2, num), np.float32)
        try:
            ShardReader(dataset, index, "first").window(member, window(start, num), again)
        except IntegrityError as error:
            messages.add(str(error))
            noticed += 1
        else:
            assert np.array_equal(again, right)
    assert len(messages) == 1
    assert f"{row.shard}: audio of {row.key} is damaged; restore the shard" in messages.pop()
    assert 10 <= noticed <= 60  # the window's frames are 15 % of the range


def test_a_flipped_bit_in_json_is_noticed_there_too(far: tuple[Dataset, Stored]) -> None:
    dataset, stored = far
    row: SampleRow = next(dataset.samples())
    index = Index(dataset, ("train",))
    member = next(m for m in map(index.member, range(len(index))) if m.key == row.key)
    stored.damage = {row.json_offset + 5: 1}
    with pytest.raises(IntegrityError, match=f"JSON of {row.key} is damaged"):
        ShardReader(dataset, index, "first").sample(member)


def test_a_shard_that_ends_early_is_named(
    far: tuple[Dataset, Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, stored = far
    stored.damage = {}
    index = Index(dataset, ("train",))
    monkeypatch.setattr(stored, "read_range", lambda name, offset, size: io.BytesIO(b"x").read(size))
    with pytest.raises(IntegrityError, match=r"train-000000\.tar: it ends before byte"):
        ShardReader(dataset, index, "first").sample(index.member(0))
