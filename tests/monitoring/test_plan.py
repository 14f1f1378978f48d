"""What a plan says of a training, against sums by hand, PyTorch's own counts and a real checkpoint."""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sao_data.config import parse, read_toml
from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_model import adversarial, codec, discriminator, dit, memory, preset, run, train_dit, train_vae
from sao_model.conditioners import t5
from sao_model.monitoring import flops, plan
from sao_model.training import adversary
from sao_model.verbs import train as verb
from tests.model.test_memory import peak
from tests.paths import ROOT
from tests.training.test_training import dit_config, vae_config

TRAINING = ROOT / "manifests" / "training"
TINY = preset.read("tiny")


def counted(work: Callable[[], object]) -> int:
    """Operations by PyTorch's own counter; attention as the products of matrices that it is."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()


def vae(**changes: object) -> train_vae.Config:
    return parse(train_vae.Config, read_toml(TRAINING / "vae.toml") | changes, where="test")


def dit_of_paper(**changes: object) -> train_dit.Config:
    return parse(train_dit.Config, read_toml(TRAINING / "dit.toml") | changes, where="test")


def reconstruct(net: codec.Codec, frames: int) -> None:
    y_BCT, posterior = net(torch.rand(1, 2, frames), None)
    (y_BCT.pow(2).mean() + posterior.kl()).backward()


def test_operations_are_those_that_pytorch_counts() -> None:
    net, frames = codec.Codec(TINY.codec), 16 * TINY.codec.hop
    found = flops.of_codec(TINY.codec, frames)
    assert found.encode == counted(lambda: net.encode(torch.rand(1, 2, frames)))
    assert found.decode == counted(lambda: net.decode(torch.rand(1, TINY.codec.latent_dim, 16)))
    both = counted(lambda: reconstruct(net, frames))
    net.checkpointing = True
    assert counted(lambda: reconstruct(net, frames)) - both == 2 * found.again
    shape, told = TINY.dit, 34
    model = dit.DiT(shape)
    given = torch.rand(1, 8, 64), torch.rand(1), torch.rand(1, told, 128), torch.rand(1, 256)
    forward = counted(lambda: model(*given))
    assert flops.of_dit(shape, 64, told) == forward
    both = counted(lambda: model(*given).mean().backward())
    assert both == pytest.approx(3 * forward, rel=0.01)  # the input itself needs no gradient
    model.checkpointing = True
    again = counted(lambda: model(*given).mean().backward()) - both
    assert again == flops.of_dit_again(shape, 64, told)
    text = t5.TextConditioner(TINY.prompt.config)
    assert flops.of_text(TINY.prompt.config) == counted(lambda: text(["rain"]))
    sizes = discriminator.Config(filters=8, fft_sizes=(512, 256))
    judges, x_BCT = discriminator.Discriminator(sizes), torch.rand(1, 2, 4096)
    assert flops.of_judges(sizes, 2, 4096) == counted(lambda: judges(x_BCT))
    maps = [feature.numel() for verdict in judges(x_BCT) for feature in verdict.features]
    assert flops.judges_numbers(sizes, 4096) == sum(maps)


def test_a_step_of_the_vae_takes_what_the_plan_says() -> None:
    """The codec's turn: its own passes, real audio judged once, made audio judged and asked for gradients."""
    sizes, frames = discriminator.Config(filters=8, fft_sizes=(512, 256)), 16 * TINY.codec.hop
    net, judges = codec.Codec(TINY.codec), discriminator.Discriminator(sizes)
    x_BCT, once = torch.rand(1, 2, frames), flops.of_codec(TINY.codec, frames)
    judge = flops.of_judges(sizes, 2, frames)

    def of_codec() -> None:
        y_BCT, posterior = net(x_BCT, None)
        with adversary.frozen(judges):
            with torch.no_grad():
                real = judges(x_BCT)
            fake = judges(y_BCT)
        terms = adversarial.adversarial_loss(fake) + adversarial.feature_matching_loss(real, fake)
        (terms + posterior.kl()).backward()

    def of_judges() -> None:
        with torch.no_grad():
            y_BCT, _ = net(x_BCT, None)
        adversary.Judgement(judges)(x_BCT, y_BCT).backward()

    both = counted(of_codec), counted(of_judges)
    assert both[0] == pytest.approx(3 * (once.encode + once.decode) + 3 * judge, rel=0.02)
    # Audio needs no gradients there: a tenth less with layers as narrow as these.
    assert both[1] == pytest.approx(once.encode + once.decode + 6 * judge, rel=0.1)
    settings = {"discriminator": {"filters": 8, "fft_sizes": [512, 256]}}
    chosen = {"model": "tiny", "stream": {"window_frames": frames}, "checkpointing": False}
    made = plan.make(vae(**chosen, adversary=settings), plan.Machines(gpus=1), None)
    assert sum(made.work.flops_per_sample.values()) == pytest.approx(sum(both) / 2, rel=0.04)
    joint = plan.make(vae(**chosen, adversary=settings | {"turns": "joint"}), plan.Machines(gpus=1), None)
    assert sum(joint.work.flops_per_sample.values()) == pytest.approx(sum(both), rel=0.04)
    late = plan.make(vae(**chosen, adversary=settings | {"start": 460_000}), plan.Machines(gpus=1), None)
    alone = sum(late.work.flops_per_sample.values())
    assert alone == 3 * (once.encode + once.decode)
    frozen = plan.make(
        vae(**chosen, freeze_encoder=True, losses={"adversarial": 0.0, "feature_matching": 0.0}),
        plan.Machines(gpus=1),
        None,
    )
    assert sum(frozen.work.flops_per_sample.values()) == once.encode + 3 * once.decode


