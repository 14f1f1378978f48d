"""Trackers beside the run's log: what reaches TensorBoard, and what is said of those that are not there."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_model import run, train_vae
from sao_model.monitoring import logs, trackers
from tests.training.test_training import Silent, vae_config


def test_scalars_and_sounds_reach_tensorboard(trained: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = events.EventAccumulator(
        str(trained / run.TRACKING / "sao"), size_guidance={"audio": 0, "scalars": 0}
    )
    found.Reload()
    tags = found.Tags()
    lines = [json.loads(line) for line in (trained / run.LOG).read_text().splitlines()]
    assert {"loss", "spectral", "rate", "samples_per_second", "validation/ema/mel"} <= set(tags["scalars"])
    told = [(each.step, each.value) for each in found.Scalars("loss")]
    assert told == [(line["step"], pytest.approx(line["loss"])) for line in lines]
    assert set(tags["audio"]) == {"sounds/original-00", "sounds/ema-00", "sounds/raw-00"}
    played = found.Audio("sounds/ema-00")
    assert [each.step for each in played] == [3, 6]
    samples, _ = soundfile.read(trained / run.SOUNDS / "step-00000006" / "ema-00.flac", always_2d=True)
    heard, rate = soundfile.read(io.BytesIO(played[1].encoded_audio_string))
    assert rate == 44_100
    assert np.abs(heard - samples.mean(1)).max() <= 2 / 32_768  # one channel of 16 bits: their mean


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["tensorbored"],
            r"trackers: 'tensorbored' is not known; there are tensorboard, wandb, trackio, aim",
        ),
        (["tensorboard", "wandb"], r"trackers: wandb needs the package wandb, which is not installed"),
        (
            ["trackio"],
            r"trackers: trackio needs the package trackio, which is not installed; add it to the env",
        ),
    ],
)
def test_a_tracker_that_is_not_there_is_said_before_anything_is_made(
    names: list[str],
    said: str,
    halves: Dataset,
    small_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = trackers.importlib.util.find_spec
    monkeypatch.setattr(
        trackers.importlib.util,
        "find_spec",
        lambda name: None if name in ("wandb", "trackio") else real(name),
    )
    config = vae_config(small_model, trackers=names)
    with pytest.raises(UsageError, match=said):
        train_vae.train(config, halves, tmp_path / "run", resume="auto", progress=Silent())
    assert not (tmp_path / "run").exists()


def test_no_tracker_is_no_error() -> None:
    assert trackers.checked(()) == []


def test_a_tracker_that_plays_nothing_is_left_alone(trained: Path) -> None:
    (found, *_) = logs.sound_sets(trained)
    other = SimpleNamespace(name="mlflow", tracker=None)
    trackers.tell_sounds(SimpleNamespace(trackers=[other]), found)  # type: ignore[arg-type]
