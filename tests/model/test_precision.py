"""Under autocast some parts stay in float32: each against double precision, and what bfloat16 makes of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sao_model import adversarial, codec, discriminator, dit, losses
from sao_model.codec import Codec, Posterior
from sao_model.conditioners import seconds
from sao_model.discriminator import Discriminator
from sao_model.precision import in_float32

torch.set_num_threads(1)
RATE = 44_100
HALF = torch.bfloat16


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def snake() -> codec.Snake:
    layer = codec.Snake(4)
    nn.init.constant_(layer.alpha, 1.3)
    nn.init.constant_(layer.beta, -2.7)
    return layer


def std(encoded: Tensor) -> Tensor:
    return codec._posterior(encoded).std_BDL


def divergence(mean: Tensor, scale: Tensor) -> Tensor:
    return Posterior(mean_BDL=mean, std_BDL=scale.abs()).kl()


def turned(x: Tensor) -> Tensor:
    cosines, sines = (each.to(x.dtype) for each in dit.rotary(65, x.device))
    return dit.rotate(x, (cosines, sines)) if x.dtype != torch.float64 else turned_in_double(x)


def turned_in_double(x: Tensor) -> Tensor:
    frequency = 10_000.0 ** -(torch.arange(0, 32, 2, dtype=torch.float64) / 32)
    angle = torch.arange(65, dtype=torch.float64)[:, None] * frequency
    a, b, rest = x.split([16, 16, 32], dim=-1)
    sine, cosine = angle.sin(), angle.cos()
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine, rest], dim=-1)


class Part(NamedTuple):
    run: Callable[..., Tensor]
    given: tuple[Tensor, ...]
    from_layer: bool  # under autocast, bfloat16 comes in


PARTS: dict[str, Callable[[], Part]] = {
    "snake": lambda: Part(snake(), (normal(2, 4, 50),), True),
    "timestep features": lambda: Part(dit.TimestepFeatures(16), (torch.linspace(0, 1, 9),), False),
    "seconds": lambda: Part(
        seconds.build(seconds.Config(width=8))._features, (torch.arange(0, 600, 47.3),), False
    ),
    "rotary positions": lambda: Part(turned, (normal(1, 2, 65, 64),), False),
    "softplus of the posterior": lambda: Part(std, (normal(2, 8, 50),), True),
    "divergence": lambda: Part(divergence, (normal(2, 4, 50), normal(2, 4, 50, seed=1)), True),
    "spectrogram": lambda: Part(
        discriminator.spectrogram, (normal(2, 2, 512), torch.hann_window(128)), False
    ),
}


def apart(ours: Tensor, exact: Tensor) -> float:
    return float((ours.double() - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("name", PARTS)
def test_under_autocast_a_part_is_as_exact_as_without(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        run, given, from_layer = PARTS[name]()
    given = tuple(each.to(HALF) for each in given) if from_layer else given
    module = run if isinstance(run, nn.Module) else getattr(run, "__self__", nn.Identity())
    with torch.no_grad():
        with torch.autocast("cpu", HALF):
            ours = run(*given)
        plain = run(*(each.float() for each in given))
        module.double()
        exact = run(*(each.double() for each in given))
        module.to(HALF)
        rounded = run(*(each.to(HALF).to(torch.float32 if name == "spectrogram" else HALF) for each in given))
    assert ours.dtype == torch.float32
    assert torch.equal(ours, plain)
    assert apart(ours, exact) < 1e-5
    assert apart(rounded, exact) > 1e-4


def test_queries_keep_their_precision_but_turn_in_float32() -> None:
    x = normal(1, 2, 65, 64).to(HALF)
    with torch.autocast("cpu", HALF):
        rotation = dit.rotary(65, x.device)
        ours = dit.rotate(x, rotation)
    assert {each.dtype for each in rotation} == {torch.float32}
    assert torch.equal(ours, dit.rotate(x.float(), rotation).to(HALF))


@pytest.mark.parametrize("kind", [torch.float32, HALF])
def test_distances_of_spectra_are_those_without_autocast(kind: torch.dtype) -> None:
    """Its filter is a convolution, which autocast would run in bfloat16."""
    loss = losses.StftLoss(losses.Config(fft_sizes=(256, 64)), RATE)
    x, y = (0.2 * normal(2, 2, 2048, seed=seed).to(kind) for seed in (0, 1))
    exact = float(loss(y.float(), x.float()))
    with torch.autocast("cpu", HALF):
        for ours in (loss(y, x), loss(output_BCT=y, original_BCT=x)):
            assert float(ours) == exact
        rounded = float(losses.StftLoss.forward.__wrapped__(loss, y, x))
        samples = float(losses.time_loss(y, x))
    assert abs(rounded - exact) > 1e-4 * exact
    assert samples == pytest.approx(float((y.double() - x.double()).abs().mean()), rel=1e-6)
    assert float(losses.time_loss(y, x)) == samples  # where no autocast is on, but a model's output is half


@pytest.mark.parametrize("part", ["loss", "discriminators"])
def test_spectra_are_taken_with_autocast_off(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU PyTorch would raise them to float32 itself; on a GPU it would not."""
    seen, stft = set(), torch.stft

    def watched(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen.add((x.dtype, torch.is_autocast_enabled("cpu")))
        return stft(x, *args, **kwargs)

    monkeypatch.setattr(torch, "stft", watched)
    x = normal(1, 2, 256).to(HALF)
    with torch.autocast("cpu", HALF):
        if part == "loss":
            losses.StftLoss(losses.Config(fft_sizes=(64,)), RATE)(x, x)
        else:
            Discriminator(discriminator.Config(filters=2, fft_sizes=(64,)))(x)
    assert seen == {(torch.float32, False)}


def test_inside_a_codec_and_discriminators_too() -> None:
    """What the training loop sees: a posterior in float32; and layers that autocast does reach."""
    config = codec.Config(width=8, multiples=(1, 2), strides=(4, 8), latent_dim=4)
    vae, judges = Codec(config), Discriminator(discriminator.Config(filters=4, fft_sizes=(64,)))
    seen: set[torch.dtype] = set()
    for module in vae.modules():
        if isinstance(module, codec.Snake):
            module.register_forward_hook(lambda module, args, out: seen.add(out.dtype))
    with torch.autocast("cpu", HALF):
        y, posterior = vae(normal(1, 2, 8 * config.hop), torch.Generator().manual_seed(0))
        (verdict,) = judges(y)
    assert seen == {torch.float32}
    assert posterior.mean_BDL.dtype == posterior.std_BDL.dtype == posterior.kl().dtype == torch.float32
    assert y.dtype == verdict.logits.dtype == verdict.features[0].dtype == HALF
    (posterior.kl() + adversarial.adversarial_loss([verdict])).backward()
    for parameter in vae.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all()


def test_inside_a_dit_too() -> None:
    config = dit.Config(latent_dim=4, width=128, num_layers=1, num_heads=2, cross_dim=64, global_dim=128)
    net, seen = dit.DiT(config), []
    net.features.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    net.blocks[0].register_forward_hook(lambda module, args, out: seen.append(args[0].dtype))
    with torch.no_grad(), torch.autocast("cpu", HALF):
        v = net(normal(2, 4, 9), torch.tensor([0.2, 0.8]), normal(2, 5, 64), normal(2, 128))
    assert seen == [torch.float32, HALF]  # the second one only to see that autocast was on
    assert v.dtype == torch.float32


def test_without_autocast_nothing_is_cast() -> None:
    """Also on devices that have no autocast."""
    same = in_float32(lambda x: x)
    for x in (normal(2).to(HALF), normal(2).double(), torch.empty(2, device="meta", dtype=HALF)):
        assert same(x) is x
    with torch.autocast("cpu", HALF):
        assert same(normal(2).double()).dtype == torch.float64
        assert same(normal(2).to(HALF)).dtype == torch.float32
        assert torch.is_autocast_enabled("cpu")
        assert not in_float32(lambda x: torch.is_autocast_enabled("cpu"))(normal(2))