def test_the_papers_sizes_by_hand() -> None:
    """Facts: 81 GMAC each way for 65,536 samples and 0.97 TFLOP a window; 6 operations a parameter and token
    and 12 T^2 W a layer make 6.96 TFLOP for the DiT if all parameters met all tokens."""
    found = plan.make(vae(), plan.Machines(gpus=32), None)
    assert found.parameters == plan.ParameterCount(trained=156_112_514, frozen=0, judges=1_883_850)
    assert found.work.flops_per_sample["codec"] * 2 == pytest.approx(0.97e12, rel=0.01)  # every second step
    assert (found.work.paper, found.work.paper_hours) == ("VAE, stage 1", 5_856)
    assert found.data.samples == 3 * 472_618 + 3 * (13_874 + 55_314)
    assert found.batch.at_a_time == 4
    second = plan.make(vae(freeze_encoder=True, batch_size=256), plan.Machines(gpus=32), None)
    assert second.parameters.frozen == 77_989_888
    assert second.parameters.trained == 78_122_626
    assert second.work.paper_hours == 8_736
    net = plan.make(dit_of_paper(), plan.Machines(gpus=64), None)
    whole = 6 * 1_056_828_544 * 1025 + 24 * 12 * 1025**2 * 1536
    text = (24 + 1) * 2 * 768**2  # keys and values, and what comes before them: of 130 tokens, not of 1025
    once = (256 + 1536) * 1536 + 2 * 1536**2  # time and the two seconds: of one
    fewer = 6 * (text * (1025 - 130) + once * 1024) - 24 * 12 * 1025 * 130 * 1536
    assert whole == pytest.approx(6.96e12, rel=0.001)
    assert net.work.flops_per_sample["DiT"] == pytest.approx(whole - fewer, rel=0.001)
    assert net.work.paper_hours == 21_632
    assert net.work.flops_per_sample["encoding"] == pytest.approx(32 * 2 * 81e9, rel=0.01)
    assert net.work.gpu_hours * 312e12 * 0.35 * 3600 == pytest.approx(net.work.flops)
    assert net.work.days == pytest.approx(net.work.gpu_hours / 64 / 24)
    assert net.data.samples == 486_492
    assert net.data.bytes == 7_300 * 3600 * 44_100 * 4
    assert net.epochs == pytest.approx(640_000 * 256 / 486_492)
    assert net.disk.kept == 5
    assert net.disk.checkpoint == 20 * 1_057_225_088
    assert net.disk.frozen == 4 * 156_112_514  # T5 is fetched by name
    trained, other = 1_057_225_088, 156_112_514 + 109_628_544
    assert net.memory.fixed == 20 * trained + 4 * other + 4 * trained + 2 * trained  # buckets, casts
    assert net.memory.per_sample == memory.codec_one_way(codec.Config(), 1024) // 2  # more than the DiT's


def test_what_discriminators_and_checkpointing_take_is_near_the_formulas() -> None:
    sizes, frames = discriminator.Config(filters=16, fft_sizes=(1024, 256)), 8192
    judges = discriminator.Discriminator(sizes)
    x_BCT, y_BCT = torch.rand(1, 2, frames), torch.rand(1, 2, frames, requires_grad=True)
    maps = 4 * flops.judges_numbers(sizes, frames)

    def of_codec() -> None:
        with adversary.frozen(judges):
            with torch.no_grad():
                real = judges(x_BCT)
            fake = judges(y_BCT)
        (adversarial.adversarial_loss(fake) + adversarial.feature_matching_loss(real, fake)).backward()

    def of_judges() -> None:
        adversary.Judgement(judges)(x_BCT, y_BCT.detach()).backward()

    for step in (of_codec, of_judges):
        step()
        assert peak(step) == pytest.approx(4.5 * maps, rel=0.15)
    shape, latents = codec.Config(width=32), 8
    net, x_BCT = codec.Codec(shape), torch.rand(1, 2, latents * shape.hop)
    net.checkpointing = True
    for is_frozen, kept in ((False, 14), (True, 7)):
        net.encoder.requires_grad_(not is_frozen)

        def reconstruct() -> None:
            y_BCT, posterior = net(x_BCT, None)
            ((y_BCT - x_BCT).pow(2).mean() + posterior.kl()).backward()

        reconstruct()
        wanted = memory.codec_training(shape, x_BCT.shape[-1], kept=kept)
        wanted -= memory.codec_training(shape, x_BCT.shape[-1], kept=0)  # no spectra here
        assert peak(reconstruct) == pytest.approx(wanted, rel=0.5)


