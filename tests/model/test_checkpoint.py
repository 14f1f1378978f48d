import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sao_data import sums
from sao_data.errors import IntegrityError, UsageError
from sao_model import checkpoint
from sao_model.checkpoint import assign, describe, load, load_codec, load_tensors, save
from sao_model.ema import Ema
from sao_model.model import StableAudio


@pytest.fixture
def saved(tiny: StableAudio, tmp_path: Path) -> Path:
    save(tiny, tmp_path / "ckpt")
    return tmp_path / "ckpt"


def test_what_is_loaded_is_what_was_saved(tiny: StableAudio, saved: Path) -> None:
    again = load(saved)
    assert again.config == tiny.config
    ours, theirs = dict(tiny.named_parameters()), dict(again.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert all(ours[name].requires_grad == theirs[name].requires_grad for name in ours)
    assert torch.equal(tiny.generate("rain", 0.1, steps=2), again.generate("rain", 0.1, steps=2))


def test_the_codec_loads_alone(tiny: StableAudio, saved: Path) -> None:
    codec = load_codec(saved)
    z = torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(codec.decode(z), tiny.codec.decode(z))


def test_every_kind_of_tensor_is_stored_as_safetensors_reads_it(tiny: StableAudio, tmp_path: Path) -> None:
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


def test_no_temporary_is_left_and_nothing_is_overwritten(tiny: StableAudio, saved: Path) -> None:
    assert [path.name for path in saved.parent.iterdir()] == ["ckpt"]
    with pytest.raises(UsageError, match="not overwritten"):
        save(tiny, saved)


def test_a_write_that_fails_leaves_nothing(
    tiny: StableAudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_sync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(tiny, tmp_path / "ckpt")
    assert list(tmp_path.iterdir()) == []


def test_equal_models_give_equal_files(tiny: StableAudio, saved: Path, tmp_path: Path) -> None:
    save(tiny, tmp_path / "again")
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_averages_and_files_travel_along(tiny: StableAudio, tmp_path: Path) -> None:
    average = Ema(tiny.dit)
    average.update(tiny.dit)
    save(tiny, tmp_path / "ckpt", tensors={"ema": average.state_dict()}, files={"training_data.json": b"{}"})
    restored = Ema(tiny.dit)
    restored.load_state_dict(load_tensors(tmp_path / "ckpt", "ema"))
    assert restored.num_updates == 1
    assert (tmp_path / "ckpt" / "training_data.json").read_bytes() == b"{}"
    with pytest.raises(UsageError, match="has no 'optimiser'"):
        load_tensors(tmp_path / "ckpt", "optimiser")


def test_a_codec_alone_is_no_whole_model(tiny: StableAudio, tmp_path: Path) -> None:
    save(tiny, tmp_path / "vae", only=("vae",))
    assert sorted(path.name for path in (tmp_path / "vae").iterdir()) == [
        "SHA256SUMS",
        "model.json",
        "vae.safetensors",
    ]
    load_codec(tmp_path / "vae")
    with pytest.raises(UsageError, match="holds no dit"):
        load(tmp_path / "vae")


def test_terms_stay_with_the_weights(tiny: StableAudio, tmp_path: Path) -> None:
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
    sums.write(saved)
    with pytest.raises(UsageError, match="format 9; this version reads format 2"):
        load(saved)


def test_weights_of_another_model_are_listed_in_groups(tiny: StableAudio) -> None:
    weights = dict(tiny.dit.named_parameters())
    changed = {key: p.detach() for key, p in weights.items() if not key.endswith("ff.out.weight")}
    changed["blocks.0.norm4.weight"] = torch.zeros(1)
    changed["project_in.weight"] = torch.zeros(1)
    with pytest.raises(UsageError) as error:
        assign(tiny.dit, changed, where="there")
    message = str(error.value)
    assert "there: weights of another model" in message
    assert "missing: blocks.*.ff.out.weight (3)" in message
    assert "unexpected: blocks.*.norm4.weight" in message
    assert "other shape: project_in.weight" in message


def test_nothing_is_pickled(saved: Path) -> None:
    assert {path.suffix or path.name for path in saved.iterdir()} == {".json", ".safetensors", "SHA256SUMS"}
