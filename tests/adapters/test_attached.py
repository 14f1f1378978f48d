"""What is made with adapters, what is said of them, where they go; and what is refused."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch

from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError, SaoError, UsageError
from sao_data.loading import training_data
from sao_data.loading.heard import works
from sao_data.storage import checksums
from sao_data.storage.backend import open_storage
from sao_model import StableAudio, checkpoint, declared, generation, making, opened, preset, run
from sao_model.adapters import attached, folders, reference
from sao_model.model import build
from sao_model.ui import heard
from sao_model.verbs import export, merge
from sao_model.verbs import model as model_verb
from tests.datasets_made import report_on


@pytest.fixture(scope="module")
def sounds(base: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A sound made with some adapters."""
    out = tmp_path_factory.mktemp("sounds")

    def made(*loras: str) -> Path:
        path = out / f"{'+'.join(each.replace(':', '_') for each in loras) or 'base'}.wav"
        asked = generation.Config(
            prompt="rain", seconds=0.04, steps=2, seed=1, device="cpu", bits="float",
            loras=tuple(f"{runs}/{each}" for each in loras),
        )  # fmt: skip
        if not path.exists():
            making.generate(str(base), asked, path)
        return path

    return made


def samples(path: Path) -> torch.Tensor:
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])


def facts(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.with_suffix(".json").read_text())
    return found


def test_strength_0_is_the_model_bit_for_bit_and_others_are_not(sounds: Callable[..., Path]) -> None:
    plain = samples(sounds())
    assert torch.equal(samples(sounds("lora:0")), plain)
    assert torch.equal(samples(sounds("lora:0", "dora:-0.0")), plain)
    different = [samples(sounds(*loras)) for loras in (("lora:1",), ("lora:-1",), ("lora:1", "dora:0.5"))]
    assert all(not torch.equal(each, plain) for each in different)
    assert not torch.equal(different[0], different[2])


def test_a_sound_names_its_adapters(sounds: Callable[..., Path], runs: Path) -> None:
    path = sounds("lora:0.8", "dora:-0.5")
    digests = {n: folders.describe(run.resolve(runs / n)).sha256 for n in ("lora", "dora")}
    assert facts(path)["loras"] == [
        {"name": "lora", "sha256": digests["lora"], "strength": 0.8},
        {"name": "dora", "sha256": digests["dora"], "strength": -0.5},
    ]
    assert facts(path)["release_checked"] is True
    comment = soundfile.SoundFile(path).comment
    assert f"adapter lora (sha256 {digests['lora'][:16]}) at 0.8" in comment
    assert "loras" not in facts(sounds())


def test_the_same_is_had_in_python_merged_and_again_from_that(
    sounds: Callable[..., Path], base: Path, runs: Path, tmp_path: Path
) -> None:
    loras = [f"{runs}/lora:0.8", f"{runs}/dora:-0.5"]
    ready = StableAudio.from_pretrained(base, device="cpu", loras=loras)
    ready.save_pretrained(tmp_path / "saved")
    said = verb(merge, base, "--lora", loras[0], "--lora", loras[1], "--out", tmp_path / "merged")
    assert said == 0
    merged = checkpoint.load(tmp_path / "merged")
    assert all(torch.equal(a, b) for a, b in zip(merged.parameters(), ready.model.parameters(), strict=True))
    assert checkpoint.describe(tmp_path / "saved").parts == checkpoint.describe(tmp_path / "merged").parts
    asked = generation.Config(prompt="rain", seconds=0.04, steps=2, seed=1, device="cpu", bits="float")
    making.generate(str(tmp_path / "merged"), asked, tmp_path / "a.wav")
    assert torch.equal(samples(tmp_path / "a.wav"), samples(sounds("lora:0.8", "dora:-0.5")))
    record = declared.read(tmp_path / "merged") or {}
    assert [part["part"] for part in record["pretrained"]] == [
        "dit", "conditioners", "text_encoder", "vae", "adapter",
    ]  # fmt: skip
    assert [each["strength"] for each in record["adapters"]] == [0.8, -0.5]
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        verb(merge, base, "--lora", loras[0], "--out", tmp_path / "merged")


def verb(module: object, *words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]
    status: int = module.run(parser.parse_args([str(word) for word in words]))  # type: ignore[attr-defined]
    return status


