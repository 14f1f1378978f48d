"""The codec's chunks: where they lie, whose they are, and that a stream draws each once an epoch."""

import dataclasses
import itertools
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from sao_data import config
from sao_data.audio.changes import sentences
from sao_data.audio.convert import Decoded
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import UsageError
from sao_data.loading.chunks import _MONO, _RESAMPLED, ChunkConfig, Chunks, lay_out
from sao_data.loading.index import Index
from sao_data.loading.sampler import generator
from sao_data.loading.stream import Stream, StreamBatch, StreamConfig, StreamState
from tests.dataset.test_measured import older
from tests.datasets_made import build, load, read_rows, write_folder, write_rows
from tests.made import noise, wav_bytes
from tests.streams_made import members, stream

SECOND = 44_100
LENGTHS = {
    "a": 0.4,
    "b": 0.7,
    "c": 1.0,
    "d": 1.5,
    "e": 2.5,
    "f": 3.9,
    "g": 7.3,
    "h": 9.7,
}  # s; clips of up to 4 s
RATES = dict.fromkeys("cdgh", (48_000, 2)) | {"e": (48_000, 1), "f": (96_000, 2)}
CHUNKS = ChunkConfig(on=True, seconds=1, per_recording=3, hifi_extra=2, hifi_sources=())
# chunks of each recording: at most three, no more than fit, and again at most two of c, f, h; in stereo at
# 48 kHz or more are d and g as well, but d has two equal channels, and g nothing above 11 kHz
WANTED = {"a": 1, "b": 1, "c": 1 + 1, "d": 1, "e": 2, "f": 3 + 2, "g": 3, "h": 3 + 2}
NUM = sum(WANTED.values())
WINDOW = 8_000
SERIES = ("train",)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of several lengths and origins, the two longest in several clips, in four shards."""
    tmp = tmp_path_factory.mktemp("chunks")
    folder = write_folder(tmp / "in", 1, licenses=("https://creativecommons.org/publicdomain/zero/1.0/",))
    row = read_rows(folder)[0]
    (folder / row[0]).unlink()
    for seed, (name, seconds) in enumerate(LENGTHS.items()):
        rate, channels = RATES.get(name, (SECOND, 2))
        sound = noise(seed, seconds, rate, channels)
        if name == "d":
            sound = np.repeat(sound[:, :1], 2, axis=1)
        if name == "g":
            sound = soxr.resample(soxr.resample(sound, rate, 22_000), 22_000, rate)
        (folder / f"{name}.wav").write_bytes(wav_bytes(sound, rate))
    write_rows(
        folder, [[f"{name}.wav", *row[1:4], f"https://example.org/{name}", row[5]] for name in LENGTHS]
    )
    build(load(tmp, folder, "[cut]\nmax_seconds = 4\n", num_buckets=4), tmp / "out")
    return tmp / "out"


def chunked(folder: Path, batch_size: int = 4, **settings: object) -> Stream:
    return stream(folder, batch_size, **({"chunks": CHUNKS, "window_frames": WINDOW} | settings))  # type: ignore[arg-type]


def take(batches: Stream, num: int) -> list[StreamBatch]:
    return list(itertools.islice(batches, num))


def letter(recording_id: str) -> str:
    return recording_id.removeprefix("folder:")[0]


def drawn(batches: list[StreamBatch]) -> list[tuple[str, int, int, bytes]]:
    return [(s.key, s.chunk, s.crop_start, s.audio.tobytes()) for b in batches for s in b.samples]


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.integers(1, 20),
    st.lists(st.integers(0, 4), min_size=1, max_size=2),
    st.integers(0, 99),
)
def test_chunks_lie_in_their_clips_and_apart(
    lengths: list[int], size: int, wanted: list[int], seed: int
) -> None:
    starts = lay_out(lengths, size, wanted, generator(seed).bit_generator)
    room = sum(length // size for length in lengths) or len(lengths)
    assert sum(map(len, starts)) == sum(min(num, room) for num in wanted)
    for length, found in zip(lengths, starts, strict=True):
        assert all(0 <= start <= max(0, length - size) for start in found)
        most = (
            len(wanted) if sum(min(num, room) for num in wanted) > room else 1
        )  # parts laid out by themselves
        for frame in range(length):
            assert sum(start <= frame < start + size for start in found) <= most


def test_every_place_of_a_recording_is_about_as_likely() -> None:
    counts = np.zeros(100)
    for seed in range(3_000):
        for start in lay_out([100], 10, [3], generator(seed).bit_generator)[0]:
            counts[start : start + 10] += 1
    # by theory: a chunk's start is uniform over what it may be, so the middle is flat and the ends thin out
    assert np.abs(counts[20:80] / counts[20:80].mean() - 1).max() < 0.12
    assert counts[0] < counts[5] < counts[20:80].mean() * 1.1


def test_the_chunks_do_not_change_between_releases() -> None:
    """A training's chunks are fixed: if this fails, a resumed one would hear others."""
    bits = generator("chunks", 0, "freesound:1").bit_generator
    assert lay_out([3_000_000, 500_000], 220_500, [3, 3], bits) == GOLDEN


