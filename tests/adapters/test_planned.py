"""What an adapter's training takes, against sums by hand and PyTorch's own counts."""

import argparse

import pytest
import torch

from sao_data.config import parse, read_toml
from sao_model import codec, dit, memory, train_dit
from sao_model.adapters import layers, learning, settings
from sao_model.adapters.layers import AdapterForm
from sao_model.monitoring import plan, plan_adapter
from sao_model.verbs import train as verb
from tests.model.test_memory import LATENTS, NET, peak, told
from tests.paths import ROOT

PRESET = ROOT / "manifests" / "training" / "dit_lora.toml"


def test_the_published_model_at_rank_16_fits_into_12_gb(capsys: pytest.CaptureFixture[str]) -> None:
    """One sound of 47 s at a time. Per block rank times (in + out) of: qkv, out; q, kv, out; proj, out."""
    config = parse(train_dit.Config, read_toml(PRESET), where=str(PRESET))
    made = plan.make(config, plan.Machines(gpus=1, gpu_memory=12), None)
    ins_and_outs = 6144 + 3072 + 3072 + (768 + 1536) + 3072 + (1536 + 12_288) + (6144 + 1536)
    learned = 24 * 16 * ins_and_outs
    in_blocks = 24 * (4 * 1536**2 + 2 * 1536**2 + 768 * 1536 + 12_288 * 1537 + 1536 * 6145)
    assert made.parameters.trained == learned == 15_040_512
    assert made.memory.parts == {
        "base": 2 * in_blocks,
        "other frozen": 4 * (1_322_966_146 - in_blocks),
        "adapter": 6 * learned,  # and its casts
        "gradients": 4 * learned,
        "moments": 8 * learned,
        "averages": 4 * learned,
    }
    encoding = memory.codec_one_way(codec.Config(), 1024)
    assert made.memory.per_sample == encoding > memory.dit_training(dit.Config(), 1024, True) // 2
    assert made.batch.at_a_time == 1
    assert made.memory.total == sum(made.memory.parts.values()) + 4 * learned + encoding
    assert made.memory.total <= 12e9
    assert made.disk.checkpoint == 20 * learned
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    asked = ["plan", "--config", str(PRESET), "--gpus", "1", "--gpu-memory", "12"]
    assert verb.run(parser.parse_args(asked)) == 0
    said = capsys.readouterr().out
    assert "DiT adapter of stable_audio_open on 1 GPUs" in said
    assert "(base 2.0 GiB, other frozen 1.0 GiB, adapter 86 MiB, gradients 57 MiB" in said
    assert "fits (10.8 GiB of 12 count)" in said


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_activations_are_near_the_formulas(kind: str) -> None:
    net = dit.DiT(NET).requires_grad_(False)
    form = AdapterForm(
        kind=kind, rank=8, alpha=8.0, layers=layers.matched(net, settings.Config().targets)  # type: ignore[arg-type]
    )  # fmt: skip
    layers.put_in(net, form)
    net.checkpointing = True

    def step() -> None:
        net(*told(2)).pow(2).mean().backward()

    step()  # makes the gradients
    wanted = memory.dit_training(NET, LATENTS, True) * (2 if kind == "dora" else 1)
    assert peak(step) // 2 == pytest.approx(wanted, rel=0.25)


def test_what_is_rounded_is_what_the_plan_counts() -> None:
    from sao_model import preset
    from sao_model.model import build

    shape = preset.read("tiny")
    model = build(shape)
    learning.round_base(model)
    rounded = sum(p.numel() for p in model.dit.parameters() if p.dtype == torch.bfloat16)
    table = {"model": "tiny", "precision": "bf16", "adapter": {"kind": "lora", "base_dtype": "bf16"}}
    config = parse(train_dit.Config, table, where="test")
    counted = {"dit": sum(p.numel() for p in model.dit.parameters())}
    assert plan_adapter.fixed(config, shape, counted)["base"] == 2 * rounded
