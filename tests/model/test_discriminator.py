"""The discriminators against EnCodec's description, written out once more; their losses by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sao_model import adversarial
from sao_model.discriminator import Config, Discriminator, Verdict

SMALL = Config(filters=4, fft_sizes=(64, 32))
torch.set_num_threads(1)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(config: Config = SMALL, seed: int = 0) -> Discriminator:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Discriminator(config)


@pytest.fixture(scope="module")
def small() -> Discriminator:
    """With norms that are not those of the weights: a forgotten norm would show."""
    model = made()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter *= 1.3 if name.endswith("original0") else 1
    return model


def relative(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


Pair = tuple[int, int]

# What EnCodec's discriminator does, in double precision, from its paper and the sizes of its public code.


def dft(x_BCT: Tensor, size: int, *, hop: int, energy: bool, padded: bool, symmetric: bool) -> Tensor:
    """Spectra (B, C, S, F) by the sum that defines them."""
    n = torch.arange(size, dtype=torch.float64)
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi * n / (size - 1 if symmetric else size))
    hann = hann / hann.square().sum().sqrt() if energy else hann
    x_BCT = torch.nn.functional.pad(x_BCT, (size // 2, size // 2), mode="reflect") if padded else x_BCT
    turns = torch.exp(-2j * math.pi * torch.outer(n, n[: size // 2 + 1]) / size)
    return (x_BCT.unfold(-1, size, hop) * hann).to(torch.complex128) @ turns


def convolved(x: Tensor, layer: Any, *, stride: Pair, dilation: Pair) -> Tensor:
    weight = layer.parametrizations.weight
    g, v = weight.original0.double(), weight.original1.double()
    w = g * v / v.square().sum((1, 2, 3), keepdim=True).sqrt()
    padding = tuple((k - 1) * d // 2 for k, d in zip(w.shape[2:], dilation, strict=True))
    return conv2d(x, w, layer.bias.double(), stride, padding, dilation)


def described(
    scale: Any,
    x_BCT: Tensor,
    *,
    hop: int = 4,
    energy: bool = True,
    padded: bool = False,
    symmetric: bool = False,
    interleaved: bool = False,
    dilations: tuple[int, ...] = (1, 2, 4),
    along_time: bool = True,
    slope: float = 0.2,
) -> list[Tensor]:
    """Every feature map, and last the logits."""
    size = len(scale.window)
    z = dft(x_BCT.double(), size, hop=size // hop, energy=energy, padded=padded, symmetric=symmetric)
    parts = [z.real, z.imag]
    maps, x = [], torch.stack(parts, dim=2).flatten(1, 2) if interleaved else torch.cat(parts, dim=1)
    strides = [(1, 1)] + 3 * [(1, 2) if along_time else (2, 1)] + [(1, 1)]
    reach = [(1, 1), *((d, 1) if along_time else (1, d) for d in dilations), (1, 1)]
    for layer, stride, dilation in zip(scale.layers, strides, reach, strict=True):
        x = convolved(x, layer, stride=stride, dilation=dilation)
        x = torch.where(x > 0, x, slope * x)
        maps.append(x)
    return [*maps, convolved(x, scale.last, stride=(1, 1), dilation=(1, 1))]


def test_each_is_what_encodec_describes(small: Discriminator) -> None:
    x = normal(2, 2, 300)
    with torch.no_grad():
        for verdict, scale in zip(small(x), small.scales, strict=True):
            ours = [*verdict.features, verdict.logits]
            for mine, theirs in zip(ours, described(scale, x), strict=True):
                assert relative(mine.double(), theirs) < 1e-5


@pytest.mark.parametrize(
    "mistake",
    [
        {"hop": 2},
        {"energy": False},
        {"padded": True},
        {"symmetric": True},
        {"interleaved": True},
        {"dilations": (1, 3, 9)},
        {"dilations": (1, 1, 1)},
        {"along_time": False},
        {"slope": 0.1},
    ],
    ids=str,
)
def test_another_reading_would_show(small: Discriminator, mistake: dict[str, Any]) -> None:
    x = normal(2, 2, 300)
    with torch.no_grad():
        ours, theirs = small(x)[0].logits, described(small.scales[0], x, **mistake)[-1]
    assert ours.shape != theirs.shape or relative(ours.double(), theirs) > 1e-3


def test_at_the_published_sizes() -> None:
    """Parameters by hand, with a norm and a bias for every filter; and the maps of 2048 samples."""
    model = made(Config())
    first, dilated, fifth, last = 4 * 27 * 64 + 128, 64 * 27 * 64 + 128, 64 * 9 * 64 + 128, 64 * 9 + 2
    assert sum(p.numel() for p in model.parameters()) == 5 * (first + 3 * dilated + fifth + last) == 1_883_850
    with torch.no_grad():
        verdicts = model(normal(1, 2, 2048))
    for verdict, size in zip(verdicts, (2048, 1024, 512, 256, 128), strict=True):
        spectra = (2048 - size) // (size // 4) + 1
        widths = [size // 2 + 1, size // 4 + 1, size // 8 + 1, size // 16 + 1, size // 16 + 1]
        assert [tuple(f.shape) for f in verdict.features] == [(1, 64, spectra, width) for width in widths]
        assert verdict.logits.shape == (1, 1, spectra, size // 16 + 1)
    assert model.state_dict().keys() == dict(model.named_parameters()).keys()  # windows are not stored


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (made(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_audio_shorter_than_a_spectrum_is_refused(small: Discriminator) -> None:
    with pytest.raises(AssertionError, match="63"):
        small(normal(1, 2, 63))


def verdict(logits: list[float], *features: list[float]) -> Verdict:
    maps = tuple(torch.tensor(each)[None, None, None] for each in (logits, *features))
    return Verdict(logits=maps[0], features=maps[1:])


def test_losses_by_hand() -> None:
    """Maps of different sizes: every scale, and every layer of one, counts alike."""
    real = [verdict([2.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0]), verdict([1.0], [4.0], [0.0, 0.0])]
    fake = [verdict([-2.0, 0.0], [0.0, 2.0, 0.0, 2.0], [3.0]), verdict([3.0], [-1.0], [5.0, -5.0])]
    assert adversarial.discriminator_loss(real, fake) == pytest.approx((0.5 + 0.5 + 0 + 4) / 2)
    assert adversarial.adversarial_loss(fake) == pytest.approx((1 - 3) / 2)
    assert adversarial.feature_matching_loss(real, fake) == pytest.approx(((1 + 3) / 2 + (5 + 5) / 2) / 2)


LOSSES: dict[str, Callable[[tuple[Verdict, ...], tuple[Verdict, ...]], Tensor]] = {
    "discriminator": adversarial.discriminator_loss,
    "adversarial": lambda real, fake: adversarial.adversarial_loss(fake),
    "feature_matching": adversarial.feature_matching_loss,
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_is_the_mean_of_its_halves(small: Discriminator, name: str) -> None:
    x, y = normal(4, 2, 300), 2 * normal(4, 2, 300, seed=1)
    x[:2] *= 30  # halves that differ
    with torch.no_grad():
        whole, first, second = (
            float(LOSSES[name](small(x[part]), small(y[part]))) for part in (slice(4), slice(2), slice(2, 4))
        )
    assert abs(first - second) > 1e-2 * abs(whole)
    assert whole == pytest.approx((first + second) / 2, rel=1e-5)


def test_real_audio_gets_no_gradient_from_the_features(small: Discriminator) -> None:
    x, y = normal(1, 2, 300).requires_grad_(), normal(1, 2, 300, seed=1).requires_grad_()
    adversarial.feature_matching_loss(small(x), small(y)).backward()
    assert x.grad is None
    assert y.grad is not None
    assert float(y.grad.abs().max()) > 0


def test_losses_are_taken_in_float32() -> None:
    """The mean of 65,536 bfloat16 values of 1 and one of 0 is lost in bfloat16."""
    logits = torch.ones(1, 1, 1, 65_537, dtype=torch.bfloat16)
    logits[..., 0] = 0
    one = [Verdict(logits=-logits, features=(logits,))]
    zero = [Verdict(logits=0 * logits, features=(0 * logits,))]
    mean = 65_536 / 65_537
    assert float(adversarial.adversarial_loss(one)) == pytest.approx(mean, rel=1e-6)
    assert float(adversarial.feature_matching_loss(zero, one)) == pytest.approx(mean, rel=1e-6)
    assert float(adversarial.discriminator_loss(zero, one)) == pytest.approx(1 + 1 / 65_537, rel=1e-6)


def test_it_learns_to_tell_noise_from_tones() -> None:
    model, turns, losses = made(), 2 * math.pi * torch.arange(128) / 20, []
    real, parameters = turns.sin().expand(2, 2, -1), list(model.parameters())
    for step in range(20):
        loss = adversarial.discriminator_loss(model(real), model(normal(2, 2, 128, seed=step)))
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter -= 0.01 * gradient.sign()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(2, abs=0.3)  # undecided: 1 for each side of the hinge
    assert losses[-1] < 0.5
