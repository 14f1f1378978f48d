"""Models of other tools as checkpoints: the same bits, whole without network and where they came from."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sao_data.errors import IntegrityError, SaoError, UsageError
from sao_data.storage import checksums
from sao_model import (
    checkpoint,
    codec,
    dit,
    exported,
    imported,
    layouts,
    opened,
    preset,
    released,
    weights,
)
from sao_model.conditioners import t5
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.verbs import export as export_verb
from sao_model.verbs import import_ as verb
from tests.paths import SHARED

PARITY = SHARED / "parity"
TO = {"sat": "stable-audio-tools", "diffusers": "diffusers"}
parity = pytest.mark.skipif(not PARITY.is_dir(), reason="needs the reference checkpoints beside the checkout")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Either public folder as a checkpoint; where they came from is gone."""
    if not PARITY.is_dir():
        pytest.skip("the parity checkpoints are not on this machine")
    tmp = tmp_path_factory.mktemp("taken")
    for layout in TO:
        folder = shutil.copytree(PARITY / layout, tmp / "theirs" / layout)
        take(folder, tmp / layout)
        shutil.rmtree(folder)
    return tmp


def take(source: Path, out: Path, *options: str) -> None:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert verb.run(parser.parse_args([str(source), "--out", str(out), *options])) == 0


def give(source: Path, layout: str, out: Path) -> None:
    parser = argparse.ArgumentParser()
    export_verb.add_arguments(parser)
    assert export_verb.run(parser.parse_args([str(source), "--to", TO[layout], "--out", str(out)])) == 0


def same(ours: StableAudioModel, theirs: StableAudioModel) -> bool:
    """Equal to the bit, and hearing prompts alike."""
    left, right = dict(ours.named_parameters()), dict(theirs.named_parameters())
    prompts = ["rain on a tin roof", "a" * 200]
    return (
        left.keys() == right.keys()
        and all(torch.equal(left[name], right[name]) for name in left)
        and torch.equal(ours.text(prompts), theirs.text(prompts))
    )


# Layouts that a model goes through: from the first into a checkpoint, on to the next, and so forth.
TRIPS = ("sat sat", "sat diffusers", "diffusers diffusers", "diffusers sat", "sat diffusers sat diffusers")


@pytest.mark.parametrize("trip", TRIPS)
def test_there_and_back_to_the_bit(taken: Path, tmp_path: Path, trip: str) -> None:
    first, *others = trip.split()
    ours = taken / first
    for number, layout in enumerate(others):
        give(ours, layout, tmp_path / f"theirs{number}")
        take(tmp_path / f"theirs{number}", tmp_path / f"ours{number}")
        shutil.rmtree(tmp_path / f"theirs{number}")
        ours = tmp_path / f"ours{number}"
    assert same(checkpoint.load(ours), released.load(PARITY / first))
    parts = checkpoint.describe(ours).parts
    assert {name: part.sha256 for name, part in parts.items()} == {
        name: part.sha256 for name, part in checkpoint.describe(taken / first).parts.items()
    }
    assert all(part.sha256 for part in parts.values())


@parity
@pytest.mark.parametrize("layout", TO)
def test_a_folder_of_theirs_to_ours_and_back_is_the_same_folder(
    taken: Path, tmp_path: Path, layout: str
) -> None:
    give(taken / layout, layout, tmp_path / "again")
    for path in PARITY.joinpath(layout).rglob("*.safetensors"):
        theirs, ours = load_file(path), load_file(tmp_path / "again" / path.relative_to(PARITY / layout))
        aliases = {"encoder.embed_tokens.weight"}  # tied: some files hold it twice
        assert theirs.keys() - aliases == ours.keys() - aliases
        assert all(torch.equal(theirs[name].float(), ours[name]) for name in ours.keys() & theirs.keys())
    for name in ("tokenizer.json",):
        (theirs,) = (PARITY / layout).rglob(name)
        assert theirs.read_bytes() == (tmp_path / "again" / theirs.relative_to(PARITY / layout)).read_bytes()


