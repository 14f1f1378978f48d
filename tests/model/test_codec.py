import copy
import math

import pytest
import torch

from sao_model import chunked, codec
from sao_model.codec import Codec, Config, Posterior

SMALL = Config(width=8, multiples=(1, 2), strides=(4, 8), latent_dim=4)
DEEP = Config(width=8, multiples=(1, 2, 2, 4), strides=(2, 4, 2, 4), latent_dim=4)
torch.set_num_threads(1)


@pytest.fixture
def small() -> Codec:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Codec(SMALL)


@pytest.fixture(scope="module")
def deep() -> Codec:
    """Blocks of all kinds, with nothing left as it was initialised."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Codec(DEEP)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.05 * torch.randn(parameter.shape)
    return model


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max() / b.abs().max())


def test_length_comes_back(small: Codec) -> None:
    x = normal(2, 2, 40 * SMALL.hop)
    assert small.encode(x).mean_BDL.shape == (2, 4, 40)
    assert small(x, None)[0].shape == x.shape


@pytest.mark.parametrize("length", [1, 2, 5, 8, 31, 150])
@pytest.mark.parametrize("chunk", [1, 3, None])
def test_chunks_equal_the_whole(deep: Codec, length: int, chunk: int | None) -> None:
    z, x = normal(2, 4, length), normal(2, 2, length * DEEP.hop)
    with torch.no_grad():
        assert relative(deep.decode_in_chunks(z, chunk=chunk), deep.decode(z)) < 1e-5
        whole = deep.encode(x)
    pieces = deep.encode_in_chunks(x, chunk=chunk)
    assert relative(pieces.mean_BDL, whole.mean_BDL) < 1e-5
    assert relative(pieces.std_BDL, whole.std_BDL) < 1e-5


def test_stretches_equal_the_whole(deep: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the innermost block is cut."""
    monkeypatch.setattr(codec, "STRETCH", 20)
    monkeypatch.setattr(codec, "MIDDLE", 7)
    z, x = normal(1, 4, 45), normal(1, 2, 45 * DEEP.hop)
    with torch.no_grad():
        assert relative(deep.decode_in_chunks(z, chunk=3), deep.decode(z)) < 1e-5
        assert relative(deep.encode_in_chunks(x, chunk=3).mean_BDL, deep.encode(x).mean_BDL) < 1e-5


@pytest.mark.parametrize("latents", [0.01, 1, 7.3, 29.99, 40])
def test_the_beginning_alone_equals_that_of_the_whole_and_costs_less(deep: Codec, latents: float) -> None:
    z, num_frames = normal(1, 4, 40), max(1, round(latents * DEEP.hop))
    parts: list[int] = []
    with torch.no_grad():
        whole = deep.decode(z)
    part = deep.decode_in_chunks(z, num_frames, chunk=3, progress=lambda _, total: parts.append(total))
    assert part.shape[-1] == num_frames
    assert relative(part, whole[..., :num_frames]) < 1e-5
    assert parts[-1] <= 2 + math.ceil(latents / 3)


