"""Learning from latents is learning from audio: the same samples, the same losses up to rounding."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path

import pytest
import torch

from sao_data.commands import training as command
from sao_data.config import Table, parse
from sao_data.dataset.reader import Dataset
from sao_data.dataset.release import Release, terms_of
from sao_data.errors import IntegrityError, Stopped, UsageError
from sao_data.latents.facts import SeriesTerms
from sao_data.latents.reader import Latents, open_latents
from sao_data.loading.stream import Stream, StreamConfig
from sao_data.rights import takedowns
from sao_data.rights.takedowns import Tombstone
from sao_model import declared, run, train_dit
from sao_model.monitoring import page, plan
from sao_model.training.dit.inputs import stored
from tests import ranks
from tests.latents.conftest import HOP, LENGTHS, WINDOW, LatentWorld, codec_of, encode, made_dataset, sounds
from tests.paths import ROOT
from tests.training.made_runs import Silent, assert_same, log
from tests.warm import Warm

SHORT = tuple(seconds for seconds in LENGTHS if seconds * 44_100 <= WINDOW * HOP + 1)
TOLERANCE = 2e-3  # of a loss, from latents rounded to float16


def config(world: LatentWorld, **changes: object) -> train_dit.Config:
    table: Table = {
        "model": world.model,
        "batch_size": 4,
        "stream": {"flip": 0.0, "num_threads": 0},
        "preflight": {"least_std": 0.01},
        "validation": {"num_windows": 3},
        "pace": {"steps": 6, "log_every": 1, "save_every": 3, "validate_every": 6},
    }
    return parse(train_dit.Config, table | changes, where="test")


def train(
    world: LatentWorld,
    source: Dataset | Latents,
    out: Path,
    progress: Silent | None = None,
    **changes: object,
) -> Path:
    return train_dit.train(
        config(world, **changes), source, str(world.vae), out, resume="auto", progress=progress or Silent()
    )


@pytest.fixture(scope="module")
def short(latent_world: LatentWorld, tmp_path_factory: pytest.TempPathFactory) -> LatentWorld:
    """Clips up to the window: their crops are equal."""
    tmp = tmp_path_factory.mktemp("short")
    data = made_dataset(tmp, sounds(tmp / "in", SHORT), tmp / "data")
    encode(data, latent_world.vae, tmp / "latents")
    return LatentWorld(folder=tmp, model=latent_world.model, vae=latent_world.vae)


@pytest.fixture(scope="module")
def learned(short: LatentWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training from latents, unbroken."""
    out = tmp_path_factory.mktemp("learned") / "run"
    train(short, short.latents, out)
    return out


def test_losses_are_those_of_audio_and_so_is_what_was_seen(
    short: LatentWorld, learned: Path, tmp_path: Path
) -> None:
    train(short, short.data, tmp_path / "audio", preflight={"check": False})
    for name in (run.LOG, run.VALIDATION):
        ours, theirs = log(learned, name), log(tmp_path / "audio", name)
        assert len(ours) == len(theirs) > 0
        for one, other in zip(ours, theirs, strict=True):
            assert one["step"] == other["step"]
            assert one["loss"] == pytest.approx(other["loss"], rel=TOLERANCE)
    ours, theirs = (
        json.loads((run.resolve(out) / run.DATA).read_text()) for out in (learned, tmp_path / "audio")
    )
    made = ours.pop("latents")
    assert made["encoding"] == short.latents.encoding.digest
    assert ours == theirs
    page.write(learned)
    assert "from latents" in (learned / run.PAGE).read_text()


