"""Every convention of the reference implementations has a test that fails when it is broken.

One table: a quantity (quantities.py), and the mistakes that must move it beyond the tolerance that the
faithful run meets, at least twice as far.
"""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize, scaled_dot_product_attention, silu, softplus

from sao_model import codec, dit, guidance, released, samplers, train_dit
from sao_model.model import StableAudioModel
from tests.parity import mistakes as m
from tests.parity import sampler_mistakes as s
from tests.parity.quantities import QUANTITIES
from tests.parity.recording import PARITY, needs_recordings

pytestmark = needs_recordings
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def faithful() -> StableAudioModel:
    return released.load(PARITY / "sat")


@pytest.fixture
def model(faithful: StableAudioModel) -> StableAudioModel:
    """One that may be spoiled."""
    return copy.deepcopy(faithful)


@pytest.fixture(scope="module")
def before(faithful: StableAudioModel) -> Callable[[str], float]:
    """Distances of the faithful model, each measured once, before anything is spoiled."""
    with torch.no_grad():
        return {quantity: measure(faithful) for quantity, (measure, _) in QUANTITIES.items()}.__getitem__


LEAVE = dit.DiT.leave


def normalised(x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, x.shape[-1:])


def sdpa(**how: float) -> m.Mistake:
    return m.attention(lambda q, k, v: scaled_dot_product_attention(q, k, v, **how))


def unit(x: Tensor) -> Tensor:
    return 8**0.5 * normalize(x, dim=-1)


def text_only(inner: nn.Module, cross: Tensor) -> Tensor:
    return torch.cat([inner(cross[:, :-2]), cross[:, -2:]], dim=1)