def test_what_an_adapter_is_and_has_heard(
    base: Path, runs: Path, tones: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run.resolve(runs / "dora")
    assert verb(model_verb, runs / "dora", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["rank"], said["alpha"], said["layers"]) == ("dora", 4, 8.0, 14)
    assert said["digest"] == checksums.sha256(folder / folders.WEIGHTS)
    assert [each["what"] for each in said["heard"]] == ["the adapter", "its dit", "its vae"]
    assert said["not_covered"] == []
    assert verb(model_verb, base, "--lora", f"{runs}/dora:0.5") == 0
    shown = capsys.readouterr().out
    assert "at strength 0.5" in shown
    assert "dora, rank 4, alpha 8, on 14 layers of mini" in shown
    info = report_on(tones, open_storage(str(tmp_path / "report")), folder)
    assert info.kept == len({row.recording_id for row in works.seen_samples(tones, folder).samples})
    known = heard.heard(base, adapters=[("dora", folder)])
    assert [each.what for each in known.trainings] == ["the model", "its vae", "the adapter dora"]


def test_parts_that_nobody_speaks_for_are_said_not_to_be_covered(tones: Dataset, runs: Path) -> None:
    folder = run.resolve(runs / "lora")
    record = json.loads((folder / "training_data.json").read_text())
    assert list(training_data.unrecorded(record)) == []
    record["pretrained"][0]["training_data"] = None
    parts = ["dit", "conditioners", "text_encoder", "vae"]
    assert list(training_data.unrecorded(record)) == parts
    seen = works.SeenSamples(samples=(), step=4, elsewhere=(), not_covered=("dit",))
    assert "what that heard is not covered" in seen.remarks("lora")[1]


def test_diffusers_transformer_computes_the_same_with_the_exported_adapter(
    base: Path, runs: Path, tmp_path: Path
) -> None:
    """peft loads our export into the transformer of diffusers that has the model's weights."""
    pytest.importorskip("diffusers")
    from peft import LoraConfig
    from peft.functional import inject_adapter_in_model, set_peft_model_state_dict

    from sao_model import layouts, released, weights
    from sao_model.guidance import Conditioning, conditioned
    from tests.parity import oracle

    found = opened.find(base)
    plain = found.load()
    latents, t = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(1)), torch.tensor([0.2, 0.9])
    told = plain.condition(["rain", "a dog"], [0.0, 1.0], [2.0, 3.0])
    told = Conditioning(cross_BSC=told.cross_BSC.detach(), global_BG=told.global_BG.detach())
    for kind in ("lora", "dora", "rslora"):
        assert verb(export, runs / kind, "--to", "diffusers", "--out", tmp_path / kind) == 0
        held = weights.read(tmp_path / kind / "pytorch_lora_weights.safetensors", fix="")
        held = {name.removeprefix("transformer."): tensor for name, tensor in held.items()}
        theirs = oracle.theirs(plain.config, "transformer").to_empty(device="cpu")
        theirs.load_state_dict(released.export(plain, layouts.diffusers)["transformer"], strict=False)
        names = sorted({name.rsplit(".lora_", 1)[0] for name in held})
        wanted = LoraConfig(r=4, lora_alpha=4, target_modules=names, use_dora=kind == "dora")
        inject_adapter_in_model(wanted, theirs)
        result = set_peft_model_state_dict(theirs, held)
        assert not result.unexpected_keys
        both = oracle.Both(size=kind, ours=plain, vae=plain, transformer=theirs, projection=plain)
        ours = attached.load(found, attached.find([f"{runs}/{kind}"], found))
        with torch.no_grad():
            both.check(
                "velocity", conditioned(ours.dit, told)(latents, t), both.velocity(latents, t, told), 3e-6
            )
            assert not torch.allclose(
                conditioned(plain.dit, told)(latents, t), both.velocity(latents, t, told), atol=1e-4
            )
    with pytest.raises(UsageError, match="an adapter goes to diffusers; put it into its model first"):
        verb(export, runs / "lora", "--to", "stable-audio-tools", "--out", tmp_path / "sat")


