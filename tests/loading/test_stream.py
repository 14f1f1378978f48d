"""The stream: union = all, overlap = none, the same sequence after a resume and on any number of ranks."""

import hashlib
import itertools
import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sao_data import config
from sao_data.errors import UsageError
from sao_data.loading.samples import SampleMaker
from sao_data.loading.stream import (
    Stream,
    StreamBatch,
    StreamConfig,
    StreamedSample,
    StreamState,
    read_takedowns,
)
from sao_data.storage.backend import open_storage
from tests.datasets_made import report_on
from tests.paths import ROOT
from tests.streams_made import NUM, WINDOW, make_dataset, members, stream


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("stream"))


def take(batches: Stream, num: int) -> list[StreamBatch]:
    return list(itertools.islice(batches, num))


def facts(sample: StreamedSample) -> tuple[object, ...]:
    """All of a sample, its audio as a hash: equal facts, equal training."""
    audio = hashlib.sha256(np.ascontiguousarray(sample.audio).tobytes()).hexdigest()
    return sample.position, sample.key, sample.crop_start, sample.is_flipped, sample.prompt, audio


def sequence(batches: list[StreamBatch]) -> list[tuple[object, ...]]:
    return [facts(sample) for batch in batches for sample in batch.samples]


@pytest.fixture(scope="module")
def plain(built: Path) -> list[tuple[object, ...]]:
    """Three epochs and a bit as one rank sees them, in batches of 12."""
    with stream(built, 12) as batches:
        return sequence(take(batches, 7))


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("threads", [0, 2])
def test_the_ranks_together_see_what_one_rank_sees(
    built: Path, plain: list[tuple[object, ...]], world_size: int, threads: int
) -> None:
    ranks = []
    for rank in range(world_size):
        with stream(built, 12, rank=rank, world_size=world_size, num_threads=threads) as batches:
            ranks.append(take(batches, 7))
    steps = [[facts(s) for batch in step for s in batch.samples] for step in zip(*ranks, strict=True)]
    assert list(itertools.chain.from_iterable(steps)) == plain  # the sequence, not the set
    assert len({batch.state for batch in itertools.chain.from_iterable(ranks)}) == 7


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12, NUM])
def test_every_epoch_holds_every_sample_once_whatever_the_batch(built: Path, batch_size: int) -> None:
    with stream(built, batch_size) as batches:
        keys = [s.key for batch in take(batches, -(-3 * NUM // batch_size)) for s in batch.samples]
    epochs = [keys[at : at + NUM] for at in range(0, 3 * NUM, NUM)]
    assert [sorted(epoch) for epoch in epochs] == [sorted(members(built))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("seed", range(10))
def test_a_resume_goes_on_where_it_stopped_on_any_number_of_ranks(
    built: Path, plain: list[tuple[object, ...]], seed: int
) -> None:
    dice = random.Random(seed)
    state, step, got = StreamState(), 0, list[tuple[object, ...]]()
    while step < 7:
        world_size, num = dice.choice([1, 2, 3, 4, 6]), dice.randint(1, 7 - step)
        ranks = []
        for rank in range(world_size):
            with stream(built, 12, rank=rank, world_size=world_size, state=state, num_threads=seed % 3) as s:
                ranks.append(take(s, num))
        got += [facts(s) for batch in zip(*ranks, strict=True) for part in batch for s in part.samples]
        state, step = ranks[0][-1].state, step + num
    assert got == plain


def test_two_processes_share_the_data(built: Path) -> None:
    code = (
        "import sys\n"
        "from sao_data.dataset.reader import open_dataset\n"
        "from sao_data.loading.stream import Stream, StreamConfig\n"
        "c = StreamConfig(window_frames=1000)\n"
        f"data, rank = open_dataset({str(built)!r}), int(sys.argv[1])\n"
        "with Stream(data, c, batch_size=6, rank=rank, world_size=2) as s:\n"
        "    print(*(x.key for _ in range(4) for x in next(s).samples))\n"
        "    assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    running = [
        subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for rank in (0, 1)
    ]
    first, second = (process.communicate()[0].split() for process in running)
    assert [process.returncode for process in running] == [0, 0]
    assert len(first) == len(second) == 12
    in_order = [key for at in range(0, 12, 3) for part in (first, second) for key in part[at : at + 3]]
    assert sorted(in_order[:NUM]) == sorted(members(built))  # union = all, overlap = none
    assert in_order[NUM] in in_order[:NUM]  # the batch runs on into the next epoch


def test_a_window_is_what_soundfile_reads_there(built: Path) -> None:
    audio = members(built)
    with stream(built, NUM) as batches:
        samples = next(batches).samples
    for sample in samples:
        whole, said = audio[sample.key]
        sound = whole[:, sample.crop_start : sample.crop_start + WINDOW]
        assert sample.num_frames == sound.shape[1] == min(WINDOW, said.num_frames)
        assert np.array_equal(sample.audio[:, : sample.num_frames], -sound if sample.is_flipped else sound)
        assert not sample.audio[:, sample.num_frames :].any()
        assert sample.audio.dtype == np.float32
        assert sample.audio.shape == (2, WINDOW)
        assert (sample.seconds_start, sample.seconds_total) == (
            sample.crop_start // 44_100,
            said.seconds_total,
        )
        assert (sample.recording_id, sample.is_padded_inside) == (said.id, False)
    assert {s.is_flipped for s in samples} == {True, False}
    assert {s.num_frames < WINDOW for s in samples} == {True, False}
    assert len({s.crop_start for s in samples if s.num_frames == WINDOW}) > 10


def test_windows_of_cut_recordings_are_padded_only_at_the_true_end(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path, "[cut]\nmax_seconds = 1\n")
    said = {key: sample for key, (_, sample) in members(folder).items()}
    assert any(sample.start_frame for sample in said.values())
    with stream(folder, len(said), window_frames=44_100) as batches:
        for sample in next(batches).samples:
            clip = said[sample.key]
            end = clip.start_frame + clip.num_frames
            assert sample.num_frames == 44_100 or end == clip.recording_frames
            assert sample.seconds_start == (clip.start_frame + sample.crop_start) // 44_100
            assert sample.seconds_total == -(-clip.recording_frames // 44_100)
        assert batches.num_padded_inside == 0
    inner = {key for key, s in said.items() if s.start_frame + s.num_frames < s.recording_frames}
    with stream(folder, len(said), window_frames=50_000) as batches:  # longer than the clips are cut
        assert {s.key for s in next(batches).samples if s.is_padded_inside} == inner
        assert batches.num_padded_inside == len(inner) > 0


def test_flips_come_as_often_as_configured(built: Path) -> None:
    for flip, wanted in ((0.0, 0), (1.0, NUM)):
        with stream(built, NUM, flip=flip) as batches:
            assert sum(s.is_flipped for s in next(batches).samples) == wanted
    with stream(built, NUM, window_frames=10) as batches:
        share = np.mean([s.is_flipped for batch in take(batches, 40) for s in batch.samples])
    assert abs(share - 0.5) < 0.07  # standard deviation 0.016


def test_another_epoch_brings_other_crops_and_prompts(built: Path) -> None:
    with stream(built, NUM) as batches:
        first, second = ({s.key: s for s in batch.samples} for batch in take(batches, 2))
    long = [key for key, sample in first.items() if sample.num_frames == WINDOW]
    assert sum(first[key].crop_start != second[key].crop_start for key in long) > len(long) - 2
    assert sum(first[key].prompt != second[key].prompt for key in first) > NUM // 2


def test_the_state_survives_json_and_refuses_another_order(built: Path) -> None:
    with stream(built, 5) as batches:
        state = take(batches, 3)[-1].state
    assert state.position == 15
    text = json.dumps(config.canonical(state))
    assert config.parse(StreamState, json.loads(text), where="state.json") == state
    for other in ({"seed": 1}, {"shards_per_group": 2}, {"series": ("train",)}):
        with pytest.raises(UsageError, match="the state was made in another order"):
            stream(built, 5, state=state, **other)


@pytest.mark.parametrize(
    ("batch_size", "world_size", "says"),
    [
        (
            10,
            4,
            r"batch_size 10 \(of all ranks\) does not divide by 4 ranks; want 8 or 12, or 2 ranks, which",
        ),
        (9, 4, r"does not divide by 4 ranks; want 8 or 12, or 3 ranks, which divide it$"),
        (7, 4, r"does not divide by 4 ranks; want 4 or 8$"),
        (3, 4, r"does not divide by 4 ranks; want 4, or 3 ranks, which divide it$"),
        (0, 1, r"does not divide by 1 ranks; want 1"),
        (NUM + 1, 1, rf"{NUM} samples cannot fill a global batch of {NUM + 1}; lower the batch size"),
    ],
)
def test_batches_that_cannot_be_are_refused(built: Path, batch_size: int, world_size: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        stream(built, batch_size, world_size=world_size)


@pytest.mark.parametrize(
    "wrong", [{"window_frames": 0}, {"num_threads": -1}, {"num_prefetch": 0}, {"flip": 2.0}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=rf"stream\.{next(iter(wrong))}"):
        StreamConfig(**wrong)  # type: ignore[arg-type]


def test_recordings_taken_down_are_passed_over_and_the_rest_keeps_its_order(
    built: Path, plain: list[tuple[object, ...]]
) -> None:
    ids = {key: said.id for key, (_, said) in members(built).items()}
    taken = sorted(ids.values())[3:6]
    with stream(built, 12, takedowns=[*taken, "freesound:1"]) as batches:
        got = take(batches, 5)
        assert batches.num_samples == NUM - 3
        assert batches.seen().draws == 60
    left = [facts for facts in plain if ids[str(facts[1])] not in taken]
    assert [len(batch.samples) for batch in got] == [12] * 5
    assert sequence(got) == left[:60]


def test_a_take_down_in_mid_run_counts_from_there_on(built: Path) -> None:
    ids = {key: said.id for key, (_, said) in members(built).items()}
    with stream(built, 12) as batches:
        before = next(batches)
    gone = [before.samples[0], before.samples[5]]
    taken = [ids[sample.key] for sample in gone]
    with stream(built, 12, state=before.state, takedowns=taken) as batches:
        after = take(batches, 8)
        seen = batches.seen()
    assert not {s.key for batch in after for s in batch.samples} & {sample.key for sample in gone}
    assert after[-1].state.skips == tuple(sorted((one, 12) for one in taken))
    by_name = {shard.name: shard for shard in seen.shards}
    assert all(is_seen(by_name[s.shard].seen, s.index_in_shard) for s in gone)  # they were, before
    assert seen.draws == 12 * 9
    with stream(built, 12, state=after[3].state) as batches:  # the state knows, without takedowns.jsonl
        assert sequence(take(batches, 4)) == sequence(after[4:])
    with stream(built, 12, takedowns=taken) as batches:
        take(batches, 8)
        by_name = {shard.name: shard for shard in batches.seen().shards}
    assert not any(is_seen(by_name[s.shard].seen, s.index_in_shard) for s in gone)


def is_seen(bitmap: str, index: int) -> bool:
    import base64

    return bool(base64.b64decode(bitmap)[index // 8] >> index % 8 & 1)


def test_takedowns_jsonl_is_read_when_a_stream_is_made(built: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "out"
    shutil.copytree(built, folder)
    storage = open_storage(str(folder))
    assert read_takedowns(storage) == frozenset()
    one = next(iter(members(folder).values()))[1].id
    storage.write("takedowns.jsonl", json.dumps({"id": one, "when": "2026-01-01"}).encode() + b"\n\n")
    assert read_takedowns(storage) == {one}
    with stream(folder, 2) as batches:
        assert batches.num_samples == NUM - 1
        assert one not in {s.recording_id for batch in take(batches, NUM) for s in batch.samples}
    storage.write("takedowns.jsonl", b'{"id": "a:1"}\n["b:2"]\n')
    with pytest.raises(UsageError, match=r"takedowns\.jsonl:2: not a JSON object; mend the line"):
        stream(folder, 2)


def test_seen_is_what_was_yielded_and_the_report_reads_it(built: Path, tmp_path: Path) -> None:
    from sao_data.dataset.reader import open_dataset

    with stream(built, 5, world_size=5, rank=3) as batches:  # any rank knows what all of them saw
        state = take(batches, 3)[-1].state
        seen = batches.seen()
        assert batches.seen(state) == seen
        assert batches.seen(StreamState()).draws == 0
    with stream(built, 15) as batches:
        samples = next(batches).samples
    assert seen.draws == 15
    dataset = open_dataset(str(built))
    training = {name: dataset.facts[name] for name in ("version", "root_digest")} | {
        "dataset": "made",
        "step": 3,
    }
    (tmp_path / "training_data.json").write_text(json.dumps(training | {"shards": seen.to_json()}))
    report_on(dataset, open_storage(str(tmp_path / "report")), tmp_path)
    works = json.loads((tmp_path / "report" / "attribution.json").read_text())
    assert sorted(work["id"] for work in works) == sorted(s.recording_id for s in samples)
    shards = {shard.name: shard for shard in dataset.shards()}
    for shard in seen.shards:
        assert (shard.sha256, shard.num_samples) == (
            shards[shard.name].sha256,
            shards[shard.name].num_samples,
        )
        assert shard.draws == sum(sample.shard == shard.name for sample in samples)


def test_an_object_store_streams_the_same(built: Path) -> None:
    from sao_data.dataset.reader import open_dataset

    store = open_storage("memory://streamed")
    for path in built.rglob("*"):
        if path.is_file() and "work" not in path.relative_to(built).parts:
            store.write(path.relative_to(built).as_posix(), path.read_bytes())
    with stream(built, NUM) as local, stream(open_dataset("memory://streamed"), NUM, num_threads=2) as remote:
        assert sequence(take(local, 1)) == sequence(take(remote, 1))


def test_decoding_runs_ahead_and_ends_with_the_stream(built: Path) -> None:
    with stream(built, 4, num_threads=2, num_prefetch=3) as batches:
        next(batches)
        assert len(batches._pending) == 3
        assert [t for t in threading.enumerate() if t.name.startswith("sao-stream")]
    assert not [t for t in threading.enumerate() if t.name.startswith("sao-stream")]
    with pytest.raises(AssertionError, match="closed"):
        next(batches)


def test_an_error_in_a_thread_is_raised_at_its_batch_and_ends_the_stream(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stream(built, 4) as batches:
        bad = take(batches, 3)[2].samples[1].key
    real = SampleMaker.make

    def make(self: object, planned: object, out: object) -> StreamedSample:
        made: StreamedSample = real(self, planned, out)
        if made.key == bad:
            raise ValueError(f"no {bad}")
        return made

    monkeypatch.setattr("sao_data.loading.samples.SampleMaker.make", make)
    with stream(built, 4, num_threads=2, num_prefetch=4) as batches:
        take(batches, 2)
        with pytest.raises(ValueError, match=f"no {bad}"):
            next(batches)
        assert batches.state.position == 8
        with pytest.raises(AssertionError, match="make a new Stream from the state"):
            next(batches)
