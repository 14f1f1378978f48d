"""Trainings that start from published weights: fine-tuning, what is kept of it, what is said of it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sao_data.config import Table, parse
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import UsageError
from sao_model import (
    checkpoint,
    exported,
    opened,
    preset,
    published_config,
    released,
    run,
    train_dit,
    train_vae,
)
from sao_model.training import loop
from tests.datasets_made import Quiet, build, load, tone_wav, write_folder
from tests.paths import SHARED

PARITY = SHARED / "parity"
pytestmark = pytest.mark.skipif(not PARITY.is_dir(), reason="needs the reference checkpoints")

SHAPE = """
name = "fine"
sample_rate = 4096
num_latents = 16
[codec]
width = 16
multiples = [1, 2, 4]
strides = [2, 4, 8]
latent_dim = 8
[dit]
latent_dim = 8
width = 256
num_layers = 2
num_heads = 4
cross_dim = 128
global_dim = 256
[prompt]
plugin = "t5"
pretrained = ""
max_tokens = 16
width = 128
num_layers = 2
num_heads = 4
head_dim = 16
ff_dim = 128
vocab_size = 256
[seconds_start]
plugin = "seconds"
width = 128
[seconds_total]
plugin = "seconds"
width = 128
"""


class Silent(Quiet):
    def start(self, step: str, total: int | None, unit: str = "") -> None: ...


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    tmp = tmp_path_factory.mktemp("starts")
    folder = write_folder(tmp / "in", 4)
    for n in range(4):
        (folder / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(tmp, folder), tmp / "out")
    return open_dataset(str(tmp / "out"))


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("preset") / "fine.toml"
    path.write_text(SHAPE)
    return str(path)


def config(kind: type, model: str, steps: int = 4, **changes: object) -> object:
    table: Table = {
        "model": model, "batch_size": 2, "optimiser": {"lr": 1e-4},
        "pace": {"steps": steps, "log_every": 1, "save_every": 2},
    }  # fmt: skip
    if kind is train_vae.Config:
        losses = {"fft_sizes": [256, 64], "adversarial": 0.0, "feature_matching": 0.0}
        table |= {"stream": {"window_frames": 1024}, "losses": losses}
    return parse(kind, table | changes, where="test")


def tune(dataset: Dataset, settings: object, vae: Path, out: Path) -> Path:
    assert isinstance(settings, train_dit.Config)
    return train_dit.train(settings, dataset, str(vae), out, resume="auto", progress=Silent())


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def tuned(dataset: Dataset, fine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that began with a published folder, which is gone."""
    tmp = tmp_path_factory.mktemp("tuned")
    start = shutil.copytree(PARITY / "diffusers", tmp / "theirs")
    settings = config(train_dit.Config, fine, start_from=str(start))
    tune(dataset, settings, PARITY / "sat", tmp / "run")
    tune(dataset, config(train_dit.Config, fine, 2, start_from=str(start)), start, tmp / "half")
    shutil.rmtree(start)
    return tmp


def test_fine_tuning_starts_with_the_weights_of_the_folder(tuned: Path) -> None:
    start, end = released.load(PARITY / "sat"), checkpoint.load(run.checkpoints(tuned / "run")[0])
    assert end.config.name == "fine"
    ours, theirs = dict(end.named_parameters()), dict(start.named_parameters())
    frozen = [name for name in theirs if name.startswith(("codec.", "text."))]
    assert all(torch.equal(ours[name], theirs[name]) for name in frozen)
    moved = [(ours[name] - theirs[name]).abs().max() for name in theirs if name not in frozen]
    assert 0 < max(moved) < 2e-3
    assert torch.equal(start.text(["rain"]), end.text(["rain"]))


def test_the_checkpoints_of_such_a_run_are_whole_and_share_what_is_frozen(tuned: Path) -> None:
    first, last = run.checkpoints(tuned / "run")
    for part in ("text_encoder", "vae"):
        assert os.stat(first / f"{part}.safetensors").st_ino == os.stat(last / f"{part}.safetensors").st_ino
    assert (first / "dit.safetensors").read_bytes() != (last / "dit.safetensors").read_bytes()
    assert (last / "tokenizer.json").read_bytes() == (PARITY / "sat/t5/tokenizer.json").read_bytes()
    exported.write(checkpoint.load(last), tuned / "exported", "diffusers")
    assert released.load(tuned / "exported").config.dit.num_layers == 2


def test_what_it_began_with_is_named(tuned: Path) -> None:
    data = json.loads((run.resolve(tuned / "run") / "training_data.json").read_text())
    parts = {part["part"]: part for part in data["pretrained"]}
    assert list(parts) == ["vae", "dit", "conditioners", "text_encoder"]
    assert parts["vae"]["sha256"] == opened.find(PARITY / "sat").describe().parts["vae"].sha256
    assert parts["dit"]["terms"] == released.TERMS
    assert parts["dit"]["training_data"] is None  # they do not say
    terms = {name: part.terms for name, part in checkpoint.describe(run.resolve(tuned / "run")).parts.items()}
    assert terms == {"vae": released.TERMS, "dit": released.TERMS, "conditioners": released.TERMS,
                     "text_encoder": ""}  # fmt: skip