def test_a_checkpoint_is_whole_where_it_is_taken(taken: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(taken / "sat", tmp_path / "elsewhere")
    files = {path.name for path in moved.iterdir()}
    assert {"text_encoder.safetensors", "tokenizer.json", "SHA256SUMS"} <= files
    assert "theirs" not in (moved / "model.json").read_text()  # no path of where it came from
    model = checkpoint.load(moved)
    (audio,) = model.generate([Sound(prompt="rain", seconds=0.5)], Sampling(steps=1))
    assert audio.isfinite().all()
    checkpoint.save(model, tmp_path / "again")
    assert (tmp_path / "again" / "SHA256SUMS").read_bytes() == (moved / "SHA256SUMS").read_bytes()


def test_a_tokenizer_that_was_changed_or_is_gone_is_noticed(taken: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(taken / "sat", tmp_path / "x")
    (moved / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"tokenizer\.json: not the bytes that SHA256SUMS names"):
        checkpoint.load(moved)
    (moved / "tokenizer.json").unlink()
    checksums.write(moved)
    with pytest.raises(IntegrityError, match=r"tokenizer\.json: missing, though model\.json says stored"):
        checkpoint.load(moved)


def _shards(folder: Path, kind: torch.dtype) -> None:
    """The weights of a folder in another type, in two files and their index."""
    for path in [*folder.rglob("*.safetensors")]:
        tensors = [(name, tensor.to(kind)) for name, tensor in load_file(path).items()]
        halves = {f"{path.stem}-{n:05d}-of-00002.safetensors": dict(tensors[n::2]) for n in (0, 1)}
        for name, half in halves.items():
            save_file(half, path.with_name(name))
        table = {"metadata": {}, "weight_map": {key: name for name, half in halves.items() for key in half}}
        path.with_name(f"{path.name}.index.json").write_text(json.dumps(table))
        path.unlink()


@parity
@pytest.mark.parametrize("layout", TO)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_other_types_in_several_files_are_taken_exactly(
    tmp_path: Path, layout: str, kind: torch.dtype
) -> None:
    folder = shutil.copytree(PARITY / layout, tmp_path / "x")
    _shards(folder, kind)
    take(folder, tmp_path / "ours")
    whole = dict(released.load(PARITY / layout).named_parameters())
    ours = dict(checkpoint.load(tmp_path / "ours").named_parameters())
    assert all(torch.equal(ours[name], whole[name].to(kind).float()) for name in whole)
    shard = next(folder.rglob("*-00001-of-*.safetensors"))
    if shard.parent.name != "text_encoder":
        with pytest.raises(UsageError, match=f"one of several files that make a model; give {folder}$"):
            take(shard, tmp_path / "one")


@parity
def test_one_file_is_taken_with_the_config_beside_it_or_given(taken: Path, tmp_path: Path) -> None:
    take(PARITY / "sat" / "model.safetensors", tmp_path / "a")
    folder = shutil.copytree(PARITY / "sat", tmp_path / "comfy")
    tensors = load_file(folder / "model.safetensors")
    tensors |= {"text_encoders.t5base.transformer.shared.weight": torch.zeros(4, 2)}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("_norm.beta")}
    save_file(tensors, tmp_path / "stable_audio.safetensors")
    config = ["--config", str(folder / "model_config.json")]
    take(tmp_path / "stable_audio.safetensors", tmp_path / "b", *config)
    encoder = shutil.move(folder / "t5", tmp_path / "text")
    take(tmp_path / "stable_audio.safetensors", tmp_path / "c", *config, "--text-encoder", str(encoder))
    assert (tmp_path / "a" / "SHA256SUMS").read_bytes() == (taken / "sat" / "SHA256SUMS").read_bytes()
    assert checkpoint.describe(tmp_path / "b").parts == checkpoint.describe(taken / "sat").parts
    assert checkpoint.describe(tmp_path / "b").config.name == "stable_audio"
    assert same(checkpoint.load(tmp_path / "c"), checkpoint.load(taken / "sat"))
    with pytest.raises(
        UsageError,
        match=r"(?s)held against stable_audio_open; .*another size: \(2 layers, 256 wide\), here \(24",
    ):
        imported.load(tmp_path / "stable_audio.safetensors")


def test_without_a_network_the_text_encoder_has_to_be_named(tmp_path: Path) -> None:
    config = preset.Config(
        name="wide",
        num_latents=16,
        codec=codec.Config(width=4, multiples=(1,), strides=(4,), latent_dim=4),
        dit=dit.Config(latent_dim=4, width=768, num_layers=1, num_heads=12),
    )
    save_file(released.export(StableAudioModel(config), layouts.sat)[""], tmp_path / "model.safetensors")
    table = exported.stable_audio_tools_table(config, "t5-base")
    (tmp_path / "model_config.json").write_text(json.dumps(table))
    with pytest.raises(UsageError, match=r"pretrained = 't5-base': .*or name the folder: --text-encoder DIR"):
        imported.load(tmp_path)


def test_terms_are_said_and_kept(taken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = checkpoint.describe(taken / "sat").parts
    assert {name: part.terms for name, part in parts.items()} == {
        "vae": released.TERMS, "dit": released.TERMS, "conditioners": released.TERMS, "text_encoder": "",
    }  # fmt: skip
    take(PARITY / "sat", tmp_path / "own", "--terms", "CC-BY-4.0")
    said = capsys.readouterr().out
    assert "these weights come under CC-BY-4.0\n" in said
    assert f"written to {tmp_path / 'own'}\n" in said
    assert "3,122,450 parameters" in said
    assert checkpoint.describe(tmp_path / "own").parts["dit"].terms == "CC-BY-4.0"


@parity
def test_t5_base_brings_its_licence(tmp_path: Path) -> None:
    folder = shutil.copytree(PARITY / "sat", tmp_path / "x")
    table = json.loads((folder / "model_config.json").read_text())
    table["model"]["conditioning"]["configs"][0]["config"]["t5_model_name"] = "t5-base"
    (folder / "model_config.json").write_text(json.dumps(table))
    shutil.move(folder / "t5", folder / "t5-base")
    take(folder, tmp_path / "ours")
    assert checkpoint.describe(tmp_path / "ours").parts["text_encoder"].terms == "Apache-2.0"


def test_an_encoder_fetched_by_name_is_stored_only_by_an_import(taken: Path, tmp_path: Path) -> None:
    """As `transformers` would have it in its cache: a name that is no folder."""
    model = checkpoint.load(taken / "sat")
    assert isinstance(model.text, t5.TextConditioner)
    model.text.config = t5.Config(**{**_fields(model.text.config), "stored": False, "pretrained": "t5-x"})
    model.config = _with_prompt(model, model.text.config)
    model.text.goes_along = False
    checkpoint.save(model, tmp_path / "by name")
    assert not (tmp_path / "by name" / "text_encoder.safetensors").exists()
    with pytest.raises(UsageError, match="go online once"):
        checkpoint.load(tmp_path / "by name")
    model.text.goes_along = True
    checkpoint.save(model, tmp_path / "stored")
    assert same(checkpoint.load(tmp_path / "stored"), checkpoint.load(taken / "sat"))
    assert checkpoint.describe(tmp_path / "stored").config.prompt.config.pretrained == "t5-x"


def _fields(config: t5.Config) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def _with_prompt(model: StableAudioModel, config: t5.Config) -> object:
    import dataclasses

    return dataclasses.replace(model.config, prompt=dataclasses.replace(model.config.prompt, config=config))


def test_stored_is_nothing_for_a_model_file() -> None:
    with pytest.raises(UsageError, match="stored = true is what checkpoints say of themselves"):
        t5.build(t5.Config(stored=True)).fetch()


def drop(folder: Path) -> None:
    _edit(folder, lambda tensors: tensors.pop("model.model.preprocess_conv.weight"))


def extra(folder: Path) -> None:
    _edit(folder, lambda tensors: tensors.update(surprise=torch.zeros(2)))


def misshape(folder: Path) -> None:
    _edit(folder, lambda tensors: tensors.update({"model.model.preprocess_conv.weight": torch.zeros(3, 3)}))


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def not_finite(folder: Path) -> None:
    _edit(folder, lambda tensors: tensors["model.model.preprocess_conv.weight"].fill_(float("nan")))


def deeper(folder: Path) -> None:
    table = json.loads((folder / "model_config.json").read_text())
    table["model"]["diffusion"]["config"]["depth"] = 5
    (folder / "model_config.json").write_text(json.dumps(table))


def other_kind(folder: Path) -> None:
    table = json.loads((folder / "model_config.json").read_text())
    table["model"]["diffusion"]["diffusion_objective"] = "rectified_flow"
    (folder / "model_config.json").write_text(json.dumps(table))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(100))


def _edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


BAD: tuple[tuple[Callable[[Path], None], str], ...] = (
    (drop, "missing: model.model.preprocess_conv.weight"),
    (extra, "unexpected: surprise"),
    (misshape, "other shape: model.model.preprocess_conv.weight is 3x3, here 8x8x1"),
    (cut, "model.safetensors: not a whole safetensors file"),
    (not_finite, "model.model.preprocess_conv.weight holds numbers that are not finite"),
    (deeper, "of another size: (2 layers, 256 wide), here (5 layers, 256 wide)"),
    (other_kind, "diffusion_objective is 'rectified_flow', here it is 'v'"),
    (other_kind, "it looks like stable-audio-open-small, or a sibling of it (rectified flow)"),
    (pickled, "a PyTorch pickle, which may run code"),
)


@parity
@pytest.mark.parametrize(("harm", "told"), BAD, ids=lambda x: getattr(x, "__name__", "")[:30])
def test_bad_input_says_what_is_wrong_and_leaves_nothing(
    tmp_path: Path, harm: Callable[[Path], None], told: str
) -> None:
    folder = shutil.copytree(PARITY / "sat", tmp_path / "x")
    harm(folder)
    with pytest.raises(SaoError) as error:
        take(folder, tmp_path / "out")
    assert told in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]