class Stops(Silent):
    """Raises behind the n-th step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def advance(self, num: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise Stopped("enough")


def test_a_training_goes_on_bit_for_bit_but_not_from_something_else(
    short: LatentWorld, learned: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        train(short, short.latents, tmp_path / "run", Stops(6))
    assert run.step_of(run.checkpoints(tmp_path / "run")[-1]) == 3
    with pytest.raises(UsageError, match=r"learned from latents .\w{12}….*, not from audio; go on with"):
        train(short, short.data, tmp_path / "run")
    train(short, short.latents, tmp_path / "run")
    assert_same(tmp_path / "run", learned)


def keys(
    source: Latents, rank: int, world: int, threads: int, num: int = 6
) -> list[list[tuple[object, ...]]]:
    settings = StreamConfig(series=("train",), window_frames=WINDOW * HOP, num_threads=threads, flip=0.5)
    with Stream(source, settings, batch_size=4, rank=rank, world_size=world) as stream:
        return [
            [(s.key, s.prompt, s.crop_start, s.seconds_start, s.audio.tobytes()) for s in batch.samples]
            for batch in itertools.islice(stream, num)
        ]


def test_any_number_of_processes_and_threads_draws_the_same(latent_world: LatentWorld) -> None:
    whole = keys(latent_world.latents, 0, 1, 0)
    for world, threads in itertools.product((1, 2), (0, 2)):
        parts = [keys(latent_world.latents, rank, world, threads) for rank in range(world)]
        joined = [list(itertools.chain(*batch)) for batch in zip(*parts, strict=True)]
        assert joined == whole


def test_takedowns_of_the_dataset_are_passed_over(latent_world: LatentWorld, tmp_path: Path) -> None:
    data = made_dataset(tmp_path, sounds(tmp_path / "in", SHORT), tmp_path / "data")
    encode(data, latent_world.vae, tmp_path / "latents")
    gone = next(iter(data.samples())).recording_id
    takedowns.append(data.storage, [Tombstone(id=gone, when="2026-01-01", reason="asked")])
    settings = StreamConfig(series=("train", "validation"), window_frames=WINDOW * HOP, num_threads=0)
    for source in (open_latents(str(tmp_path / "latents")), open_latents(str(tmp_path / "latents"), data)):
        with Stream(source, settings, batch_size=1) as stream:
            assert stream.num_samples == len(SHORT) - 1
            drawn = {next(stream).samples[0].recording_id for _ in range(2 * len(SHORT))}
        assert gone not in drawn


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stream": {"series": ["tests"]}}, "no latents of the series tests .there are: train, validation"),
        ({"stream": {"redraw_silent": 2}}, "stream.redraw_silent: has no effect on latents; leave it"),
        ({"batch_size": 64}, r"\d+ samples cannot fill a global batch of 64; lower the batch size"),
        ({"preflight": {"least_std": 5.0}}, "its latents have a std of 0.*, not 5 to 10; train it longer"),
    ],
)
def test_what_cannot_be_learned_from_is_said(
    latent_world: LatentWorld, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train(latent_world, latent_world.latents, tmp_path / "run", **changes)


def test_what_works_ask_is_held_against_the_release(latent_world: LatentWorld) -> None:
    series, latents = ("train", "validation"), latent_world.latents
    assert latents.terms(series) == terms_of(latent_world.data, series)
    asked = {"license_family": "SAMPLING+", "ai_preference": "", "reviewed": False, "works": 3}
    terms = [SeriesTerms(series=each, conditions=[asked]) for each in series]
    latents = dataclasses.replace(latents, said=dataclasses.replace(latents.said, terms=terms))
    assert [each.works for each in latents.terms(series).conditions] == [6]
    release = Release(commercial_use=True)
    with pytest.raises(UsageError, match=r"declares commercial_use = true.*6 of the works.*SAMPLING"):
        declared.declare(release, latents, series, pretrained=[], found=None, is_main=True)


def test_latents_of_another_codec_or_shape_are_refused(latent_world: LatentWorld, tmp_path: Path) -> None:
    other = codec_of(latent_world.model, tmp_path / "other", seed=5)
    world = LatentWorld(folder=latent_world.folder, model=latent_world.model, vae=other)
    with pytest.raises(UsageError, match=r"latents of another VAE: \w{12}…, --vae .*other has \w{12}…; give"):
        train(world, world.latents, tmp_path / "run")
    text = Path(latent_world.model).read_text()
    changes = {"num_latents = 48": "num_latents = 32", "latent_dim = 4": "latent_dim = 8", "8, 32": "8, 16"}
    said = ("48 latents a window, not 32", "4 channels, not 8", "256 frames a latent, not 128")
    for (old, new), what in zip(changes.items(), said, strict=True):
        (tmp_path / "model.toml").write_text(text.replace(old, new))
        with pytest.raises(UsageError, match=f"another shape than model = .*model.toml' takes: .*{what}"):
            train(latent_world, latent_world.latents, tmp_path / "run", model=str(tmp_path / "model.toml"))
    assert not (tmp_path / "run").exists()


def test_folders_that_are_none_or_not_whole_are_refused(latent_world: LatentWorld, tmp_path: Path) -> None:
    data = made_dataset(tmp_path, sounds(tmp_path / "in", SHORT), tmp_path / "data")
    out = tmp_path / "latents"
    with pytest.raises(UsageError, match=r"what to learn from\? give --data DIR, or --latents DIR"):
        command.source(None, None)
    with pytest.raises(UsageError, match="no latents here"):
        command.source(None, str(out))
    encode(data, latent_world.vae, out)
    with pytest.raises(UsageError, match=r"latents of made \w+, --data .* is made \w+; run encode on"):
        command.source(str(latent_world.folder / "data"), str(out))
    assert isinstance(command.source(str(tmp_path / "data"), str(out)), Latents)
    facts = (out / "latents.json").read_bytes()
    (out / "latents.json").unlink()
    with pytest.raises(UsageError, match=r"not finished .no latents.json.; run the same encode again"):
        command.source(None, str(out))
    (out / "latents.json").write_bytes(facts.replace(b'"num_samples": 1', b'"num_samples": 2', 1))
    with pytest.raises(IntegrityError, match=r"latents.json: its root digest is not that of what it says"):
        command.source(None, str(out))
    (out / "latents.json").write_bytes(facts)
    tar = max((out / "shards").glob("train-*.tar"), key=lambda path: path.stat().st_size)
    whole = tar.read_bytes()
    tar.write_bytes(whole[:600] + bytes([whole[600] ^ 1]) + whole[601:])
    world = LatentWorld(folder=tmp_path, model=latent_world.model, vae=latent_world.vae)
    with pytest.raises(IntegrityError, match=rf"{tar.name}: latents of .* is damaged; delete it and run the"):
        train(world, world.latents, tmp_path / "run", pace={"steps": 8, "save_every": 0})
    tar.unlink()
    with pytest.raises(IntegrityError, match=rf"{tar.name}: the shard is missing; delete it and run"):
        train(world, world.latents, tmp_path / "run2", pace={"steps": 8, "save_every": 0})
    encode(data, latent_world.vae, out)
    assert tar.read_bytes() == whole


def test_a_plan_counts_no_encoding(latent_world: LatentWorld) -> None:
    machines = plan.Machines(gpus=1)
    audio, latents = (
        plan.make(config(latent_world), machines, source)
        for source in (latent_world.data, latent_world.latents)
    )
    assert latents.data.samples == audio.data.samples
    assert latents.data.bytes == latent_world.latents.num_bytes(("train", "train-sampling-plus"))
    assert (latents.data.is_latents, audio.data.is_latents) == (True, False)
    assert latents.work.flops_per_sample["encoding"] == 0 < audio.work.flops_per_sample["encoding"]


def test_stored_latents_are_drawn_anew_each_time(short: LatentWorld) -> None:
    settings = StreamConfig(series=("train",), window_frames=WINDOW * HOP, num_threads=0)
    with Stream(short.latents, settings, batch_size=1) as stream:
        found = stored(torch.from_numpy(next(stream).audio))
    assert found.mean_BDL.shape == found.std_BDL.shape == (1, 4, WINDOW)
    assert (found.std_BDL > 0).all()
    assert re.fullmatch(r"[0-9a-f]{64}", short.latents.said.root_digest)


@pytest.mark.slow
def test_two_processes_learn_the_same_from_latents(
    short: LatentWorld, learned: Path, warm_torch: Warm, tmp_path: Path
) -> None:
    table = f'model = "{short.model}"\nbatch_size = 4\n[stream]\nflip = 0.0\nnum_threads = 2\n'
    pace = "[pace]\nsteps = 6\nlog_every = 1\nsave_every = 3\n[preflight]\nleast_std = 0.01\n"
    (tmp_path / "dit.toml").write_text(table + pace)
    script = [ROOT / "pipelines" / "train_dit.py", "--config", tmp_path / "dit.toml", "--vae", short.vae]
    ended = ranks.forked(
        warm_torch, [*script, "--latents", short.folder / "latents", "--out", tmp_path / "run"], 2
    )
    assert [each.returncode for each in ended] == [0, 0], ended
    for one, other in zip(log(tmp_path / "run"), log(learned), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    ours, theirs = (
        json.loads((run.resolve(out) / run.DATA).read_text()) for out in (tmp_path / "run", learned)
    )
    assert ours == theirs
