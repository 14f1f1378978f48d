"""Exported folders: read back to the same bits, and opened by the tools that they are meant for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sao_data.errors import UsageError
from sao_model import checkpoint, exported, generation, making, opened, published_config, released, weights
from sao_model.model import StableAudioModel
from tests.paths import SHARED

PARITY = SHARED / "parity"
OTHER = {"diffusers": "sat", "stable-audio-tools": "diffusers"}


@pytest.fixture(scope="module", params=exported.LAYOUTS)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StableAudioModel, Path]:
    """A published model in the other layout, and what is written of it."""
    if not PARITY.is_dir():
        pytest.skip("the parity checkpoints are not on this machine")
    model = released.load(PARITY / OTHER[request.param])
    out = tmp_path_factory.mktemp("exported") / "model"
    exported.write(model, out, request.param)
    return model, out


def test_read_back_it_is_the_same_model_bit_for_bit(both: tuple[StableAudioModel, Path]) -> None:
    model, out = both
    again = released.load(out)
    ours, theirs = dict(model.named_parameters()), dict(again.named_parameters())
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert (again.config.codec, again.config.dit) == (model.config.codec, model.config.dit)
    assert again.config.prompt.config.max_tokens == model.config.prompt.config.max_tokens
    prompts = ["rain on a tin roof", "a" * 200]
    assert torch.equal(model.text(prompts), again.text(prompts))


def test_the_terms_of_the_weights_and_what_they_heard_go_along(tmp_path: Path) -> None:
    """Nobody's licence is put on one's own weights."""
    if not PARITY.is_dir():
        pytest.skip("the parity checkpoints are not on this machine")
    model = released.load(PARITY / "sat")
    assert set(model.terms.values()) == {released.TERMS}
    model.terms = {"vae": "CC0-1.0"}
    for to in exported.LAYOUTS:
        exported.write(model, tmp_path / to, to, files={"training_data.json": b"{}"})
        described = opened.find(tmp_path / to).describe()
        assert {name: part.terms for name, part in described.parts.items()} == {
            "vae": "CC0-1.0", "dit": "", "conditioners": "", "text_encoder": "",
        }  # fmt: skip
        assert released.load(tmp_path / to).terms == {
            "vae": "CC0-1.0", "dit": "", "conditioners": "", "text_encoder": "",
        }  # fmt: skip
        assert (tmp_path / to / "training_data.json").read_bytes() == b"{}"


def test_numbers_of_half_the_size_are_described_as_they_lie(tmp_path: Path) -> None:
    if not PARITY.is_dir():
        pytest.skip("the parity checkpoints are not on this machine")
    parts = opened.find(PARITY / "sat").describe().parts
    shapes = weights.shapes(PARITY / "sat" / "model.safetensors", fix="")
    assert {shape.dtype for shape in shapes.values()} == {"F16", "F32"}
    assert parts["dit"].dtype == "float16+float32"


def test_it_says_what_the_published_files_say(both: tuple[StableAudioModel, Path]) -> None:
    """The same settings, but for what only their writer knows."""
    _, out = both
    published = PARITY / ("diffusers" if (out / "model_index.json").is_file() else "sat")
    files = (
        ["model_config.json"]
        if (out / "model_config.json").is_file()
        else [f"{part}/config.json" for part in published_config.PARTS] + ["scheduler/scheduler_config.json"]
    )
    for name in files:
        ours, theirs = (json.loads((folder / name).read_text()) for folder in (out, published))
        for unsaid in ("_diffusers_version", "training"):
            ours.pop(unsaid, None), theirs.pop(unsaid, None)
        assert ours == theirs, name


@pytest.mark.filterwarnings("ignore::FutureWarning")  # theirs: old-style weight norm
def test_diffusers_opens_it_and_makes_the_same_velocity(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    if not PARITY.is_dir():
        pytest.skip("the parity checkpoints are not on this machine")
    model = released.load(PARITY / "sat")
    exported.write(model, tmp_path / "model", "diffusers")
    pipeline = diffusers.StableAudioPipeline.from_pretrained(tmp_path / "model")
    latents = torch.randn(1, model.config.codec.latent_dim, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        theirs = pipeline.vae.decode(latents).sample
        ours = model.codec.decode(latents)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    ids = pipeline.tokenizer("a dog barks").input_ids
    assert ids == model.text.tokenize(["a dog barks"])[0]


def test_a_model_whose_prompts_no_other_tool_can_read_is_refused(
    tiny: StableAudioModel, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no other tool has a tokenizer"):
        exported.write(tiny, tmp_path / "model", "diffusers")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_written_over(both: tuple[StableAudioModel, Path]) -> None:
    model, out = both
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        exported.write(model, out, "diffusers")


def test_an_export_that_fails_leaves_nothing(
    both: tuple[StableAudioModel, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = both
    monkeypatch.setattr(checkpoint, "_sync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        exported.write(model, tmp_path / "model", "stable-audio-tools")
    assert list(tmp_path.iterdir()) == []


def test_a_published_folder_is_described_and_heard_as_it_is(
    both: tuple[StableAudioModel, Path], tmp_path: Path
) -> None:
    model, out = both
    described = opened.find(out).describe()
    assert {name: part.parameters for name, part in described.parts.items()} == {
        name: part.parameters for name, part in checkpoint.measure(model).items()
    }
    assert all(part.sha256 for name, part in described.parts.items() if name != "text_encoder")
    asked = generation.Config(prompt="rain", seconds=0.5, steps=2, seed=4, device="cpu")
    making.generate(str(out), asked, tmp_path / "rain.wav")
    audio, rate = soundfile.read(tmp_path / "rain.wav")
    assert (len(audio), rate) == (model.config.sample_rate // 2, model.config.sample_rate)
    assert np.abs(audio).max() > 0
    facts = json.loads((tmp_path / "rain.json").read_text())
    assert facts["model_digest"]["dit"] == described.parts["dit"].sha256
    assert facts["release_checked"] is False  # it does not say what it was trained on


def test_of_a_folder_that_holds_both_layouts_the_one_with_weights_is_read(tmp_path: Path) -> None:
    """As the published repository does."""
    if not PARITY.is_dir():
        pytest.skip("the parity checkpoints are not on this machine")
    for layout in ("sat", "diffusers"):
        shutil.copytree(PARITY / layout, tmp_path / "model", dirs_exist_ok=True)
    assert released.files(tmp_path / "model").keys() == {""}
    (tmp_path / "model" / "model.safetensors").unlink()
    assert released.files(tmp_path / "model").keys() == set(published_config.PARTS)
    assert released.load(tmp_path / "model").config.dit.num_layers == 2