def test_what_is_not_there_or_ours_already_is_said(taken: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder; give a folder with model_config"):
        imported.load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a checkpoint or a run of sao already: there is nothing to"):
        imported.load(taken / "sat")
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        take(PARITY / "sat", taken / "sat")
    with pytest.raises(UsageError, match="is for one file"):
        imported.load(PARITY / "sat", config="tiny")


@parity
@pytest.mark.parametrize("layout", TO)
def test_only_the_codec_of_a_published_folder_is_read(layout: str, tmp_path: Path) -> None:
    found = opened.find(PARITY / layout)
    whole, codec = found.load().codec, found.load_codec()
    theirs = dict(whole.named_parameters())
    assert all(torch.equal(p, theirs[name]) for name, p in codec.named_parameters())
    checkpoint.save(found.load(), tmp_path / "ours")
    assert found.codec_digest() == opened.find(tmp_path / "ours").codec_digest()
    assert found.codec_digest() == weights.sha256(theirs)


def test_exports_of_a_checkpoint_go_without_the_folder_it_came_from(taken: Path, tmp_path: Path) -> None:
    model = checkpoint.load(taken / "diffusers")
    exported.write(model, tmp_path / "sat", "stable-audio-tools")
    assert same(released.load(tmp_path / "sat"), model)


@parity
def test_a_text_encoder_that_is_not_in_its_folder_is_asked_for(tmp_path: Path) -> None:
    folder = shutil.copytree(PARITY / "sat", tmp_path / "sat", ignore=shutil.ignore_patterns("t5"))
    with pytest.raises(UsageError, match=r"its text encoder 't5', 128 wide, is not in its folder; put it"):
        imported.load(folder)
