"""The benchmarks of the model run, small; what they measure is for people."""

import sys
from types import ModuleType

import pytest
import torch

from benchmarks import gpu, gpu_training, latents, model, training

pytest.importorskip("diffusers", reason="diffusers (a test oracle) is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def same_random_numbers_afterwards() -> object:
    with torch.random.fork_rng():
        yield


def test_the_model_beside_diffusers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["model.py", "--quick"])
    model.main()
    table = capsys.readouterr().out
    for row in (
        "decode 16 latents",
        "encode 16 latents",
        "DiT, 16 latents",
        "guided step",
        "| 0.0 | 6 | 0 |",
    ):
        assert row in table
    assert "peak RSS" in table


def test_steps_a_second(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--quick", "--steps", "1"])
    assert gpu.main() == 0
    table = capsys.readouterr().out
    for row in ("guided step, 2 at a time, diffusers | eager", "decode 16 latents, ours | in pieces", "H100"):
        assert row in table


def test_training_steps_a_second(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_training.py", "--device", "cpu", "--quick", "--steps", "1"])
    assert gpu_training.main() == 0
    table = capsys.readouterr().out
    for row in ("| DiT | eager |", "| codec, against discriminators | eager |", "TFLOP/s"):
        assert row in table


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("benchmark", [gpu, gpu_training])
def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, benchmark: ModuleType
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert benchmark.main() == 2
    assert capsys.readouterr().err.startswith("no GPU: PyTorch sees none here")


def test_a_training_step_beside_diffusers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("auraloss", reason="auraloss (a test oracle) is not installed")
    monkeypatch.setattr(sys, "argv", ["training.py", "--quick", "--rounds", "1"])
    training.main()
    table = capsys.readouterr().out
    for row in ("| DiT |", "| codec |", "Time of a real training", "A checkpoint takes"):
        assert row in table


def test_reading_latents_beside_webdataset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["--rounds", "1", "--samples", "64", "--model", "tiny", "--seconds", "1"]
    monkeypatch.setattr(sys, "argv", ["latents.py", *words])
    latents.main()
    table = capsys.readouterr().out
    for row in ("| webdataset |", "| memory map |", "| stream, first epoch |", "by the codec of tiny"):
        assert row in table