def test_checkpoints_are_as_large_as_planned(trained: Path, small_model: str, halves: Dataset) -> None:
    (config,) = (vae_config(small_model, pace={"steps": 6, "keep_last": 2}),)
    made = plan.make(config, plan.Machines(gpus=1), halves)
    folder = run.resolve(trained)
    tensors = [each for path in folder.glob("*.safetensors") for each in load_file(path).values()]
    counters = sum(each.nbytes for each in tensors if each.numel() == 1)  # of steps
    assert made.disk.checkpoint == sum(each.nbytes for each in tensors) - counters
    assert made.disk.total == 4 * made.disk.checkpoint  # two, the best, and the one being written
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    epoch = 2 / (lines[0]["epoch"])  # windows in it: two a step
    assert made.data.samples == pytest.approx(epoch)
    shards = [shard for shard in halves.shards() if shard.series in config.stream.series]
    assert made.data.bytes == sum(shard.num_bytes for shard in shards)
    assert made.epochs == pytest.approx(lines[-1]["epoch"])


def test_the_dits_windows_are_whole_samples(small_model: str, halves: Dataset) -> None:
    made = plan.make(dit_config(small_model), plan.Machines(gpus=1), halves)
    assert made.data.samples == sum(s.num_samples for s in halves.shards() if s.series == "train")
    assert made.disk.frozen > 0  # the random text encoder lies in the checkpoint, too


@pytest.mark.parametrize(
    ("gpu_memory", "gpus", "fitting", "said"),
    [
        (80.0, 64, 1, "fits (72.0 GiB of 80 count)"),
        (80.0, 8, 4, "DOES NOT FIT (72.0 GiB of 80 count); with --set accumulate=4, it does"),
        (24.0, 8, 0, "nor with one sample at a time"),
    ],
)
def test_what_does_not_fit_is_said_with_what_does(
    gpu_memory: float, gpus: int, fitting: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--gpus", str(gpus), "--gpu-memory", str(gpu_memory)]
    assert said in shown(capsys, "--config", str(TRAINING / "dit.toml"), *options)
    made = plan.make(dit_of_paper(), plan.Machines(gpus=gpus, gpu_memory=gpu_memory), None)
    assert made.batch.fitting_accumulate == fitting
    if fitting > 1:
        again = plan.make(
            dit_of_paper(accumulate=fitting), plan.Machines(gpus=gpus, gpu_memory=gpu_memory), None
        )
        assert again.memory.total <= again.memory.available < made.memory.total


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert verb.run(parser.parse_args(["plan", *arguments])) == 0
    return capsys.readouterr().out


def test_the_verb_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(TRAINING / "vae.toml")
    said = shown(capsys, "--config", config, "--gpus", "32")
    words = ("156,112,514 trained, 1,883,850 in the discriminators", "128 = 32 processes x accumulate 1 x 4")
    for each in (
        *words,
        "1,625,418 windows an epoch at most",
        "5,856 A100-hours",
        "3.1 GB each; 5 at a time",
    ):
        assert each in said, each
    table = json.loads(shown(capsys, "--config", config, "--gpus", "32", "--json"))
    made = plan.make(vae(), plan.Machines(gpus=32), None)
    assert table["memory"]["total"] == made.memory.total
    assert table["machines"]["gpus"] == 32
    small = shown(capsys, "--config", str(TRAINING / "dit_tiny.toml"), "--gpus", "1")
    assert small.startswith("DiT of tiny on 1 GPUs")  # by the name of the file
    assert "A100-hours" not in small


def test_what_cannot_be_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"batch_size 256 does not divide by 7 processes"):
        plan.make(dit_of_paper(), plan.Machines(gpus=7), None)
    with pytest.raises(UsageError, match=r"utilisation 1\.5: want at least one GPU"):
        plan.Machines(utilisation=1.5)
    unclear = tmp_path / "mine.toml"
    unclear.write_text('model = "tiny"\nbatch_size = 8\n')
    with pytest.raises(UsageError, match=re.escape("of train_vae or of train_dit? Say which: --kind vae")):
        shown(capsys, "--config", str(unclear))
    assert shown(capsys, "--config", str(unclear), "--kind", "dit").startswith("DiT of tiny on 8 GPUs")
    assert shown(capsys, "--config", str(unclear), "--set", "freeze_encoder=true").startswith("VAE of tiny")
