"""Bands of known-good curves, and where a run leaves them."""

import argparse
import json
import math
import random
import re
from pathlib import Path

import pytest

from sao_data.config import parse, read_toml
from sao_data.errors import UsageError
from sao_data.shipped import manifests_folder
from sao_model import run, train_dit, train_vae
from sao_model.monitoring import bands, compare
from sao_model.training import state
from sao_model.verbs import train as verb

STEPS = range(10, 310, 10)


def made(
    folder: Path,
    *,
    seed: int = 0,
    change: dict[str, object] | None = None,
    config: dict[str, object] | None = None,
    dataset: str = "made",
) -> Path:
    """A run whose loss falls as 1/step, with some noise; `change`: measure to function of step and value."""
    folder.mkdir(parents=True)
    settings = {
        "model": "tiny",
        "seed": seed,
        "batch_size": 4,
        "pace": {"steps": 300},
        "stream": {"flip": 0.5},
    }
    (folder / run.CONFIG).write_text(json.dumps(settings | (config or {})))
    noise, lines = random.Random(seed), []
    for step in STEPS:
        values = {"loss": 1 + 50 / step, "kl": 20 + step / 100, "model_gradient": 2.0, "judges": 2.0}
        line = {name: value * noise.uniform(0.97, 1.03) for name, value in values.items()}
        line |= {"data_share": 0.01, "samples_per_second": noise.uniform(1, 100), "rate": 1e-4}
        for name, function in (change or {}).items():
            line[name] = function(step, line.get(name))  # type: ignore[operator]
        plain = {name: value for name, value in line.items() if value is not None}
        lines.append({"step": step, "seconds": step * noise.uniform(1.0, 1.1), **plain})
    (folder / run.LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = [
        {"step": step, "weights": which, "loss": (1 + 60 / step) * noise.uniform(0.98, 1.02)}
        for step in (100, 200, 300)
        for which in ("ema", "raw")
    ]
    (folder / run.VALIDATION).write_text("".join(json.dumps(line) + "\n" for line in told))
    last = run.checkpoint_folder(folder, 300)
    last.mkdir(parents=True)
    (last / "model.json").write_text("{}")
    (last / run.DATA).write_text(json.dumps({"dataset": dataset, "shards": [{"num_samples": 7}]}))
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bands of four runs of different seeds."""
    tmp = tmp_path_factory.mktemp("known")
    folders = [made(tmp / f"run-{seed}", seed=seed) for seed in range(4)]
    path = tmp / "bands" / "tiny.json"
    assert called(*map(str, folders), "--write-bands", str(path)) == 0
    return path


def called(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args(["compare", *arguments]))


def test_bands_are_mean_and_spread(reference: Path) -> None:
    found = bands.read(reference)
    assert found.num_runs == 4
    wanted = {"loss", "kl", "model_gradient", "judges", "validation/ema/loss", "validation/raw/loss"}
    assert set(found.bands) == wanted  # neither speeds nor rates
    loss = found.bands["loss"]
    assert loss.steps == tuple(STEPS)
    # Noise that is even from -3 to 3 %: a deviation of 0.03 / sqrt(3), four times that, and 2 % of the mean.
    for at, step in enumerate(STEPS):
        mean = 1 + 50 / step
        assert loss.mean[at] == pytest.approx(mean, rel=0.03)
    share = loss.tolerance[-1] / loss.mean[-1]
    assert share == pytest.approx(4 * 0.03 / math.sqrt(3) + 0.02, rel=0.35)


def test_a_band_by_hand(tmp_path: Path) -> None:
    curves = [[(10, 1.0), (20, 4.0)], [(10, 3.0), (20, 4.0), (30, 9.0)]]
    crossing = [[(10, -1.0), (20, 4.0)], [(10, 1.0), (20, 4.0)]]
    measured = [
        bands.Measured(
            folder=tmp_path,
            model="tiny",
            settings="s",
            dataset="",
            step=30,
            num_skipped=n,
            data_shares=(),
            curves={"loss": points, "si_sdr": crossing[n]},
        )
        for n, points in enumerate(curves)
    ]
    found = bands.make(measured)
    # Variances 2 and 0, as shares of the squared means 0.5 and 0, in the mean 0.25; four times that of a
    # third run, 0.5 sqrt(1.5), are 2.44949 of the mean. The last step is not in both. What crosses zero has
    # no shares: variances 2 and 0, four times sqrt(1.5) are 4.89898.
    assert found.bands == {
        "loss": bands.Band(steps=(10, 20), mean=(2.0, 4.0), tolerance=(4.93898, 9.87796)),
        "si_sdr": bands.Band(steps=(10, 20), mean=(0.0, 4.0), tolerance=(4.89898, 4.97898)),
    }
    assert found.most_skipped == 1


def test_a_run_like_them_is_inside(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path / "run", seed=77)
    assert called(str(folder), "--with", str(reference)) == 0
    assert (
        "inside the bands: 126 points compared, bands of 4 runs" in capsys.readouterr().out
    )  # 4 x 30 + 2 x 3


LATE = 100  # from here on something goes wrong


@pytest.mark.parametrize(
    ("measure", "change", "step", "cause"),
    [
        (
            "loss",
            lambda step, _: 6.0,
            20,
            "it does not learn: the learning rate is too low, or weights are frozen",
        ),
        (
            "loss",
            lambda step, value: value * (3 if step >= LATE else 1),
            LATE,
            "the learning rate is too high",
        ),
        ("loss", lambda step, value: value * (0.2 if step >= LATE else 1), LATE, "too good too soon: silent"),
        (
            "kl",
            lambda step, value: value * (9 if step >= LATE else 1),
            LATE,
            "the KL term explodes: losses.kl",
        ),
        ("kl", lambda step, value: value * 0.01, 10, "the latents carry little: losses.kl is too large"),
        ("model_gradient", lambda step, _: 0.0, 10, "weights are frozen, or cut off from the loss"),
        ("model_gradient", lambda step, value: value * 100, 10, "warm-up is too high"),
        ("judges", lambda step, _: 0.0, 10, "the discriminators win"),
        ("judges", lambda step, _: None, 10, "is not measured"),
        ("data_share", lambda step, _: 0.5, 300, "samples come too slowly: stream.num_threads"),
    ],
)
def test_a_run_that_leaves_them_is_told_where_and_why(
    measure: str,
    change: object,
    step: int,
    cause: str,
    reference: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = made(tmp_path / "run", seed=5, change={measure: change})
    assert called(str(folder), "--with", str(reference)) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2, said
    value, limits = r"(is missing|is [\d.,e+-]+)", r"[\d.-]+ to [\d.]+"
    assert re.match(rf"{measure} {value} at step {step}, outside {limits}: ", said[0])
    assert cause in said[0]
    assert "1 measures leave the bands" in said[1]


def test_one_point_outside_is_chance_where_there_are_many(reference: Path, tmp_path: Path) -> None:
    def spiked(step: int, value: float) -> float:
        return value * (5 if step in (50, 60, 200) else 1)

    folder = made(tmp_path / "run", seed=6, change={"loss": spiked})
    assert called(str(folder), "--with", str(reference)) == 0


def test_steps_that_were_not_finite_are_a_finding(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path / "run", seed=8)
    with (folder / run.LOG).open("a") as file:
        file.write(json.dumps({"step": 301, "skipped": 1, "samples": ["a"]}) + "\n")
    assert called(str(folder), "--with", str(reference)) == 1
    assert "skipped is 1 at step 300, outside 0 to 0: steps were not finite" in capsys.readouterr().out


def test_only_what_decides_must_be_the_same(reference: Path, tmp_path: Path) -> None:
    free = {"pace": {"steps": 9999}, "accumulate": 3, "trackers": ["wandb"], "seed": 123}
    folder = made(tmp_path / "run", seed=9, config={**free, "stream": {"flip": 0.5, "num_threads": 9}})
    assert called(str(folder), "--with", str(reference)) == 0


def test_what_does_not_compare(reference: Path, tmp_path: Path) -> None:
    other = made(tmp_path / "other", config={"batch_size": 8})
    with pytest.raises(
        UsageError, match=r"its settings or its model differ from those of the bands"
    ) as error:
        called(str(other), "--with", str(reference))
    assert error.value.exit_code == 2
    with pytest.raises(
        UsageError, match=r"trained on another dataset \(mine, 7 samples; the bands: made, 7 samples\)"
    ):
        called(str(made(tmp_path / "data", dataset="mine")), "--with", str(reference))
    with pytest.raises(UsageError, match="no known-good curves for these settings"):
        called(str(other))
    with pytest.raises(UsageError, match=r"2 runs to compare; give one"):
        called(str(other), str(other))
    with pytest.raises(UsageError, match="one run has no deviation; give at least two"):
        called(str(other), "--write-bands", str(tmp_path / "x.json"))
    with pytest.raises(UsageError, match=r"has another settings than"):
        called(str(other), str(made(tmp_path / "one")), "--write-bands", str(tmp_path / "x.json"))
    with pytest.raises(UsageError, match=r"no such file; give one that `sao train compare` has written"):
        called(str(other), "--with", str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text('{"format": 1}')
    with pytest.raises(UsageError, match=r"bad\.json: .*; write it again from the runs"):
        called(str(other), "--with", str(tmp_path / "bad.json"))
    newer = json.loads(reference.read_text()) | {"format": 2}
    (tmp_path / "new.json").write_text(json.dumps(newer))
    with pytest.raises(UsageError, match="format 2, this reads 1"):
        called(str(other), "--with", str(tmp_path / "new.json"))
    (other / run.LOG).write_text(json.dumps({"step": 7, "seconds": 1.0, "loss": 1.0}) + "\n")
    (other / run.VALIDATION).unlink()
    (other / run.CONFIG).write_text((tmp_path / "one" / run.CONFIG).read_text())
    with pytest.raises(UsageError, match="no step in common with the bands"):
        called(str(other), "--with", str(reference))
    (other / run.LOG).write_text("")
    with pytest.raises(UsageError, match=r"nothing in its log\.jsonl yet"):
        called(str(other), "--with", str(reference))


def test_shipped_bands_are_found_by_their_settings(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "shipped", lambda: {"tiny": reference})
    assert called(str(made(tmp_path / "run", seed=3))) == 0


@pytest.mark.parametrize("path", bands.shipped().values(), ids=lambda path: path.stem)
def test_shipped_bands_can_be_read(path: Path) -> None:
    found = bands.read(path)
    assert found.num_runs >= 4
    assert found.bands
    assert all(each.steps for each in found.bands.values())


@pytest.mark.parametrize(("name", "config"), [("vae", train_vae.Config), ("dit", train_dit.Config)])
def test_shipped_bands_are_those_of_the_small_presets(name: str, config: type) -> None:
    """A new default changes the digest: then `make reference` has to be run again."""
    path = manifests_folder() / "training" / f"{name}_small.toml"
    table = state.table(parse(config, read_toml(path), where=name))
    assert bands.read(bands.shipped()[f"{name}_small"]).settings == bands.settings(table)


def test_a_real_run_compares_with_itself(trained: Path, tmp_path: Path) -> None:
    measured = bands.measure(trained)
    made = bands.make([measured, measured])
    bands.write(made, tmp_path / "b.json")
    bands.write(made, tmp_path / "c.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "c.json").read_bytes()
    found = bands.read(tmp_path / "b.json")
    assert {"spectral", "validation/ema/si_sdr", "validation/raw/mel"} <= set(found.bands)
    waits = [each for each in compare.departures(measured, found) if each.measure != "data_share"]
    assert waits == []
