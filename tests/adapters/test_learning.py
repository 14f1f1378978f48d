"""An adapter is learned as a whole model is: from nothing, to the same bits, and it alone."""

from __future__ import annotations

import contextlib
import copy
import json
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_model import checkpoint, dit, opened, preset, run, train_dit
from sao_model.adapters import attached, folders, layers, learning, settings
from sao_model.adapters.layers import AdapterForm, WeightChange
from sao_model.dit import DiT
from sao_model.model import StableAudioModel, build
from sao_model.training import processes
from tests.adapters.conftest import learn
from tests.training import made_runs

KINDS = ("lora", "dora", "rslora")


def velocity(net: DiT) -> torch.Tensor:
    """Of fixed noise, told something fixed."""
    config, generator = net.config, torch.Generator().manual_seed(4)
    sizes = ((2, config.latent_dim, 9), (2,), (2, 5, config.cross_dim), (2, config.global_dim))
    with torch.no_grad():
        return net(*(torch.rand(size, generator=generator) for size in sizes))


@contextlib.contextmanager
def not_in_pieces() -> Iterator[None]:
    """The feed-forward layers' road with an adapter in them: in pieces, the CPU rounds otherwise."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dit, "nn", types.SimpleNamespace(Linear=None))
        yield


@pytest.fixture
def model(mini: str) -> StableAudioModel:
    """With no layer at zero."""
    made = build(preset.read(mini), seed=2)
    with torch.no_grad():
        for weight in made.dit.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base_dtype", ["float32", "bf16"])
def test_it_begins_with_no_effect_at_all(model: StableAudioModel, kind: str, base_dtype: str) -> None:
    wanted = settings.Config(kind=kind, rank=3, base_dtype=base_dtype)  # type: ignore[arg-type]
    matched = layers.matched(model.dit, wanted.targets)
    form = AdapterForm(kind=kind, rank=3, alpha=3.0, layers=matched)  # type: ignore[arg-type]
    model.requires_grad_(False)
    if base_dtype == "bf16":
        learning.round_base(model)
    with not_in_pieces(), torch.autocast("cpu", torch.bfloat16, enabled=base_dtype == "bf16"):
        before = velocity(model.dit)
    layers.put_in(model.dit, form)
    with torch.autocast("cpu", torch.bfloat16, enabled=base_dtype == "bf16"):
        assert torch.equal(velocity(model.dit), before)
    trained = {n: p for n, p in model.dit.named_parameters() if p.requires_grad}
    shapes = {layers.stored_name(name): tuple(p.shape) for name, p in trained.items()}
    assert shapes == {name: shape.shape for name, shape in form.shapes().items()}
    assert {p.dtype for p in trained.values()} == {torch.float32}
    assert form.parameters == sum(p.numel() for p in trained.values())


def test_a_checkpoint_holds_the_adapter_and_nothing_else(runs: Path, base: Path) -> None:
    folder = run.resolve(runs / "lora")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "adapter_model.safetensors", "adapter_config.json", "adapter.json", "training_data.json", "loop.json",
        "training.safetensors", "README.md", "SHA256SUMS",
    }  # fmt: skip
    held = load_file(folder / "training.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name or name == "ema|num_updates" for name in held)
    described = folders.describe(folder)
    parts = checkpoint.describe(base).parts
    assert described.base == {name: parts[name].sha256 for name in folders.DIGESTED}
    averages = {n.removeprefix("ema|dit."): t for n, t in held.items() if n.startswith("ema|dit.")}
    for name, tensor in folders.load(folder, described).items():
        twin = next(averages[n] for n in averages if layers.stored_name(n) == name)
        assert torch.equal(twin, tensor)
    assert "--lora THIS_FOLDER:1.0" in (folder / "README.md").read_text()


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_run_that_goes_on_is_equal_to_one_that_was_not_stopped(
    kind: str, runs: Path, tones: Dataset, base: Path, tmp_path: Path
) -> None:
    more: dict[str, object] = {"dropout": 0.2} if kind == "lora" else {"kind": "dora", "alpha": 8.0}
    learn(tones, base, tmp_path / "run", 2, **more)
    learn(tones, base, tmp_path / "run", 4, **more)
    made_runs.assert_same(tmp_path / "run", runs / kind)


def test_peft_opens_the_folder_and_computes_what_we_do(runs: Path, base: Path) -> None:
    from peft import PeftModel, get_peft_model_state_dict

    for kind in KINDS:
        folder, found = run.resolve(runs / kind), opened.find(base)
        ours = attached.load(found, attached.find([str(folder)], found))
        theirs = PeftModel.from_pretrained(found.load().dit, folder)
        torch.testing.assert_close(velocity(ours.dit), velocity(theirs.base_model.model), rtol=0, atol=2e-6)
        names = get_peft_model_state_dict(theirs).keys()
        assert names == load_file(folder / folders.WEIGHTS).keys()


@torch.no_grad()
def test_changes_add_up_each_taken_of_the_weights_alone(model: StableAudioModel) -> None:
    """W + a s1 B1 A1 + b s2 B2 A2, by hand; s = alpha / rank, or alpha / its root."""
    name = "blocks.0.cross_attn.kv"
    generator, weight = torch.Generator().manual_seed(0), model.dit.get_submodule(name).weight.clone()  # type: ignore[operator]
    changes, wanted = [], weight.double()
    for kind, strength, scale in (("lora", 0.5, 6 / 4), ("rslora", -2.0, 6 / 2)):
        form = AdapterForm(kind=kind, rank=4, alpha=6.0, layers={name: tuple(weight.shape)})  # type: ignore[arg-type]
        tensors = {n: torch.randn(s.shape, generator=generator) for n, s in form.shapes().items()}
        wide, narrow = (tensors[f"{name}.lora_{side}.weight"].double() for side in "BA")
        wanted = wanted + strength * scale * wide @ narrow
        changes.append(WeightChange(form=form, tensors=tensors, strength=strength))
    none = WeightChange(form=changes[0].form, tensors=changes[0].tensors, strength=0.0)
    before = copy.deepcopy(model.dit.state_dict())
    layers.put_into_weights(model.dit, [none])
    assert all(torch.equal(t, before[n]) for n, t in model.dit.state_dict().items())
    layers.put_into_weights(model.dit, changes)
    changed = {n for n, t in model.dit.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {f"{name}.weight"}
    found = model.dit.get_submodule(name).weight  # type: ignore[operator]
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)
    assert found.requires_grad


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"adapter": {"kind": "lora", "rank": 0}}, r"adapter\.rank: 0; want at least 1"),
        ({"adapter": {"kind": "qlora"}}, r"kind: Input should be '', 'lora', 'dora' or 'rslora' \(got 'q"),
        ({"adapter": {"kind": "lora", "dropout": 1.0}}, r"adapter\.dropout: 1\.0; want"),
        ({"adapter": {"kind": "lora", "alpha": -1.0}}, r"adapter\.alpha: -1\.0; want"),
        ({"adapter": {"kind": "lora", "targets": []}}, r"adapter\.targets: none"),
        (
            {"adapter": {"kind": "lora", "targets": ["*.attn3.*"]}},
            r"'\*\.attn3\.\*' matches no linear layer of the transformer; there are blocks\.\*\.cr",
        ),
        ({"start_from": ""}, r"adapter\.kind: an adapter for which model\? Give start_from=CKPT too"),
        ({"adapter": {"kind": "lora", "base_dtype": "bf16"}}, r'"bf16" needs precision = "bf16" \(is'),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused(
    changes: dict[str, object], told: str, tones: Dataset, base: Path, mini: str, tmp_path: Path
) -> None:
    def train() -> None:
        asked = {"start_from": str(base), "adapter": {"kind": "lora"}} | changes
        config, silent = made_runs.dit_config(mini, **asked), made_runs.Silent()
        train_dit.train(config, tones, str(base), tmp_path / "run", resume="auto", progress=silent)

    with pytest.raises(UsageError, match=told):
        train()
    assert not (tmp_path / "run").exists()


def test_another_codec_another_model_and_divided_weights_are_refused(
    tones: Dataset, base: Path, runs: Path, mini: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    checkpoint.save(build(preset.read(mini), seed=9), other)
    silent = made_runs.Silent()
    config = made_runs.dit_config(mini, start_from=str(base), adapter={"kind": "lora"})
    with pytest.raises(UsageError, match=r"--vae .*: not the codec of start_from"):
        train_dit.train(config, tones, str(other), tmp_path / "run", resume="auto", progress=silent)
    # The same settings, but what they name has changed meanwhile.
    begun = json.loads((run.resolve(runs / "rslora") / "loop.json").read_text())["config"]
    assert begun["adapter"]["kind"] == "rslora"
    found = run.resolve(runs / "lora")
    with pytest.raises(
        UsageError, match=r"made for another model than .*other: .* differ \(dit of its model"
    ):
        learning.begin(
            checkpoint.load(other), settings.Config(kind="lora"), opened.find(other), found, seed=0
        )
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UsageError, match="and so does an adapter, which is small"):
        processes.make_accelerator(config, tmp_path, may_divide=False)
