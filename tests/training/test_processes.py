"""Any number of processes trains the same, and ends together: stops, refusals, deaths."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sao_data.storage.backend import LocalStorage
from sao_model import checkpoint, preset, run
from sao_model.model import build as build_model
from tests import processes, ranks
from tests.datasets_made import build, load, tone_wav, write_folder
from tests.paths import ROOT
from tests.training.test_training import TINY
from tests.warm import Warm

VAE = """
model = "{model}"
batch_size = 4
[stream]
window_frames = 2048
[losses]
fft_sizes = [256, 64]
[adversary.discriminator]
filters = 4
fft_sizes = [256, 128]
[optimiser]
warmup = 0.0
[adversary.optimiser]
warmup = 0.0
[pace]
log_every = 1
save_every = 1000
"""
DIT = """
model = "{model}"
batch_size = 4
[optimiser]
warmup = 0.0
[demos]
steps = 2
seconds = 0.02
prompts = ["a tone", "two tones"]
[pace]
log_every = 1
save_every = 1000
sample_every = 6
validate_every = 3
[preflight]
check = false
[validation]
num_windows = 4
series = ["train"]
[scores]
every = 3
steps = 2
"""
OTHERS = {
    "step",
    "seconds",
    "processes",
    "samples_per_second",
}  # in a line of the log, beside losses and shares


@dataclass(frozen=True, kw_only=True)
class World:
    """A dataset, the presets, a codec; and the warm process that commands are forked from."""

    warm: Warm
    folder: Path

    def script(
        self, kind: str, out: Path, data: str = "data", codec: str = "codec", **fields: object
    ) -> list[str | Path]:
        """The command of a training, fields as `pace__steps=4`."""
        sets = [f"{name.replace('__', '.')}={value}" for name, value in fields.items()]
        vae = ["--vae", self.folder / codec] if kind == "dit" else []
        return [
            *(ROOT / "pipelines" / f"train_{kind}.py", "--config", self.folder / f"{kind}.toml"),
            *("--data", self.folder / data, "--out", out, *vae),
            *(word for each in sets for word in ("--set", each)),
        ]

    def train(self, kind: str, out: Path, num: int = 1, *, is_divided: bool = False, **fields: object) -> str:
        """Train on `num` processes; what they said."""
        more = ranks.divided() if is_divided else {}
        ended = ranks.forked(self.warm, self.script(kind, out, **fields), num, more)
        assert [each.returncode for each in ended] == [0] * num, ended
        return "".join(each.stderr for each in ended)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, warm_torch: Warm) -> World:
    folder = tmp_path_factory.mktemp("processes")
    sounds = write_folder(folder / "in", 12)
    for n in range(12):
        (sounds / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(folder, sounds), folder / "data")
    (folder / "mini.toml").write_text(TINY)
    for kind, text in (("vae", VAE), ("dit", DIT)):
        (folder / f"{kind}.toml").write_text(text.format(model=folder / "mini.toml"))
    made = World(warm=warm_torch, folder=folder)
    made.train("vae", folder / "codec", pace__steps=1)
    return made


@pytest.fixture(scope="module")
def alone(world: World) -> Callable[[str], Path]:
    """The run of one process that others are held against, by kind; made once."""

    def made(kind: str) -> Path:
        out = world.folder / f"alone-{kind}"
        if not out.exists():
            world.train(kind, out, pace__steps=6)
        return out

    return made


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / run.LOG).read_text().splitlines()]


def losses(out: Path) -> list[dict[str, float]]:
    """Every term of every step, and what decides the step's size."""
    others = ("_share", "_gradient")
    return [
        {n: v for n, v in each.items() if n not in OTHERS and not n.endswith(others)} for each in lines(out)
    ]


def tensors(out: Path) -> dict[str, torch.Tensor]:
    return load_file(run.resolve(out) / "training.safetensors")


def seen(out: Path) -> object:
    return json.loads((run.resolve(out) / run.DATA).read_text())["shards"]


def assert_same_training(out: Path, other: Path, rel: float = 1e-5) -> None:
    """The same samples, the same losses, weights as near as rounding lets them be."""
    ours, theirs = losses(out), losses(other)
    assert len(ours) == len(theirs)
    for mine, its in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(its, rel=rel, abs=1e-6)  # the adversarial term is a mean around 0
    assert seen(out) == seen(other)
    mine_by_name, its_by_name = tensors(out), tensors(other)
    assert mine_by_name.keys() == its_by_name.keys()
    for name in (name for name in mine_by_name if "weight|" in name):
        torch.testing.assert_close(mine_by_name[name], its_by_name[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "before", "after"), [("vae", 4, 2)])