def test_no_click_at_the_seams(deep: Codec) -> None:
    z = normal(1, 4, 64)
    with torch.no_grad():
        error_T = (deep.decode_in_chunks(z, chunk=8) - deep.decode(z)).abs().amax((0, 1))
    seam_T = torch.arange(64 * DEEP.hop) % (8 * DEEP.hop)
    near_T = (seam_T < 4) | (seam_T >= 8 * DEEP.hop - 4)
    assert float(error_T[near_T].max()) <= 2 * float(error_T[~near_T].max())


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_what_is_needed_is_what_the_whole_depends_on(deep: Codec, part: str) -> None:
    """Gradients reach all rows that are counted and none beside them: one less would show."""
    layers = [layer for module in getattr(deep, part) for layer in codec._layers(module)]
    width, length = (4, 60) if part == "decoder" else (2, 60 * DEEP.hop)
    rows = 60 * DEEP.hop if part == "decoder" else 60
    x = normal(1, width, length).requires_grad_()
    out = getattr(deep, part)(x)
    for wanted in (chunked.Span(0, 1), chunked.Span(rows // 2, rows // 2 + 3), chunked.Span(rows - 1, rows)):
        (gradient,) = torch.autograd.grad(out[..., slice(*wanted)].sum(), x, retain_graph=True)
        reached = gradient[0].abs().sum(0).nonzero()
        needed = chunked.demands(layers, wanted, length)[0]
        assert (int(reached.min()), int(reached.max()) + 1) == needed


def test_a_piece_that_sees_too_little_differs(deep: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros in place of the outermost row on either side."""
    z, padded = normal(1, 4, 40), chunked._padded

    def blind(x_TC: torch.Tensor, have: chunked.Span, needed: chunked.Span) -> torch.Tensor:
        y_TC = padded(x_TC, have, needed).clone()
        if needed.end - needed.start > 54:  # what a dilation of 9 sees
            y_TC[0] = y_TC[-1] = 0
        return y_TC

    with torch.no_grad():
        whole = deep.decode(z)
        monkeypatch.setattr(chunked, "_padded", blind)
        assert relative(deep.decode_in_chunks(z, chunk=8), whole) > 1e-5


def test_chunks_keep_the_precision_of_the_weights(deep: Codec) -> None:
    """Also where someone else's loop casts: the whole would be cast, pieces would not fit together."""
    z = normal(1, 4, 20)
    with torch.autocast("cpu", torch.bfloat16):
        cast = deep.decode_in_chunks(z)
    assert torch.equal(cast, deep.decode_in_chunks(z))
    half = copy.deepcopy(deep).bfloat16()
    pieces = half.decode_in_chunks(z.bfloat16())
    assert pieces.dtype == torch.bfloat16
    assert float((pieces.float() - cast).square().mean().sqrt() / cast.square().mean().sqrt()) < 2e-2


def test_chunks_are_counted(deep: Codec) -> None:
    seen: list[tuple[int, int]] = []
    deep.decode_in_chunks(normal(2, 4, 20), chunk=8, progress=lambda *step: seen.append(step))
    assert seen == [(n + 1, 10) for n in range(10)]  # per row: inner, middle, three outer ones
    seen.clear()
    deep.encode_in_chunks(normal(1, 2, 20 * DEEP.hop), chunk=8, progress=lambda *step: seen.append(step))
    assert seen == [(n + 1, 5) for n in range(5)]


def test_divergence_is_zero_from_a_standard_normal_and_summed_over_channels() -> None:
    zero, one = torch.zeros(2, 4, 3), torch.ones(2, 4, 3)
    assert Posterior(mean_BDL=zero, std_BDL=one).kl() == 0
    assert Posterior(mean_BDL=one, std_BDL=one).kl() == pytest.approx(4)  # 1 per channel, no half
    expected = 4 * (math.e**2 - 2 - 1)
    assert float(Posterior(mean_BDL=zero, std_BDL=math.e * one).kl()) == pytest.approx(expected, rel=1e-6)


def test_divergence_is_twice_that_of_normal_distributions() -> None:
    """Against PyTorch's: the published code leaves out the one half."""
    mean, std = normal(2, 4, 30), normal(2, 4, 30, seed=1).exp()
    given, standard = (
        torch.distributions.Normal(mean.double(), std.double()),
        torch.distributions.Normal(0, 1),
    )
    expected = 2 * torch.distributions.kl_divergence(given, standard).sum(1).mean()
    posterior = Posterior(mean_BDL=mean, std_BDL=std)
    assert float(posterior.kl()) == pytest.approx(float(expected), rel=1e-6)
    halves = [Posterior(mean_BDL=mean[[n]], std_BDL=std[[n]]).kl() for n in (0, 1)]
    assert float(posterior.kl()) == pytest.approx(float(sum(halves) / 2), rel=1e-6)


def test_samples_come_from_the_generator() -> None:
    posterior = Posterior(mean_BDL=torch.zeros(1, 2, 5000), std_BDL=torch.full((1, 2, 5000), 3.0))
    first, again, other = (posterior.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.std()) == pytest.approx(3.0, rel=0.05)


def test_snake_at_scale_zero_is_x_plus_sine_squared() -> None:
    x = normal(1, 3, 50)
    torch.testing.assert_close(codec.Snake(3)(x), x + torch.sin(x) ** 2)


@pytest.mark.parametrize("autocast", [False, True])
def test_recomputing_activations_changes_no_gradient(small: Codec, autocast: bool) -> None:
    """Nor the reconstruction, whose noise is drawn from a generator once."""
    x, runs, calls = normal(1, 2, 8 * SMALL.hop), [], []
    unit = small.decoder[1].units[0]
    unit.conv1.register_forward_hook(lambda *_: calls.append(1))
    for on in (False, True):
        small.checkpointing = on
        assert small.checkpointing is on
        assert {each.checkpointing for each in small.modules() if isinstance(each, codec.ResidualUnit)} == {
            on
        }
        small.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y, posterior = small(x, torch.Generator().manual_seed(5))
            loss = (y.float() - x).square().mean() + posterior.kl()
        loss.backward()
        runs.append([y.detach(), *(p.grad for p in small.parameters())])
    assert len(calls) == 1 + 2  # the second time also in the backward pass
    for kept, recomputed in zip(*runs, strict=True):
        assert kept is not None
        assert recomputed is not None
        assert torch.equal(kept, recomputed)
        assert float(kept.abs().max()) > 0


def test_a_length_between_two_hops_is_refused(small: Codec) -> None:
    for encode in (small.encode, small.encode_in_chunks):
        with pytest.raises(AssertionError, match="257"):
            encode(normal(1, 2, 8 * SMALL.hop + 1))
