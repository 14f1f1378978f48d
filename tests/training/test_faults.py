"""What goes wrong while a training runs: numbers that are not finite, stops, full disks, damage."""

import dataclasses
import errno
import json
import logging
import math
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sao_data.config import Table
from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError, Stopped, UsageError
from sao_model import checkpoint, run, train_dit, train_vae
from sao_model.losses import StftLoss
from sao_model.metrics import reconstruction
from sao_model.monitoring import journal
from sao_model.training import loop, preflight, processes, stopping, validation
from sao_model.training.adversary import Turn, turn_of
from sao_model.training.noise import Times, normal, uniform
from sao_model.training.saving import Saver
from sao_model.training.state import LoopState
from tests.training.made_runs import (
    Silent,
    assert_same,
    dit_config,
    log,
    losses,
    tensors,
    vae_config,
)

Spoil = Callable[[Tensor], Tensor]


def train(config: train_vae.Config, data: Dataset, out: Path, progress: Silent | None = None) -> Path:
    return train_vae.train(config, data, out, resume="auto", progress=progress or Silent())


def spoil(monkeypatch: pytest.MonkeyPatch, calls: set[int], how: Spoil) -> None:
    """Change the spectral loss at the given calls of it, counted from 1."""
    real, count = StftLoss.forward, [0]

    def forward(self: StftLoss, output: Tensor, original: Tensor) -> Tensor:
        count[0] += 1
        value = real(self, output, original)
        return how(value) if count[0] in calls else value

    monkeypatch.setattr(StftLoss, "forward", forward)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        (lambda loss: loss * float("nan"), "loss"),
        (lambda loss: loss + loss.detach() * float("inf"), "loss"),
        (lambda loss: loss + 0 * (loss - loss.detach()).sqrt(), "gradient"),  # finite, its slope is not
    ],
)
def test_a_step_that_is_not_finite_is_skipped_counted_and_its_samples_are_named(
    tone_data: Dataset,
    mini_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: Spoil,
    what: str,
) -> None:
    spoil(monkeypatch, {2}, how)
    config = vae_config(mini_model, losses={"fft_sizes": [64], "adversarial": 0.0, "feature_matching": 0.0})
    with caplog.at_level(logging.WARNING):
        train(config, tone_data, tmp_path / "run")
    (said,) = [r.message for r in caplog.records if "not finite" in r.message]
    assert f"step 2: the {what} is not finite; skipped (1 so far); samples: folder-tone-" in said
    lines = log(tmp_path / "run")
    (skipped,) = [line for line in lines if "samples" in line]
    assert skipped["step"] == 2
    assert len(skipped["samples"]) == 4
    assert lines[-1]["skipped"] == 1
    kept = json.loads((run.resolve(tmp_path / "run") / run.LOOP).read_text())["state"]
    assert (kept["skipped"], kept["in_a_row"], kept["step"]) == (1, [], 8)
    assert all(value.isfinite().all() for value in tensors(tmp_path / "run").values())