def test_it_continues_when_the_folder_is_gone(tuned: Path, dataset: Dataset, fine: str) -> None:
    settings = config(train_dit.Config, fine, start_from=str(tuned / "theirs"))
    tune(dataset, settings, PARITY / "sat", tuned / "half")
    assert losses(tuned / "half") == losses(tuned / "run")
    ours, theirs = (load_file(run.resolve(tuned / name) / "dit.safetensors") for name in ("half", "run"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    longer = dataclasses.replace(settings, start_from=str(PARITY / "sat"), pace=loop.Pace(steps=9))
    with pytest.raises(UsageError, match="made with another start_from: was "):
        tune(dataset, longer, PARITY / "sat", tuned / "half")


def test_a_checkpoint_of_ours_is_tuned_too_and_its_history_travels(
    tuned: Path, dataset: Dataset, fine: str, tmp_path: Path
) -> None:
    start = run.resolve(tuned / "run")
    last = tune(dataset, config(train_dit.Config, fine, 2, start_from=str(start)), start, tmp_path / "run")
    parts = json.loads((last / "training_data.json").read_text())["pretrained"]
    assert [part["part"] for part in parts if "training_data" in part] == ["vae"]  # one history, not two
    assert parts[0]["training_data"]["pretrained"][1]["terms"] == released.TERMS
    assert checkpoint.load(last).text.tokenize is not None


def test_a_model_of_another_shape_is_refused_with_what_differs(
    dataset: Dataset, fine: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(
        Path(fine).read_text().replace("width = 256\nnum_layers = 2", "width = 256\nnum_layers = 3")
    )
    vae, start, out = PARITY / "sat", {"start_from": str(PARITY / "sat")}, tmp_path / "run"
    with pytest.raises(UsageError, match=r"start_from .*: another model than .*: dit.num_layers 3 and 2; na"):
        tune(dataset, config(train_dit.Config, str(other), **start), vae, out)
    with pytest.raises(UsageError, match=r"--vae .*: another codec than model = 'tiny'"):
        tune(dataset, config(train_dit.Config, "tiny"), vae, out)
    settings = config(train_vae.Config, "tiny", **start)
    with pytest.raises(UsageError, match=r"another codec than model = 'tiny'"):
        train_vae.train(settings, dataset, out, resume="auto", progress=Silent())
    assert not (tmp_path / "run").exists()
    assert preset.differences(preset.read("tiny"), preset.read("tiny")) == []
    assert published_config.read(PARITY / "sat").dit.num_layers == 2


def test_the_codec_of_a_published_folder_is_trained_on(dataset: Dataset, fine: str, tmp_path: Path) -> None:
    start = shutil.copytree(PARITY / "diffusers", tmp_path / "theirs")
    settings = config(train_vae.Config, fine, 2, start_from=str(start))
    last = train_vae.train(settings, dataset, tmp_path / "run", resume="auto", progress=Silent())
    shutil.rmtree(start)
    (part,) = json.loads((last / "training_data.json").read_text())["pretrained"]
    assert (part["part"], part["terms"], part["training_data"]) == ("vae", released.TERMS, None)
    assert checkpoint.describe(last).parts["vae"].terms == released.TERMS
    theirs = dict(opened.find(PARITY / "sat").load_codec().named_parameters())
    ours = dict(checkpoint.load_codec(last).named_parameters())
    moved = max(float((ours[name] - theirs[name]).detach().abs().max()) for name in ours)
    assert 0 < moved < 2e-3
    longer = config(train_vae.Config, fine, 4, start_from=str(start))
    train_vae.train(longer, dataset, tmp_path / "run", resume="auto", progress=Silent())


def test_a_damaged_file_is_not_linked_to(tuned: Path, tmp_path: Path) -> None:
    before = shutil.copytree(run.resolve(tuned / "run"), tmp_path / "before")
    model = checkpoint.load(before)
    model.codec.requires_grad_(False)
    path = before / "vae.safetensors"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    checkpoint.save(released.load(PARITY / "sat"), tmp_path / "whole")
    model = checkpoint.load(tmp_path / "whole")
    model.requires_grad_(False)
    checkpoint.save(model, tmp_path / "after", like=before)
    assert checkpoint.load(tmp_path / "after").config == model.config
    assert (tmp_path / "after" / "text_encoder.safetensors").stat().st_nlink > 1
    assert (tmp_path / "after" / "vae.safetensors").stat().st_nlink == 1
    (before / "model.json").write_text("{}")
    checkpoint.save(model, tmp_path / "again", like=before)
    assert (tmp_path / "again" / "text_encoder.safetensors").stat().st_nlink == 1