def test_high_fidelity_is_read_from_what_an_ingest_says_of_its_changes() -> None:
    import re

    from tests.filters.test_filters import SOURCE

    def said(rate: int, channels: int) -> tuple[str, ...]:
        source = Decoded(
            container="wav", codec="pcm_24", decoder="soundfile", sample_rate=rate, num_channels=channels,
            num_frames=1, num_frames_out=1, num_clipped=0,
            measures=SOURCE,
        )  # fmt: skip
        return sentences(source, num_trimmed=0, num_clips=1, max_seconds=600)

    rates = [match["rate"] for line in said(96_000, 2) if (match := re.match(_RESAMPLED, line))]
    assert rates == ["96000"]
    assert not [line for line in said(44_100, 2) if re.match(_RESAMPLED, line)]
    assert _MONO in said(48_000, 1)
    assert _MONO not in said(48_000, 6)


def test_each_recording_has_as_many_chunks_as_it_should(built: Path) -> None:
    dataset = open_dataset(str(built))
    index = Index(dataset, SERIES)
    chunks = Chunks(dataset, index, CHUNKS, 0)
    counts: Counter[str] = Counter()
    for sample, recording_id in enumerate(index.recording_ids.to_pylist()):
        counts[letter(recording_id)] += int(chunks.counts[sample])
        for chunk in range(chunks.counts[sample]):
            place = chunks.place(sample, chunk)
            assert place.num_frames == min(SECOND, index.num_frames[sample])
            assert 0 <= place.start <= index.num_frames[sample] - place.num_frames
    assert counts == WANTED
    assert chunks.num_hifi == 3
    assert (chunks.counts == 0).any()  # a clip of a long recording that no chunk fell into
    by_source = ChunkConfig(on=True, seconds=1, per_recording=3, hifi_extra=2, hifi_sources=("folder",))
    other = Chunks(dataset, index, by_source, 0)
    assert other.num_hifi == len(LENGTHS)
    assert other.counts.sum() == 1 + 1 + 1 + 1 + 2 + 2 + 2 + 2


