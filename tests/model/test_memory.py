"""Loading takes the memory of the file, and what a model needs is as its formulas say."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from sao_model import checkpoint, codec, dit, exported, losses, memory, preset, released
from sao_model.model import StableAudioModel
from sao_model.verbs import model as verb
from tests.paths import ROOT, SHARED

PARITY = SHARED / "parity"

# Peaks of the process's memory beyond what it has after its imports, for one folder after the other.
LOADED = """
import gc
import sys
import torch
from transformers import T5Config, T5EncoderModel
from sao_model import opened

def kib(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

def load(folder):
    model = opened.find(folder).load()
    with torch.no_grad():
        told = model.condition(["rain"], [0.0], [1.0])
        model.dit(torch.zeros(1, 8, 16), torch.tensor([0.5]), told.cross_BSC, told.global_BG)

before = kib("VmRSS")
for folder in sys.argv[1:]:
    open("/proc/self/clear_refs", "w").write("5")  # forgets the peak
    load(folder)
    print((kib("VmHWM") - before) * 1024)
    gc.collect()
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 MB of weights, as a checkpoint and in both public layouts."""
    if not PARITY.is_dir():
        pytest.skip("needs the reference checkpoints beside the checkout")
    small = released.load(PARITY / "sat")
    shape = preset.Config(
        name="wide",
        num_latents=16,
        codec=codec.Config(width=16, multiples=(1, 2), strides=(2, 4), latent_dim=8),
        dit=dit.Config(latent_dim=8, width=1024, num_layers=4, num_heads=16, cross_dim=128, global_dim=256),
        prompt=small.config.prompt,
        seconds_start=small.config.seconds_start,
        seconds_total=small.config.seconds_total,
    )
    model = StableAudioModel(shape)
    model.text = small.text
    out = tmp_path_factory.mktemp("wide")
    checkpoint.save(model, out / "ours")
    for layout in exported.LAYOUTS:
        exported.write(model, out / layout, layout)
    return out


@pytest.mark.slow
def test_loading_takes_no_more_memory_than_the_file(wide: Path) -> None:
    """The mapped file, a tenth more; in diffusers' layout also what lies there in pieces."""
    folders = [wide / name for name in ("ours", *exported.LAYOUTS)]
    command = [sys.executable, "-c", LOADED, *map(str, folders)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    for folder, found in zip(folders, ran.stdout.split(), strict=True):
        size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
        pieces = 4 * (3 * 1024**2 + 2 * 128**2) * 4 if folder.name == "diffusers" else 0
        assert size > 290e6
        assert int(found) <= 1.1 * size + pieces + 80e6, folder  # kernels and tables take 50 to 70 MB


def peak(run: Callable[[], object]) -> int:
    """Most bytes of tensors alive at once, beyond those that were there."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    now = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


NET = dit.Config(latent_dim=16, width=512, num_layers=4, num_heads=8, cross_dim=256, global_dim=512)
LATENTS = 256


def told(batch: int) -> tuple[torch.Tensor, ...]:
    sizes = ((batch, 16, LATENTS), (batch,), (batch, 130, 256), (batch, 512))
    return tuple(torch.rand(size) for size in sizes)


def test_what_the_dit_takes_is_within_a_quarter_of_the_formulas() -> None:
    net = dit.DiT(NET)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        on_cpu = peak(lambda: net(*told(2)))
    net.requires_grad_(False)
    found = peak(lambda: net(*told(2)))  # the road of a GPU, on which nothing is kept for gradients either
    assert found == pytest.approx(memory.dit_generating(NET, LATENTS), rel=0.25)
    assert on_cpu <= found
    net.requires_grad_()
    for checkpointing in (False, True):
        net.checkpointing = checkpointing
        found = peak(lambda: net(*told(2)).pow(2).mean().backward()) // 2
        assert found == pytest.approx(memory.dit_training(NET, LATENTS, checkpointing), rel=0.25)


def test_what_the_codec_takes_is_within_a_half_of_the_formulas() -> None:
    shape, latents = codec.Config(width=32), 8
    vae, stft = codec.Codec(shape), losses.StftLoss(losses.Config(), 44_100)
    x_BCT, z_BDL = torch.rand(1, 2, latents * shape.hop), torch.rand(1, 64, latents)
    with torch.no_grad():
        ways = peak(lambda: vae.decode(z_BDL)), peak(lambda: vae.encode(x_BCT))
    for found in ways:
        assert found == pytest.approx(memory.codec_one_way(shape, latents), rel=0.5)

    def step() -> None:
        y_BCT, posterior = vae(x_BCT, None)
        (stft(y_BCT, x_BCT) + posterior.kl()).backward()

    step()  # makes the gradients
    assert peak(step) == pytest.approx(memory.codec_training(shape, x_BCT.shape[-1]), rel=0.5)


def test_the_big_model_needs_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Against peaks of the reference on one machine: 0.85 GiB to decode in chunks, 5.0 GiB to encode."""
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert verb.run(parser.parse_args(["stable_audio_open", "--json"])) == 0
    said = json.loads(capsys.readouterr().out)["memory"]
    assert said["generate"]["weights"] == 4 * 1_322_966_146
    assert said["generate"]["decode"] / 2**30 == pytest.approx(0.85, rel=0.25)
    assert said["train_dit"]["activations"]["encode"] / 2**30 == pytest.approx(5.0, rel=0.25)
    assert said["train_dit"]["fixed"] == 20 * 1_057_225_088 + 4 * (156_112_514 + 109_628_544)
    assert (
        said["generate_bf16"]["weights"] == 4 * 1_322_966_146 - 2 * 1_056_828_544
    )  # only the DiT is rounded
    assert said["generate_bf16"]["dit"] * 2 == said["generate"]["dit"]
    assert verb.run(parser.parse_args(["stable_audio_open"])) == 0
    shown = capsys.readouterr().out
    assert "generate      5.7 GiB (3.7 GiB in bfloat16): weights 4.9 GiB" in shown
    assert "train_dit     20.7 GiB" in shown
