import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sao_data.errors import IntegrityError, SaoError, UsageError
from sao_data.loading import training_data
from sao_data.storage import checksums
from sao_model import checkpoint
from sao_model.checkpoint import assign, describe, load, load_codec, load_tensors, save
from sao_model.model import StableAudioModel, build
from sao_model.preset import Config
from sao_model.request import Sampling, Sound
from sao_model.training.ema import Ema
from tests import damaged


@pytest.fixture(scope="module")
def stored(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny` as a checkpoint: read, never changed."""
    folder = tmp_path_factory.mktemp("stored") / "ckpt"
    save(build(tiny_config, seed=3), folder)
    return folder


@pytest.fixture
def saved(stored: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(stored, tmp_path / "ckpt")


def test_what_is_loaded_is_what_was_saved(tiny: StableAudioModel, saved: Path) -> None:
    again = load(saved)
    assert again.config == tiny.config
    ours, theirs = dict(tiny.named_parameters()), dict(again.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert all(ours[name].requires_grad == theirs[name].requires_grad for name in ours)
    asked = [Sound(prompt="rain", seconds=0.1)], Sampling(steps=2)
    assert torch.equal(tiny.generate(*asked)[0], again.generate(*asked)[0])


def test_the_codec_loads_alone(tiny: StableAudioModel, saved: Path) -> None:
    codec = load_codec(saved)
    z = torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(codec.decode(z), tiny.codec.decode(z))


def test_every_kind_of_tensor_is_stored_as_safetensors_reads_it(
    tiny: StableAudioModel, tmp_path: Path
) -> None:
    kinds = [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.uint8,
    ]
    given = {f"x.{kind}": torch.arange(6).reshape(2, 3).to(kind).T for kind in kinds}
    given |= {"scalar": torch.tensor(7), "none": torch.zeros(0, 4), "flag": torch.tensor([True, False, True])}
    save(tiny, tmp_path / "ckpt", tensors={"extra": given})
    again = load_tensors(tmp_path / "ckpt", "extra")
    assert again.keys() == given.keys()
    for name, tensor in given.items():
        assert again[name].dtype == tensor.dtype
        assert torch.equal(again[name], tensor)


def test_no_temporary_is_left_and_nothing_is_overwritten(tiny: StableAudioModel, saved: Path) -> None:
    assert [path.name for path in saved.parent.iterdir()] == ["ckpt"]
    with pytest.raises(UsageError, match="not overwritten"):
        save(tiny, saved)


def test_a_write_that_fails_leaves_nothing(
    tiny: StableAudioModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_sync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(tiny, tmp_path / "ckpt")
    assert list(tmp_path.iterdir()) == []


def test_equal_models_give_equal_files(tiny: StableAudioModel, saved: Path, tmp_path: Path) -> None:
    save(tiny, tmp_path / "again")
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_averages_and_files_travel_along(tiny: StableAudioModel, tmp_path: Path) -> None:
    average = Ema(tiny.dit)
    average.update()
    save(tiny, tmp_path / "ckpt", tensors={"ema": average.state_dict()}, files={"training_data.json": b"{}"})
    restored = Ema(tiny.dit)
    restored.load_state_dict(load_tensors(tmp_path / "ckpt", "ema"))
    assert restored.num_updates == 1
    assert (tmp_path / "ckpt" / "training_data.json").read_bytes() == b"{}"
    with pytest.raises(UsageError, match="has no 'optimiser'"):
        load_tensors(tmp_path / "ckpt", "optimiser")


def test_a_codec_alone_is_no_whole_model(tiny: StableAudioModel, tmp_path: Path) -> None:
    save(tiny, tmp_path / "vae", only=("vae",))
    assert sorted(path.name for path in (tmp_path / "vae").iterdir()) == [
        "SHA256SUMS",
        "model.json",
        "vae.safetensors",
    ]
    load_codec(tmp_path / "vae")
    with pytest.raises(UsageError, match="holds no dit"):
        load(tmp_path / "vae")


def test_terms_stay_with_the_weights(tiny: StableAudioModel, tmp_path: Path) -> None:
    tiny.terms = {"vae": "CC-BY-4.0"}
    save(tiny, tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert describe(tmp_path / "b").parts["vae"].terms == "CC-BY-4.0"


def test_changed_bytes_are_noticed(saved: Path) -> None:
    tensors = load_file(saved / "dit.safetensors")
    tensors["project_in.weight"] += 1
    save_file(tensors, saved / "dit.safetensors")
    with pytest.raises(IntegrityError, match=r"dit.safetensors: not the bytes"):
        load(saved)


@pytest.mark.parametrize("damage", ["cut", "gone", "json"])
def test_damage_is_an_integrity_error(saved: Path, damage: str) -> None:
    path = saved / ("model.json" if damage == "json" else "vae.safetensors")
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match=path.name):
        load(saved, verify=False)


def test_a_folder_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model.json is missing"):
        load(tmp_path)


def test_another_format_is_refused(saved: Path) -> None:
    table = json.loads((saved / "model.json").read_text())
    (saved / "model.json").write_text(json.dumps({**table, "format": 9}))
    checksums.write(saved)
    with pytest.raises(UsageError, match="format 9; this version reads format 2"):
        load(saved)


def test_weights_of_another_model_are_listed_in_groups(tiny: StableAudioModel) -> None:
    weights = dict(tiny.dit.named_parameters())
    changed = {key: p.detach() for key, p in weights.items() if not key.endswith("ff.out.weight")}
    changed["blocks.0.norm4.weight"] = torch.zeros(1)
    changed["project_in.weight"] = torch.zeros(1)
    with pytest.raises(UsageError) as error:
        assign(tiny.dit, changed, where="there")
    message = str(error.value)
    assert "there: weights of another model" in message
    assert "missing: blocks.*.ff.out.weight (3)" in message
    assert "unexpected: blocks.0.norm4.weight" in message
    assert "other shape: project_in.weight is 1, here 128x8" in message


def test_nothing_is_pickled(saved: Path) -> None:
    assert {path.suffix or path.name for path in saved.iterdir()} == {".json", ".safetensors", "SHA256SUMS"}


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """model.json changed, and SHA256SUMS made to fit again."""

    def harm(folder: Path) -> None:
        table = json.loads((folder / "model.json").read_text())
        change(table)
        (folder / "model.json").write_text(json.dumps(table))

    return harm


def rewrite(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """Other numbers in dit.safetensors, and a model.json that names them."""

    def harm(folder: Path) -> None:
        path = folder / "dit.safetensors"
        save_file({key: change(value) for key, value in load_file(path).items()}, path)
        edit(lambda table: table["parts"]["dit"].update(sha256=checksums.sha256(path)))(folder)

    return harm


def replace(data: bytes) -> Callable[[Path], None]:
    """Something else where the weights were, and a model.json that names it."""

    def harm(folder: Path) -> None:
        path = folder / "vae.safetensors"
        path.write_bytes(data)
        edit(lambda table: table["parts"]["vae"].update(sha256=checksums.sha256(path)))(folder)

    return harm


def raw(text: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / "model.json").write_text(text)

    return harm


# What befalls a checkpoint whose every digest fits again, and what is said of it.
FORGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no extras": (edit(lambda t: t.pop("extras")), "model.json: extras: Field required"),
    "no parts": (edit(lambda t: t["parts"].pop("dit")), "wants the parts vae, dit"),
    "a list": (raw("[1]"), "model.json: not a JSON object"),
    "deep": (raw("[" * 100_000), "model.json: not valid JSON"),
    "NaN": (raw('{"format": NaN}'), "NaN is no JSON number"),
    "a number beyond all": (raw('{"format": 1e999}'), "a number that is none"),
    "a number": (edit(lambda t: t.update(extras=5)), "extras: Input should be an object (got 5)"),
    "the folder": (edit(lambda t: t["parts"]["dit"].update(file=".")), "parts.dit.file: String"),
    "a step out": (
        edit(lambda t: t["parts"]["dit"].update(file="../x.safetensors")),
        "parts.dit.file: String",
    ),
    "an extra out": (edit(lambda t: t.update(extras={"../x": "0" * 64})), "String should match pattern"),
    "no digest": (
        edit(lambda t: t["parts"]["dit"].update(sha256="x")),
        "parts.dit.sha256: String should match",
    ),
    "another format": (edit(lambda t: t.update(format=1)), "format 1; this version reads format 2"),
    "no shape": (edit(lambda t: t["config"]["dit"].update(width="x")), "width"),
    "no depth": (
        edit(lambda t: t["config"]["dit"].update(num_layers=10**7)),
        "num_layers is 10000000",
    ),
    "no rate": (edit(lambda t: t["config"].update(sample_rate=0)), "sample_rate is 0; want 1 to"),
    "no tokens": (edit(lambda t: t["config"]["prompt"].update(max_tokens=0)), "prompt.max_tokens is 0; want"),
    "no seed": (edit(lambda t: t["config"]["prompt"].update(seed=10**40)), "prompt.seed is 1000"),
    "other counts": (edit(lambda t: t["parts"]["dit"].update(parameters=1)), "another number of parameters"),
    "8 bits": (rewrite(lambda x: x.to(torch.float8_e4m3fn)), "holds float8_e4m3fn numbers; take the file"),
    "too large": (rewrite(lambda x: x.double() * 0 + 1e300), "holds numbers that are not finite"),
    "NaN weights": (rewrite(lambda x: x * float("nan")), "holds numbers that are not finite"),
    "an infinity": (rewrite(lambda x: x / 0), "holds numbers that are not finite"),
    "whole numbers": (
        rewrite(lambda x: x.to(torch.int32)),
        "holds int32 numbers; take the file",
    ),
    "other shapes": (rewrite(lambda x: x[:1].clone()), "weights of another model"),
    "a pickle": (replace(b"\x80\x04K\x01."), "a pickle, which may run code; convert it to safetensors"),
    "a zip": (replace(b"PK\x03\x04" + bytes(100)), "a PyTorch pickle, which may run code"),
    "a page": (replace(damaged.HTML), "a web page, not weights; download it again"),
    "a pointer": (replace(damaged.POINTER), "a pointer of git-lfs, not the weights"),
    "nothing": (replace(b""), "not a whole safetensors file"),
    "a giant header": (replace(b"\xff" * 7 + b"\x00" + b"{}"), "not a whole safetensors file"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_checkpoint_is_refused_in_one_line(saved: Path, name: str) -> None:
    harm, told = FORGED[name]
    harm(saved)
    checksums.write(saved)
    with pytest.raises(SaoError, match=re.escape(told)):
        load(saved)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precision_is_read_as_float32(tiny: StableAudioModel, saved: Path, kind: torch.dtype) -> None:
    rewrite(lambda x: x.to(kind))(saved)
    with pytest.raises(IntegrityError, match=r"if the change is meant, run `(sha256sum .*)`") as error:
        load(saved)
    command = re.search("`(.*)`", str(error.value))
    assert command is not None
    subprocess.run(command[1], shell=True, cwd=saved, check=True)
    again = load(saved)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    ours = dict(tiny.dit.named_parameters())
    assert all(torch.equal(ours[n].to(kind).float(), p) for n, p in again.dit.named_parameters())
    (audio,) = again.generate([Sound(prompt="rain", seconds=0.1)], Sampling(steps=2))
    assert audio.isfinite().all()


def test_what_is_not_finite_is_not_saved(tiny: StableAudioModel, tmp_path: Path) -> None:
    with torch.no_grad():
        broken = build(tiny.config)
        next(iter(broken.dit.parameters())).view(-1)[0] = float("nan")
    with pytest.raises(IntegrityError, match="holds numbers that are not finite: not saved"):
        save(broken, tmp_path / "ckpt")
    assert list(tmp_path.iterdir()) == []


def test_every_difference_is_noticed(saved: Path, tmp_path: Path) -> None:
    facts = {"dataset": "x", "version": "y", "root_digest": "0" * 64, "step": 1, "shards": []}
    (saved / "training_data.json").write_text(json.dumps(facts))
    checksums.write(saved)
    for seed in range(24):
        dice = random.Random(seed)
        folder = shutil.copytree(saved, tmp_path / "x")
        path = dice.choice(sorted(folder.iterdir()))
        before = path.read_bytes()
        path.write_bytes((damaged.json_of if path.suffix == ".json" else damaged.bytes_of)(before, dice))
        if path.read_bytes() != before:
            with pytest.raises(SaoError, match=r"restore it|not a whole|format|git-lfs|a web page"):
                load(folder), training_data.read(folder / "training_data.json")
        shutil.rmtree(folder)