def test_weights_go_back_when_nothing_is_finite_any_more(
    tone_data: Dataset,
    mini_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(monkeypatch, {6, 7}, lambda loss: loss * float("nan"))
    alone = {"fft_sizes": [64], "adversarial": 0.0, "feature_matching": 0.0}
    pace = {"steps": 9, "log_every": 1, "save_every": 5, "most_skipped": 2}
    config = vae_config(mini_model, losses=alone, pace=pace)
    train(config, tone_data, tmp_path / "run")
    assert "step 7: weights go back to step-00000005" in caplog.text
    state = json.loads((run.resolve(tmp_path / "run") / run.LOOP).read_text())["state"]
    assert (state["skipped"], state["rollbacks"], state["step"]) == (2, 1, 9)
    assert state["stream"]["position"] == 9 * 4  # the data went on


def test_without_a_checkpoint_to_go_back_to_a_run_ends(
    tone_data: Dataset, mini_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, {1, 2, 3}, lambda loss: loss * float("nan"))
    alone = {"fft_sizes": [64], "adversarial": 0.0, "feature_matching": 0.0}
    config = vae_config(mini_model, losses=alone, pace={"steps": 9, "most_skipped": 3})
    with pytest.raises(IntegrityError, match=r"3 steps in a row.*nothing was saved: train into another"):
        train(config, tone_data, tmp_path / "run")


class Signals(Silent):
    """Sends a signal to this process behind the n-th step."""

    def __init__(self, number: int, at: int) -> None:
        self.number, self.left = number, at

    def advance(self, num: int) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_stop_saves_and_the_same_command_goes_on_as_if_there_had_been_none(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path, number: int
) -> None:
    before, out = signal.getsignal(number), tmp_path / "run"
    name = signal.Signals(number).name
    with pytest.raises(
        Stopped, match=rf"{name}: step \d is done, step-\d+ is saved in .*run the same command again"
    ) as ended:
        train(vae_config(mini_model), tone_data, out, Signals(number, 3))
    assert ended.value.exit_code == 4
    assert signal.getsignal(number) == before
    assert 0 < run.step_of(run.checkpoints(out)[-1]) < 8
    train(vae_config(mini_model), tone_data, out)
    assert_same(out, vae_run)


def test_a_dit_that_was_stopped_goes_on_bit_for_bit(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    config = dit_config(mini_model)
    train_dit.train(config, tone_data, str(vae_run), whole, resume="auto", progress=Silent())
    with pytest.raises(Stopped, match="SIGUSR1"):
        train_dit.train(
            config, tone_data, str(vae_run), stopped, resume="auto", progress=Signals(signal.SIGUSR1, 4)
        )
    train_dit.train(config, tone_data, str(vae_run), stopped, resume="auto", progress=Silent())
    assert_same(whole, stopped)


def full(monkeypatch: pytest.MonkeyPatch, calls: set[int]) -> None:
    """The disk is full at the given savings, counted from 1."""
    real, count = checkpoint.save, [0]

    def save(*args: object, **more: object) -> None:
        count[0] += 1
        if count[0] in calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "training.safetensors")
        real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save", save)


def test_a_full_disk_does_not_end_a_training(
    vae_run: Path,
    tone_data: Dataset,
    mini_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out, pace = tmp_path / "run", {"steps": 8, "log_every": 1, "save_every": 2}
    full(monkeypatch, {2, 4})
    with pytest.raises(Stopped, match=r"step-00000008: not saved \(No space left.*free some space and run"):
        train(vae_config(mini_model, pace=pace), tone_data, out)
    assert "step-00000004: not saved (No space left on device); the training goes on" in caplog.text
    assert [run.step_of(path) for path in run.checkpoints(out)] == [2, 6]
    monkeypatch.undo()
    train(vae_config(mini_model, pace=pace), tone_data, out)
    assert_same(out, vae_run)


def test_an_error_of_the_writing_ends_the_run_and_a_failed_one_is_forgotten() -> None:
    saver = Saver()

    def fail(error: Exception) -> Callable[[], None]:
        def write() -> None:
            raise error

        return write

    saver.start(Path("a"), fail(IntegrityError("ours to explain")))
    with pytest.raises(IntegrityError, match="ours to explain"):
        saver.wait()
    saver.start(Path("b"), fail(OSError(errno.EIO, "Input/output error")))
    saver.wait()
    assert saver.failure == "b: not saved (Input/output error)"
    saver.start(Path("c"), lambda: None)
    saver.wait()
    assert saver.failure == ""


def cut(folder: Path) -> None:
    os.truncate(folder / "training.safetensors", 1000)


def flip(folder: Path) -> None:
    data = bytearray((folder / "vae.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "vae.safetensors").write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "training.safetensors: not the bytes that SHA256SUMS names"),
        (flip, "vae.safetensors: not the bytes"),
        (lambda folder: (folder / "loop.json").unlink(), "loop.json: missing"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS: missing"),
    ],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(
    vae_run: Path,
    tone_data: Dataset,
    mini_model: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    said: str,
) -> None:
    out = shutil.copytree(vae_run, tmp_path / "run")
    damage(run.checkpoints(out)[-1])
    train(vae_config(mini_model), tone_data, out)
    assert said in caplog.text
    assert "set aside as damaged-step-00000008, going on with the one before it" in caplog.text
    assert_same(out, vae_run)
    for folder in run.checkpoints(out):
        cut(folder)
    before = (out / run.LOG).read_bytes()
    for _ in range(2):  # a batch system starts the same command again
        with pytest.raises(IntegrityError, match="no checkpoint is whole; restore one from a copy"):
            train(vae_config(mini_model), tone_data, out)
    assert (out / run.LOG).read_bytes() == before


def test_the_best_checkpoint_outlives_the_newest(tone_data: Dataset, mini_model: str, tmp_path: Path) -> None:
    pace = {
        "steps": 6, "log_every": 1, "save_every": 1, "validate_every": 1, "keep_last": 2, "keep_best": 1,
        "sample_every": 6,
    }  # fmt: skip
    out = tmp_path / "run"
    wild = {"lr": 0.3, "warmup": 0.0}  # the first is the best
    train(vae_config(mini_model, pace=pace, optimiser=wild), tone_data, out)
    told = {line["step"]: line["loss"] for line in log(out, run.VALIDATION) if line["weights"] == "ema"}
    assert list(told) == [0, 1, 2, 3, 4, 5, 6]
    best = min((step for step in told if step), key=lambda step: told[step])
    assert [run.step_of(path) for path in run.checkpoints(out)] == sorted({best, 5, 6})
    assert (out / run.CHECKPOINTS / run.LATEST).read_text() == "step-00000006\n"
    made = {path.name.split("-")[0] for path in (out / run.SOUNDS / "step-00000006").glob("*.flac")}
    assert made == {"original", "ema", "raw"}


@pytest.mark.parametrize(
    ("batch", "parts", "world", "said"),
    [
        (8, 1, 4, ""),
        (8, 2, 4, ""),
        (6, 1, 4, "6 does not divide by 4 processes times accumulate = 1; start a number of processes that"),
        (8, 3, 2, "8 does not divide by 2 processes times accumulate = 3; want accumulate = 1, 2, 4"),
        (8, 0, 1, "accumulate: 0; want at least 1"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused_with_what_does(
    batch: int, parts: int, world: int, said: str
) -> None:
    if not said:
        processes.check_share(batch, parts, world)
        return
    with pytest.raises(UsageError, match=said):
        processes.check_share(batch, parts, world)


def test_another_batch_is_refused_with_the_accumulation_that_keeps_it(
    vae_run: Path, tone_data: Dataset, mini_model: str
) -> None:
    message = r"batch_size: was 4, now 2; continue with --set batch_size=4 --set accumulate=2"
    with pytest.raises(UsageError, match=message):
        train(vae_config(mini_model, batch_size=2), tone_data, vae_run)


def test_accumulation_learns_what_the_whole_batch_does(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path
) -> None:
    train(vae_config(mini_model, accumulate=4), tone_data, tmp_path / "run")
    ours, theirs = losses(tmp_path / "run"), losses(vae_run)
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    for (_, one), (_, other) in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_one_batch_is_learned_by_heart(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path
) -> None:
    pace = {"steps": 40, "log_every": 1, "save_every": 0, "overfit": True}
    config = dit_config(mini_model, pace=pace, optimiser={"lr": 3e-3, "warmup": 0.0}, dropout=0.0)
    train_dit.train(config, tone_data, str(vae_run), tmp_path / "run", resume="auto", progress=Silent())
    found = [float(str(line["loss"])) for line in log(tmp_path / "run")]
    assert found[-1] < 0.7 * found[0]


def test_a_codec_that_says_nothing_is_refused_before_a_dit_is_trained(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    narrow = preflight.Config(least_std=50.0, most_std=60.0)
    config = dataclasses.replace(dit_config(mini_model), preflight=narrow)
    message = r"the codec is not ready: .*its latents have a std of .*, not 50 to 60; train it longer, or"
    with pytest.raises(UsageError, match=message):
        train_dit.train(config, tone_data, str(vae_run), tmp_path / "run", resume="auto", progress=Silent())
    bold = dataclasses.replace(config, preflight=dataclasses.replace(narrow, check=False))
    bold = dataclasses.replace(bold, pace=loop.Pace(steps=1))
    train_dit.train(bold, tone_data, str(vae_run), tmp_path / "run", resume="auto", progress=Silent())
    assert "going on all the same" in caplog.text


def test_each_has_its_turns() -> None:
    def turns(steps: int, **changes: object) -> list[Turn]:
        config = vae_config("x", adversary=changes).adversary
        return [turn_of(config, True, step) for step in range(1, steps + 1)]

    by_turns = turns(7, start=2)
    assert [turn.codec for turn in by_turns] == [True, True, True, False, True, False, True]
    assert [turn.num_codec for turn in by_turns if turn.codec] == [0, 1, 2, 3, 4]
    assert [turn.num_judges for turn in by_turns if turn.judges] == [0, 1]
    assert [turn.weight for turn in turns(5, start=1, ramp=4, turns="joint")] == [0, 0.25, 0.5, 0.75, 1]
    assert all(turn.codec for turn in turns(5, turns="joint"))
    assert not turn_of(vae_config("x").adversary, False, 10).judges


def test_noise_follows_from_seed_purpose_and_position_alone() -> None:
    many = normal((3, 5), seed=1, purpose="noise", positions=[4, 9, 2])
    alone = normal((3, 5), seed=1, purpose="noise", positions=[9])
    assert torch.equal(many[1:2], alone)
    others = [(2, "noise", 9), (1, "latents", 9), (1, "noise", 10)]
    for seed, purpose, position in others:
        assert not torch.equal(normal((3, 5), seed=seed, purpose=purpose, positions=[position]), alone)
    drawn = uniform(seed=0, purpose="dropout", positions=range(4000))
    assert abs(float((drawn < 0.1).float().mean()) - 0.1) < 0.015
    assert abs(float(normal((64,), seed=0, purpose="x", positions=range(100)).std()) - 1) < 0.02


@pytest.mark.parametrize("kind", ["sobol", "uniform"])
def test_times_are_a_function_of_the_position(kind: str) -> None:
    def times(seed: int = 7) -> Times:
        return Times(kind, seed)  # type: ignore[arg-type]

    whole = times().at(range(64))
    assert 0 <= float(whole.min()) <= float(whole.max()) <= 1
    later, source = times(), times()
    assert torch.equal(later.at(range(40, 44)), whole[40:44])
    assert torch.equal(later.at([8, 9, 12]), whole[[8, 9, 12]])  # backwards, and with a gap
    assert torch.equal(torch.cat([source.at(range(0, 4)), source.at(range(4, 64))]), whole)
    assert not torch.equal(times(8).at(range(64)), whole)
    if kind == "sobol":
        assert torch.histc(whole, bins=16, min=0, max=1).eq(4).all()  # each sixteenth gets its share


def test_moments_of_eight_bits_go_on_bit_for_bit(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes (extra [bits]) is not installed")
    eight = dit_config(mini_model, optimiser={"moment_bits": 8})
    whole, half = tmp_path / "whole", tmp_path / "half"
    train_dit.train(eight, tone_data, str(vae_run), whole, resume="auto", progress=Silent())
    with pytest.raises(Stopped):
        train_dit.train(
            eight, tone_data, str(vae_run), half, resume="auto", progress=Signals(signal.SIGTERM, 4)
        )
    train_dit.train(eight, tone_data, str(vae_run), half, resume="auto", progress=Silent())
    assert_same(whole, half)
    assert any(value.dtype == torch.uint8 for value in tensors(whole).values())


def test_eight_bits_need_their_package(
    tone_data: Dataset, mini_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(UsageError, match=r"moment_bits = 8 needs bitsandbytes: `pip install 'sao\[bits\]'`"):
        train(vae_config(mini_model, optimiser={"moment_bits": 8}), tone_data, tmp_path / "run")


ALONE: Table = {"fft_sizes": [64], "adversarial": 0.0, "feature_matching": 0.0}


def test_nothing_is_saved_while_steps_are_not_finite(
    tone_data: Dataset, mini_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that were saved then would be gone back to, and an older checkpoint would go for them."""
    spoil(monkeypatch, {4, 5, 6}, lambda loss: loss * float("nan"))
    pace = {"steps": 9, "log_every": 1, "save_every": 1, "keep_last": 1, "most_skipped": 3}
    out, saved = tmp_path / "run", []
    real = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *a, **k: (saved.append(run.step_of(a[1])), real(*a, **k)))
    train(vae_config(mini_model, losses=ALONE, pace=pace), tone_data, out)
    assert saved == [1, 2, 3, 7, 8, 9]
    assert [line["back_to"] for line in log(out) if "back_to" in line] == ["step-00000003"]


def test_a_last_step_that_is_not_finite_ends_with_an_error(
    tone_data: Dataset, mini_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, {6}, lambda loss: loss * float("nan"))
    config = vae_config(mini_model, losses=ALONE, pace={"steps": 6, "save_every": 3})
    with pytest.raises(IntegrityError, match="up to step 6; step-00000003 is finite"):
        train(config, tone_data, tmp_path / "run")


@pytest.mark.parametrize("turns", ["alternating", "joint"])
def test_a_codec_that_never_recovers_is_noticed_beside_good_discriminators(
    tone_data: Dataset, mini_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: str
) -> None:
    spoil(monkeypatch, set(range(3, 99)), lambda loss: loss * float("nan"))
    adversary = {"turns": turns, "discriminator": {"filters": 2, "fft_sizes": [256, 64]}}
    pace = {"steps": 30, "save_every": 2, "most_skipped": 3, "most_rollbacks": 1}
    with pytest.raises(IntegrityError, match=r"3 steps in a row are not finite.*after 1 returns .pace"):
        train(vae_config(mini_model, adversary=adversary, pace=pace), tone_data, tmp_path / "run")


def test_returns_are_forgotten_after_many_good_steps() -> None:
    at = LoopState(rollbacks=2)
    for _ in range(3):
        at = at.counted("", True, 5)
    assert (at.worst, at.skipped) == (3, 3)
    at = at.counted("discriminator", False, 5)
    assert at.worst == 3
    for _ in range(4):
        at = at.counted("", False, 5)
    assert (at.worst, at.rollbacks, at.skipped) == (0, 0, 3)


def test_a_run_that_began_elsewhere_goes_on_from_its_own(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path
) -> None:
    start, out = str(run.checkpoints(vae_run)[0]), tmp_path / "run"
    config = vae_config(mini_model)
    with pytest.raises(Stopped):
        train_vae.train(config, tone_data, out, resume=start, progress=Signals(signal.SIGTERM, 2))
    (own,) = run.checkpoints(out)
    assert 4 < run.step_of(own) < 8
    train_vae.train(config, tone_data, out, resume=start, progress=Silent())
    ours, unbroken = tensors(out), tensors(vae_run)
    assert ours.keys() == unbroken.keys()
    assert all(torch.equal(value, unbroken[name]) for name, value in ours.items())


def test_a_training_that_waited_for_another_does_not_go_on_from_before_it(
    vae_run: Path, tone_data: Dataset, mini_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    monkeypatch.setattr(run, "to_resume", lambda *_: shutil.copytree(vae_run, out) and None)
    with pytest.raises(
        UsageError, match="another training has written step-00000008 meanwhile; run the same"
    ):
        train(vae_config(mini_model), tone_data, out)
    assert (out / run.LOG).read_bytes() == (vae_run / run.LOG).read_bytes()


def test_a_validation_that_is_not_finite_is_empty_and_is_not_the_best(
    tone_data: Dataset, mini_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = reconstruction.distances
    monkeypatch.setattr(
        reconstruction, "distances", lambda *a: {k: v * float("inf") for k, v in real(*a).items()}
    )
    pace = {"steps": 2, "save_every": 1, "validate_every": 1}
    train(vae_config(mini_model, pace=pace), tone_data, tmp_path / "run")
    assert all("mel" not in line and line["loss"] > 0 for line in log(tmp_path / "run", run.VALIDATION))
    assert set(journal.losses(tmp_path / "run" / run.VALIDATION)) == {0, 1, 2}
    with (tmp_path / "run" / run.VALIDATION).open("a") as file:
        file.write('{"step": 3, "wei')  # killed as it wrote
    assert set(journal.losses(tmp_path / "run" / run.VALIDATION)) == {0, 1, 2}


def test_a_line_that_finds_no_room_is_left_out_whole(
    tone_data: Dataset, mini_model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = vae_config(mini_model)
    accelerator = processes.make_accelerator(config, tmp_path)
    (tmp_path / run.LOG).symlink_to("/dev/full")
    told = journal.Journal(tmp_path, accelerator, 1)
    told.write(1, 0, {"rate": 0.1})
    assert "log.jsonl: a line is not written (No space left on device)" in caplog.text


def test_overfitting_is_a_check_without_checkpoints() -> None:
    with pytest.raises(UsageError, match=r"overfit is a check .*needs pace.save_every = 0"):
        loop.Pace(overfit=True)


@dataclasses.dataclass
class Rank:
    process_index: int
    num_processes: int


def test_windows_are_the_same_on_any_number_of_processes(tone_data: Dataset) -> None:
    config = vae_config("x")
    stream = dataclasses.replace(config.stream, series=("train",))

    def keys(world: int) -> list[set[str]]:
        found = []
        for rank in range(world):
            asked = validation.Config(num_windows=4)
            held = validation.windows(tone_data, stream, asked, config.pace, Rank(rank, world))  # type: ignore[arg-type]
            assert len(held.samples) == math.ceil(4 / world)
            found.append({sample.key for sample in held.samples[: held.num]})
        return found

    (alone,) = keys(1)
    for world in (2, 3, 5):
        parts = keys(world)
        assert set().union(*parts) == alone
        assert sum(map(len, parts)) == len(alone)


def test_sounds_that_find_no_room_are_left_out(
    tone_data: Dataset, mini_model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / run.CONFIG).write_text("{}")
    (out / run.SOUNDS).write_text("no folder can be made here")
    pace = {"steps": 2, "save_every": 2, "sample_every": 1}
    train(vae_config(mini_model, pace=pace), tone_data, out)
    assert "sounds.json: not written" in caplog.text
    assert run.step_of(run.resolve(out)) == 2