def test_without_measures_rates_and_channels_tell_and_the_log_says_so(
    built: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def counted(dataset: Dataset, **changes: int) -> int:
        settings = dataclasses.replace(CHUNKS, **changes)  # type: ignore[arg-type]
        return Chunks(dataset, Index(dataset, SERIES), settings, 0).num_hifi

    dataset = open_dataset(str(built))
    assert counted(dataset) == 3
    assert counted(dataset, hifi_min_bandwidth=10_000) == 4  # g too
    assert counted(dataset, hifi_min_bandwidth=30_000) == 1  # f, at 96 kHz
    assert not caplog.records
    shutil.copytree(built, tmp_path / "out")
    assert counted(older(tmp_path / "out")) == 5
    assert ["made before measures were published" in record.message for record in caplog.records] == [True]


@pytest.fixture(scope="module")
def plain(built: Path) -> list[tuple[str, int, int, bytes]]:
    """Two epochs and a bit as one rank hears them."""
    with chunked(built) as batches:
        return drawn(take(batches, 12))


def test_an_epoch_holds_every_chunk_once_and_another_brings_other_windows_of_the_same(
    built: Path, plain: list[tuple[str, int, int, bytes]]
) -> None:
    dataset = open_dataset(str(built))
    index = Index(dataset, SERIES)
    chunks = Chunks(dataset, index, CHUNKS, 0)
    names = [index.member(sample).key for sample in range(len(index))]
    wanted = {
        (names[n], chunk): chunks.place(n, chunk)
        for n in range(len(index))
        for chunk in range(chunks.counts[n])
    }
    audio = members(built)
    first, second = plain[:NUM], plain[NUM : 2 * NUM]
    assert NUM == 20
    assert [item[:2] for item in first] != [item[:2] for item in second]
    for epoch in (first, second):
        assert sorted(item[:2] for item in epoch) == sorted(wanted)
        for key, chunk, start, data in epoch:
            place = wanted[key, chunk]
            assert place.start <= start <= place.start + place.num_frames - WINDOW
            heard = np.frombuffer(data, np.float32).reshape(2, WINDOW)
            there = audio[key][0][:, start : start + WINDOW]
            assert np.array_equal(heard, there) or np.array_equal(heard, -there)
    starts = {item[:2]: item[2] for item in first}
    assert sum(starts[item[:2]] != item[2] for item in second) > NUM - 3


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("threads", [0, 2])
def test_the_ranks_together_hear_what_one_hears(
    built: Path, plain: list[tuple[str, int, int, bytes]], world_size: int, threads: int
) -> None:
    ranks = []
    for rank in range(world_size):
        with chunked(built, rank=rank, world_size=world_size, num_threads=threads) as batches:
            ranks.append(take(batches, 12))
    assert [item for step in zip(*ranks, strict=True) for item in drawn(list(step))] == plain


@pytest.mark.parametrize("seed", range(4))
def test_a_resume_goes_on_with_the_next_chunk(
    built: Path, plain: list[tuple[str, int, int, bytes]], seed: int
) -> None:
    cut = random.Random(seed).randint(1, 11)
    with chunked(built) as batches:
        before = take(batches, cut)
        seen = batches.seen()
    with chunked(built, state=before[-1].state) as batches:
        assert batches.seen() == seen
        assert drawn(before) + drawn(take(batches, 12 - cut)) == plain


def test_seen_counts_draws_of_samples(built: Path, plain: list[tuple[str, int, int, bytes]]) -> None:
    with chunked(built) as batches:
        got = take(batches, 7)
        seen = batches.seen()
    assert seen.draws == 28
    draws = Counter(sample.shard for batch in got for sample in batch.samples)
    assert {shard.name: shard.draws for shard in seen.shards if shard.draws} == draws
    with chunked(built) as batches:
        take(batches, 12)
        bits = sum(bin(byte).count("1") for s in batches.seen().to_json() for byte in _bitmap(str(s["seen"])))
    assert bits == len({item[0] for item in plain})  # clips without a chunk were not heard


def _bitmap(text: str) -> bytes:
    import base64

    return base64.b64decode(text)


def test_a_take_down_passes_over_all_chunks_of_a_recording(
    built: Path, plain: list[tuple[str, int, int, bytes]]
) -> None:
    with chunked(built) as batches:
        ids = {letter(s.recording_id): s.recording_id for b in take(batches, 5) for s in b.samples}
    with chunked(built, takedowns=[ids["h"]]) as batches:
        assert batches.num_samples == NUM - WANTED["h"]
        got = drawn(take(batches, 9))
    assert got == [item for item in plain if "folder-h" not in item[0]][: len(got)]
    with chunked(built, 5) as batches:
        state = next(batches).state
    with chunked(built, 5, state=state, takedowns=[ids["h"]]) as batches:
        take(batches, 6)
        assert batches.seen().draws == 35


def test_a_state_counts_in_its_own_chunks(built: Path) -> None:
    with chunked(built) as batches:
        state = next(batches).state
    for chunks in (
        ChunkConfig(),
        ChunkConfig(on=True, seconds=1, per_recording=2, hifi_extra=2, hifi_sources=()),
    ):
        with pytest.raises(
            UsageError, match="another order: other samples, series, seed, chunks or shards_per"
        ):
            chunked(built, state=state, chunks=chunks)


def test_without_chunks_nothing_changes_for_runs_that_go_on(built: Path) -> None:
    with stream(built, 2, window_frames=WINDOW) as batches:
        state = next(batches).state
    index = Index(open_dataset(str(built)), SERIES)
    assert state == StreamState(position=2, order=config.digest(index.digest, 0, 16))
    assert not {"chunks", "redraw_silent"} & set(config.canonical(StreamConfig()))  # type: ignore[call-overload]


def test_chunks_are_chosen_in_a_manifest() -> None:
    table = {"window_frames": 65_536, "chunks": {"on": True, "per_recording": 2}}
    parsed = config.parse(StreamConfig, table, where="here")
    assert parsed.chunks == ChunkConfig(on=True, per_recording=2)
    assert config.parse(StreamConfig, {"chunks": {}}, where="here").chunks == ChunkConfig()
    again = config.parse(StreamConfig, config.canonical(parsed), where="here")  # type: ignore[arg-type]
    assert again == parsed
    with pytest.raises(UsageError, match=r"settings have no effect while on = false; set on = true"):
        config.parse(StreamConfig, {"chunks": {"per_recording": 2}}, where="here")
    with pytest.raises(UsageError, match="unknown key 'per_recordin'; did you mean 'per_recording'"):
        config.parse(StreamConfig, {"chunks": {"per_recordin": 2}}, where="here")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"seconds": 0}, r"stream\.chunks\.seconds: 0 is too small; want at least 1"),
        ({"per_recording": 0}, r"stream\.chunks\.per_recording: 0 is too small"),
        ({"hifi_extra": 0}, r"hifi_extra: 0 leaves all of fma out; want at least 1, or hifi_sources = \[\]"),
    ],
)
def test_chunks_that_cannot_be_are_refused(wrong: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ChunkConfig(on=True, **wrong)  # type: ignore[arg-type]


def test_windows_longer_than_chunks_are_refused() -> None:
    with pytest.raises(UsageError, match=r"window_frames: 220,501 do not fit into chunks of 5 s \(220,500"):
        StreamConfig(chunks=ChunkConfig(on=True), window_frames=220_501)


def test_fewer_chunks_than_a_batch_are_refused(built: Path) -> None:
    with pytest.raises(
        UsageError, match=f"{NUM} chunks of samples cannot fill a global batch of {NUM + 1}; lower the batch"
    ):
        chunked(built, NUM + 1)


GOLDEN = [[103714, 576147, 1231299, 1662472, 2668309], [122412]]