def only_text_left_out(self: dit.DiT, cross: Tensor, everywhere: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([0 * cross[:, :-2], cross[:, -2:]], dim=1), everywhere


NO_BIAS = (
    "project_in", "project_out", "pre_conv", "post_conv", "self_attn.qkv", "self_attn.out", "cross_attn.q",
    "cross_attn.kv", "cross_attn.out", "embed_global.0", "embed_global.2", "embed_cross.0", "embed_cross.2",
    "norm1", "norm2", "norm3",
)  # fmt: skip

MISTAKES: dict[str, dict[str, m.Mistake]] = {
    "encoded": {
        "dilations 1, 2, 4": m.on(m.dilations),
        "residual units in reverse order": m.on(m.reverse_units),
        "encoder: snake before the residual units": m.instead(
            codec.EncoderBlock, "forward", lambda b, x: b.conv(b.units(b.snake(x)))
        ),
        "residual unit without its input": m.instead(
            codec.ResidualUnit, "_forward", lambda u, x: u.conv2(u.snake2(u.conv1(u.snake1(x))))
        ),
        "residual unit: snakes behind the convolutions": m.instead(
            codec.ResidualUnit, "_forward", lambda u, x: x + u.snake2(u.conv2(u.snake1(u.conv1(x))))
        ),
        "standard deviation from a log variance": m.posterior(lambda scale: (scale / 2).exp()),
        "standard deviation without 1e-4": m.posterior(softplus),
        "mean behind the scale": m.posterior(m.std, mean_last=True),
        "sample by the variance": m.instead(
            codec.Posterior, "sample", lambda p, _: p.mean_BDL + p.std_BDL**2 * codec.noise_like(p, None)
        ),
        "divergence with one half": m.kl(lambda kl: 0.5 * kl.sum(1).mean()),
        "divergence as a mean over channels": m.kl(lambda kl: kl.mean()),
        "divergence as a sum over time": m.kl(lambda kl: kl.sum((1, 2)).mean()),
    },
    "decoded": {
        "dilations 1, 2, 4": m.on(m.dilations),
        "residual units in reverse order": m.on(m.reverse_units),
        "decoder: no snake before the transposed convolution": m.instead(
            codec.DecoderBlock, "forward", lambda b, x: b.units(b.conv(x))
        ),
        "snake in linear scale": m.snake(lambda b: 1 / (b + 1e-9), log_scale=False),
        "snake with alpha and beta swapped": m.snake(lambda b: 1 / (b + 1e-9), swapped=True),
        "weight norm of transposed convolutions per output channel": m.on(m.norm_per_output_channel),
        "tanh": m.wrapped("codec.decoder", lambda inner, z: inner(z).tanh()),
        "clamped": m.wrapped("codec.decoder", lambda inner, z: inner(z).clamp(-1, 1)),
        "bias of the last convolution": m.wrapped("codec.decoder", lambda inner, z: inner(z) + 1e-3),
    },
    "snake": {
        "no 1e-9": m.snake(lambda b: 1 / b),
        "1e-8": m.snake(lambda b: 1 / (b + 1e-8)),
    },
    "seconds": {
        "not clamped": m.number(clamped=False),
        "divided by 300": m.number(most=300),
        "cosines first": m.number(cosine_first=True),
        "no 2 pi": m.number(turn=1),
        "SiLU behind the layer": m.wrapped("linear", lambda inner, x: silu(inner(x))),
        "one embedder for start and total": m.on(
            lambda model: model.conditioners.update({"seconds_total": model.conditioners["seconds_start"]})
        ),
    },
    "tokens": {
        "cut without the end token": m.cut(keep_end=False),
        "an empty prompt has no token": m.on(m.without_end_token),
    },
    "text": {
        "padded to the longest only": m.cut(keep_end=True),
        "padding not zeroed": m.text(zeroed=False),
        "encoder without the mask": m.text(asked=False),
        "an empty prompt has no token": m.on(m.without_end_token),
        "encoder in float16": m.on(lambda model: model.text.encoder.half()),
    },
    "told": {
        "total before start among the tokens": m.condition("pts", "st"),
        "seconds before the text": m.condition("stp", "st"),
        "total before start in the global part": m.condition("pst", "ts"),
    },
    "told_against": {
        "a negative prompt without seconds": m.instead(
            StableAudioModel, "told", lambda model, each, _: model.condition([each[0].prompt], [0.0], [0.0])
        ),
    },
    "velocity": {
        "timestep: sines first": m.features(sine_first=True),
        "timestep times 1000": m.features(2000 * math.pi),
        "timestep without 2 pi": m.features(1.0),
        "timestep not added": m.wrapped("embed_time", lambda inner, x: 0 * inner(x)),
        "global part not embedded by both layers": m.wrapped("embed_global", lambda inner, x: inner[0](x)),
        "global part: total first": m.wrapped("embed_global", lambda inner, x: inner(x.roll(128, dims=-1))),
        "no global part": m.wrapped("embed_global", lambda inner, x: 0 * inner(x)),
        "token of timing behind the latents": m.prefix_behind,
        "last token dropped instead of the first": m.instead(
            dit.DiT, "leave", lambda d, x: LEAVE(d, x.roll(1, dims=1))
        ),
        "no residual around the first convolution": m.wrapped("pre_conv", lambda inner, x: inner(x) - x),
        "no residual around the last convolution": m.wrapped("post_conv", lambda inner, x: inner(x) - x),
        "no first convolution": m.wrapped("pre_conv", lambda inner, x: 0 * x),
        "no last convolution": m.wrapped("post_conv", lambda inner, x: 0 * x),
        "norm before the output": m.wrapped("project_out", lambda inner, x: inner(normalised(x))),
        **{f"bias of {name}": m.biased(name) for name in NO_BIAS},
        "cross-attention before self-attention": m.block("csf"),
        "feed-forward before cross-attention": m.block("sfc"),
        "norm behind each part": m.block("scf", norm_after=True),
        "epsilon 1e-6 of the norms": m.on(m.epsilon_of_norms),
        "attention not scaled": sdpa(scale=1.0),
        "attention scaled by the width": sdpa(scale=256**-0.5),
        "queries and keys normalised": m.attention(
            lambda q, k, v: scaled_dot_product_attention(unit(q), unit(k), v)
        ),
        "key and value heads tiled": m.cross_attention(tiled=True),
        "padding masked": m.cross_attention(masked=True),
        "cross-attention with rotary positions": m.cross_attention(rotated=True),
        "only the text embedded": m.wrapped("embed_cross", text_only),
        "tokens not embedded": m.wrapped("embed_cross", lambda _, x: x),
        "rotary: all 64 channels": m.instead(dit, "NUM_ROTARY", 64),
        "rotary: 16 channels": m.instead(dit, "NUM_ROTARY", 16),
        "rotary: base 20,000": m.instead(dit, "ROTARY_BASE", 20_000),
        "rotary: interleaved": m.instead(dit, "rotate", m.interleaved),
        "rotary: the other way": m.instead(dit, "rotate", lambda x, r: m.ROTATE(x, (r[0], -r[1]))),
        "rotary: none": m.instead(dit, "rotate", lambda x, _: x),
        "rotary: the first latent at 0 too": m.positions(lambda n: (n - 1).clamp(min=0)),
        "rotary: angles in bfloat16": m.positions(lambda n: n, torch.bfloat16),
        "gate and value swapped": m.feed_forward(lambda value, gate: silu(value) * gate),
        "gate by GELU": m.feed_forward(lambda value, gate: value * gelu(gate)),
        "no biases in the feed-forward layer": m.on(
            lambda model: [block.ff.proj.bias.data.zero_() for block in model.dit.blocks]
        ),
    },
    "fresh": {
        f"{name} not at zero": m.not_at_zero(name)
        for name in (
            "pre_conv.weight", "post_conv.weight", "self_attn.out.weight", "cross_attn.out.weight",
            "ff.out.weight", "ff.out.bias",
        )
    },
    "turned": {"rotary in the precision of its input": m.instead(dit, "rotate", m.half_precision)},
    "guided": {
        '"nothing" keeps the seconds': m.nothing(only_text_left_out),
        '"nothing" without the global part': m.nothing(lambda _, cross, glob: (0 * cross, 0 * glob)),
        '"nothing" is an empty prompt': m.nothing(lambda _, cross, glob: (cross[[1, 1]], glob)),
        "v + s (v - v0)": m.instead(
            guidance, "combination", lambda scale, _: lambda v, v0, *__: v + scale * (v - v0)
        ),
        "v and v0 swapped": m.instead(
            guidance, "combination", lambda scale, _: lambda v, v0, *__: v + scale * (v0 - v)
        ),
        "rescaled": m.instead(
            guidance, "combination",
            lambda scale, _: guidance.rescaled(lambda v, v0, *__: v0 + scale * (v - v0), 0.7),
        ),
    },
    "guided_against": {
        "the global part of the negative": m.instead(dit.DiT, "told", m.global_of_the_negative)
    },
    "dropout": {
        "text only": m.dropped("text"), "the global part too": m.dropped("global"),
        "token by token": m.dropped("tokens"), "the whole batch at once": m.dropped("batch"),
    },
    "relations": {
        "alpha and sigma swapped": s.angle(lambda t: ((t * math.pi / 2).sin(), (t * math.pi / 2).cos())),
        "alpha and sigma of a linear path": s.angle(lambda t: (1 - t, t)),
        "half the angle": s.angle(lambda t: ((t * math.pi / 4).cos(), (t * math.pi / 4).sin())),
        "v with the other sign": s.relation("v_target", lambda x0, noise, a, b: b * x0 - a * noise),
        "v of a linear path": s.relation("v_target", lambda x0, noise, a, b: noise - x0),
        "x0 from the noise": s.relation("to_denoised", lambda v, x, a, b: (x - b * v) / a),
        "noise with the other sign": s.relation("to_noise", lambda v, x, a, b: b * x - a * v),
        "noise added whole": s.relation("noised", lambda x0, noise, a, b: x0 + b * noise),
    },
    "levels": {
        "from 80": s.grid(s.log_uniform(0.3, 80)),
        "down to 0.01": s.grid(s.log_uniform(0.01, 500)),
        "evenly spaced": s.grid(lambda num: torch.linspace(500, 0.3, num)),
        "rho 7": s.grid(s.karras),
        "no atan": m.instead(samplers, "sigma_to_t", lambda sigma: sigma / (1 + sigma)),
        "time not over pi / 2": m.instead(samplers, "sigma_to_t", torch.atan),
    },
    "begun": {"noise times 500": s.begin_at_500},
    "steps": {
        "c_skip of one root": s.denoised(lambda x, v, sigma, root: x / root - sigma / root * v(x / root)),
        "c_out with the other sign": s.denoised(
            lambda x, v, sigma, root: x / root**2 + sigma / root * v(x / root)
        ),
        "c_out not over the root": s.denoised(lambda x, v, sigma, root: x / root**2 - sigma * v(x / root)),
        "c_in left out": s.denoised(lambda x, v, sigma, root: x / root**2 - sigma / root * v(x)),
        "first step of second order": s.first_step_of_second_order,
        "heun instead of midpoint": s.heun,
        "x instead of its estimate at the last": s.at_the_last(lambda x, *_: x),
        "a line through the last two at the last": s.at_the_last(lambda _, now, last: 1.5 * now - 0.5 * last),
        "no fresh noise": s.without_fresh_noise,
        "third order": s.third_order,
    },
}  # fmt: skip

CASES = [(quantity, name) for quantity, named in MISTAKES.items() for name in named]


def test_every_quantity_has_its_mistakes() -> None:
    assert MISTAKES.keys() == QUANTITIES.keys()


@pytest.mark.parametrize(("quantity", "name"), CASES)
@torch.no_grad()
def test_a_mistake_shows(
    quantity: str,
    name: str,
    before: Callable[[str], float],
    model: StableAudioModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure, tolerance = QUANTITIES[quantity]
    assert before(quantity) < tolerance
    MISTAKES[quantity][name](monkeypatch, model)
    assert measure(model) > 2 * tolerance


@torch.no_grad()
def test_positions_count_only_from_one_another(
    model: StableAudioModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, tolerance = QUANTITIES["velocity"]
    m.positions(lambda n: n + 100)(monkeypatch, model)
    assert measure(model) < tolerance


def test_a_tenth_of_the_training_is_told_nothing() -> None:
    assert train_dit.Config().dropout == 0.1
    assert train_dit.Config().dropout == 0.1