def test_other_numbers_of_processes_train_the_same(
    world: World, alone: Callable[[str], Path], tmp_path: Path, kind: str, before: int, after: int
) -> None:
    """Three steps on some, three more on others, from their checkpoint."""
    world.train(kind, tmp_path / "run", before, pace__steps=3)
    world.train(kind, tmp_path / "run", after, pace__steps=6)
    assert_same_training(tmp_path / "run", alone(kind))
    whole = tensors(alone(kind))
    moved = [n for n in whole if n.startswith("weight|") and not torch.equal(whole[n], whole[f"ema|{n[7:]}"])]
    assert moved  # they have learned at all


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", "dit"])
def test_every_number_of_processes_goes_on_as_every_other(world: World, tmp_path: Path, kind: str) -> None:
    fields: dict[str, object] = {"batch_size": 8}
    world.train(kind, tmp_path / "alone", pace__steps=6, **fields)
    for before, after, accumulate in product((1, 2, 4), (1, 2, 4), (1, 2)):
        out = tmp_path / f"{before}-{after}-{accumulate}"
        world.train(kind, out, before, pace__steps=3, accumulate=accumulate, **fields)
        world.train(kind, out, after, pace__steps=6, accumulate=accumulate, **fields)
        assert_same_training(out, tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", "dit"])
def test_portions_train_as_the_whole(
    world: World, alone: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    world.train(kind, tmp_path / "run", 2, pace__steps=6, accumulate=2)
    assert_same_training(tmp_path / "run", alone(kind))


@pytest.mark.parametrize(
    ("before", "after"),
    [("divided", "copies"), ("copies", "divided")],
)
@pytest.mark.slow
def test_weights_divided_among_processes_train_as_copies_do(
    world: World, alone: Callable[[str], Path], tmp_path: Path, before: str, after: str
) -> None:
    """FSDP2 on Accelerate's road, and from its checkpoint one process without it; and the other way round."""
    said = []
    for steps, how in ((3, before), (6, after)):
        is_divided = how == "divided"
        num = 2 if is_divided else 1
        fields = {"pace__steps": steps, "accumulate": 2}
        said += [world.train("dit", tmp_path / "run", num, is_divided=is_divided, **fields)]
    assert sum("weights divided among them (FSDP2)" in each for each in said) == 1
    assert_same_training(tmp_path / "run", alone("dit"))
    assert validations(tmp_path / "run") == pytest.approx(validations(alone("dit")), rel=1e-4)
    sounds = {path.name for path in (tmp_path / "run" / run.SOUNDS).rglob("*.flac")}
    assert sounds == {f"{which}-{n:02d}.flac" for which in ("ema", "raw") for n in (0, 1)}


def validations(out: Path) -> dict[tuple[int, str, str], float]:
    found = [json.loads(line) for line in (out / run.VALIDATION).read_text().splitlines()]
    return {
        (each["step"], each["weights"], name): value
        for each in found
        for name, value in each.items()
        if isinstance(value, float)
    }


@pytest.mark.slow
def test_half_precision_is_the_same_for_divided_weights(world: World, tmp_path: Path) -> None:
    """Accelerate's own policy would round what goes in, and every weight."""
    for name, is_divided in (("copies", False), ("divided", True)):
        world.train("dit", tmp_path / name, 2, is_divided=is_divided, pace__steps=2, precision="bf16")
    world.train("dit", tmp_path / "whole", 1, pace__steps=2)
    copies, divided, whole = (
        [each["loss"] for each in lines(tmp_path / n)] for n in ("copies", "divided", "whole")
    )
    assert divided == pytest.approx(copies, rel=1e-5)
    assert divided != pytest.approx(whole, rel=1e-5)


# ------------------------------------------------------------------------------------------------------- ends

LONG = {"pace__steps": 100_000, "pace__save_every": 100_000}


def wait_for_step(out: Path, step: int) -> None:
    """Until the log has a line of this step."""
    path = out / run.LOG
    processes.wait_for(lambda: path.exists() and len(path.read_text().splitlines()) >= step, f"step {step}")


@pytest.mark.parametrize(
    ("kind", "number", "to"),
    [
        ("vae", signal.SIGTERM, [1]),
        pytest.param("dit", signal.SIGUSR1, [0], marks=pytest.mark.slow),
        pytest.param("vae", signal.SIGTERM, [0, 1, 1, 0], marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_any_process_stops_all_and_nothing_is_lost(
    world: World, tmp_path: Path, kind: str, number: signal.Signals, to: list[int]
) -> None:
    out = tmp_path / "run"
    with ranks.running(world.warm, world.script(kind, out, **LONG), 2) as (pids, answers):
        wait_for_step(out, 3)
        for rank in to:
            os.kill(pids[rank], number)
    assert [each.returncode for each in answers] == [4, 4], answers
    (saved,) = run.checkpoints(out)
    for rank, each in enumerate(answers):
        who = number.name if rank in to else "a signal to another process"
        done = f"step {run.step_of(saved)} is done, {saved.name} is saved in {out}"
        said = f"stopped: {who}: {done}; run the same command again"
        assert said in each.stderr
    steps = run.step_of(saved) + 3
    world.train(kind, out, 2, pace__steps=steps)
    world.train(kind, tmp_path / "unbroken", 2, pace__steps=steps)
    assert losses(out) == losses(tmp_path / "unbroken")
    ours, theirs = tensors(out), tensors(tmp_path / "unbroken")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize("dying", [0, 1])
def test_a_process_that_dies_ends_the_others_and_the_next_run_goes_on(
    world: World, tmp_path: Path, dying: int
) -> None:
    out, rest = tmp_path / "run", 1 - dying
    script = world.script("vae", out, pace__steps=100_000, pace__save_every=2)
    with ranks.running(world.warm, script, 2) as (pids, answers):
        wait_for_step(out, 5)
        os.kill(pids[dying], signal.SIGKILL)
    assert answers[dying].returncode == -signal.SIGKILL
    assert answers[rest].returncode == 4, answers[rest]
    assert "stopped: another process has ended or does not answer" in answers[rest].stderr
    steps = run.step_of(run.checkpoints(out)[-1]) + 2
    world.train("vae", out, 2, pace__steps=steps)
    world.train("vae", tmp_path / "unbroken", 2, pace__steps=steps)
    assert_same_training(out, tmp_path / "unbroken", rel=0)


# Two processes, the second started with something else: what both say.
REFUSALS = {
    "config": r"process 1 on \S+ has another config: seed than process 0 on \S+: 1, not 0; start all pro",
    "dataset": r"process 1 on \S+ has another dataset than process 0 on \S+: made \S+ \w{12}, not made ",
    "out": r"--out \S+: not the same folder on all machines: process [01] on \S+ does not see",
    "codec": r"process 1 on \S+ has another codec \(weights\) than process 0 on \S+: \w{12}, not \w{12}; st",
}


@pytest.fixture(scope="module")
def grown(world: World) -> Path:
    """The dataset with one recording more."""
    sounds = write_folder(world.folder / "more", 13)
    for n in range(13):
        (sounds / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(world.folder, sounds), world.folder / "grown")
    return world.folder / "grown"


@pytest.fixture(scope="module")
def other_codec(world: World) -> Path:
    """The same codec with one number changed: a copy that went wrong on one machine."""
    model = build_model(preset.read(str(world.folder / "mini.toml")))
    model.codec = checkpoint.load_codec(run.resolve(world.folder / "codec"))
    with torch.no_grad():
        next(model.codec.parameters()).view(-1)[0] += 1.0
    checkpoint.save(model, world.folder / "other-codec", only=("vae",))
    return world.folder / "other-codec"


@pytest.mark.parametrize("what", REFUSALS)
def test_processes_that_do_not_belong_together_all_say_so_and_end(
    world: World, grown: Path, other_codec: Path, tmp_path: Path, what: str
) -> None:
    out, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    seconds = {
        "config": world.script("vae", out, pace__steps=2, seed=1),
        "dataset": world.script("vae", out, pace__steps=2, data=grown.name),
        "out": world.script("vae", elsewhere, pace__steps=2),
        "codec": world.script("dit", out, pace__steps=2, codec=other_codec.name),
    }
    first = world.script("dit" if what == "codec" else "vae", out, pace__steps=2)
    ended = ranks.forked(world.warm, [first, seconds[what]], 2)
    assert [each.returncode for each in ended] == [2, 2], ended
    for each in ended:
        assert re.search(f"^error: {REFUSALS[what]}", each.stderr, re.MULTILINE), each.stderr
    assert not run.checkpoints(out)
    assert not elsewhere.exists()
    assert not list(tmp_path.glob("*/.tmp-shared-*"))


@pytest.mark.parametrize(
    ("fields", "more", "told"),
    [
        ({"batch_size": 5}, {}, "batch_size 5 does not divide by 2 processes times accumulate = 1; start"),
        ({"accumulate": 3}, {}, "batch_size 4 does not divide by 2 processes times accumulate = 3; want"),
        ({}, {"FSDP_VERSION": "1"}, "fsdp_version: 1; want 2 (version 1 is another thing)"),
        ({}, {"FSDP_OFFLOAD_PARAMS": "true"}, "fsdp_offload_params: true; want false"),
        ({}, {"FSDP_TRANSFORMER_CLS_TO_WRAP": "GPT2Block"}, "fsdp_transformer_layer_cls_to_wrap: GPT2Block;"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_ends_every_process_before_anything_is_made(
    world: World, tmp_path: Path, fields: dict[str, object], more: dict[str, str], told: str
) -> None:
    more = ranks.divided() | more if more else {}
    ended = ranks.forked(world.warm, world.script("dit", tmp_path / "run", **fields), 2, more)
    assert [each.returncode for each in ended] == [2, 2], ended
    assert all(told in each.stderr for each in ended), ended
    assert not (tmp_path / "run").exists()


def test_a_run_that_somebody_holds_ends_every_process(world: World, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with LocalStorage(tmp_path / "run").lock():
        ended = ranks.forked(world.warm, world.script("vae", tmp_path / "run", pace__steps=2), 2)
    assert [each.returncode for each in ended] == [6, 6], ended
    assert all("in use by process" in each.stderr for each in ended)