@pytest.mark.parametrize(
    ("text", "folder", "strength"),
    [
        ("A", "A", 1.0),
        ("A:0.8", "A", 0.8),
        ("a/b:-1.5", "a/b", -1.5),
        ("A:1e-1", "A", 0.1),
        ("with:colon:2", "with:colon", 2.0),
        ("there:4", "there:4", 1.0),  # such a folder is there
    ],
)
def test_how_an_adapter_is_asked_for(
    text: str, folder: str, strength: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there:4").mkdir()
    monkeypatch.chdir(tmp_path)
    assert reference.parse(text) == reference.AdapterAsked(folder=folder, strength=strength)


def _say(folder: Path, **values: object) -> None:
    table = json.loads((folder / folders.FILE).read_text()) | values
    (folder / folders.FILE).write_text(json.dumps(table))
    (folder / checksums.FILE).unlink()
    checksums.write(folder)


def _pickled(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "adapter_model.bin").write_bytes(b"PK\x03\x04")


# What is asked for, or a change of a copy of an adapter; what it is told.
BAD: dict[str, tuple[str | Callable[[Path], object], type[SaoError], str]] = {
    "in words": ("{runs}/lora:loud", UsageError, r"the strength 'loud' is not a number; give .*lora:0\.8"),
    "not a number": ("{runs}/lora:nan", UsageError, "the strength 'nan' is not finite"),
    "no end": ("{runs}/lora:inf", UsageError, "the strength 'inf' is not finite"),
    "no name": (":", UsageError, "names no folder; give FOLDER or FOLDER:STRENGTH"),
    "missing": ("{tmp}/none:0.5", UsageError, "no such folder; give an adapter's folder"),
    "empty": ("{tmp}", UsageError, r"no adapter \(adapter.json is missing\)"),
    "a model": ("{base}", UsageError, "a whole model, not an adapter; give it with --model"),
    "a run of models": ("{base}/../..", UsageError, "a whole model, not an adapter"),
    "pickled": (_pickled, UsageError, r"adapter_model\.bin: a PyTorch pickle; only safetensors are read"),
    "of another tool": (
        lambda f: (f / "adapter.json").unlink(), UsageError, "without adapter.json, of another tool",
    ),
    "cut": (
        lambda f: (f / folders.WEIGHTS).write_bytes(b"x"), IntegrityError,
        "not the bytes that adapter.json names",
    ),
    "weights gone": (
        lambda f: (f / folders.WEIGHTS).unlink(), IntegrityError, "missing, though adapter.json names it",
    ),
    "by hand": (
        lambda f: (f / folders.FILE).write_text("{}"), IntegrityError, "not the bytes that SHA256SUMS names",
    ),
    "later": (lambda f: _say(f, format=2), UsageError, "format 2; this version reads format 1"),
    "no digests": (lambda f: _say(f, base={}), IntegrityError, "names no layers, or not the parts vae, dit"),
    "another rank than its file": (
        lambda f: _say(f, rank=8), UsageError, r"another model; (.*\n)+.*other shape: blocks\.\*.*lora_A",
    ),
    "other layers": (
        lambda f: _say(f, layers={"blocks.9.ff.out": [64, 256]}), UsageError,
        r"unexpected: blocks\.9\.ff\.out\.weight",
    ),
    "other shapes": (
        lambda f: _say(f, layers={"blocks.0.ff.out": [96, 384]}), UsageError,
        r"other shape: blocks\.0\.ff\.out\.weight is 96x384, here 64x256",
    ),
    "another model": (
        lambda f: _say(f, base=dict.fromkeys(folders.DIGESTED, "0" * 64)), UsageError,
        r"made for another model than .*: vae and dit and conditioners differ \(dit of its model 'mini'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_adapter_for_this_model_is_refused(
    case: str, base: Path, runs: Path, tmp_path: Path
) -> None:
    change, error, told = BAD[case]
    found = opened.find(base)
    if isinstance(change, str):
        asked = change.format(base=base, runs=runs, tmp=tmp_path)
    else:
        asked = str(shutil.copytree(run.resolve(runs / "lora"), tmp_path / "copy"))
        change(Path(asked))

    def use() -> None:
        attached.load(found, attached.find([asked], found))

    with pytest.raises(error, match=told):
        use()


def test_an_adapter_is_no_model(runs: Path, mini: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"an adapter, which changes a model and is none; .* with --lora"):
        opened.find(runs / "lora")
    with pytest.raises(UsageError, match="given twice"):
        reference.parse_all(["A:0.5", "./A"])
    checkpoint.save(build(preset.read(mini), seed=9), tmp_path / "other")
    with pytest.raises(UsageError, match=re.escape("its model 'mini'")):
        attached.find([str(runs / "lora")], opened.find(tmp_path / "other"))
    with pytest.raises(UsageError, match="no checkpoint; --lora goes with a checkpoint"):
        verb(model_verb, "tiny", "--lora", "A")
    with pytest.raises(UsageError, match="an adapter; --lora goes with its model"):
        verb(model_verb, runs / "lora", "--lora", "A")
