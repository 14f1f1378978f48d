"""Mistakes that a re-implementation of Stable Audio Open may make, by the quantity that they spoil.

Each is applied to a model, or to the code while a test runs; `test_conventions.py` proves that each shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, softplus

from sao_model import codec, dit, guidance
from sao_model.conditioners.seconds import Seconds
from sao_model.conditioners.t5 import END, PAD, TextConditioner
from sao_model.dit import _heads, _joined
from sao_model.guidance import Conditioning
from sao_model.model import StableAudioModel

Mistake = Callable[[pytest.MonkeyPatch, StableAudioModel], None]

ROTATE, ROTARY, INIT, TOLD = dit.rotate, dit.rotary, dit.init_weights, dit.DiT.told


def instead(owner: object, name: str, value: object) -> Mistake:
    return lambda patch, _: patch.setattr(owner, name, value)


def on(change: Callable[[StableAudioModel], object]) -> Mistake:
    return lambda _, model: (change(model), None)[1]


def modules(model: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, kind)]


class Made(nn.Module):
    """A function of the module whose place it takes, and of what that is given."""

    def __init__(self, inner: nn.Module, make: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.make = inner, make

    def forward(self, x: Tensor) -> Tensor:
        return self.make(self.inner, x)


def wrapped(path: str, make: Callable[[nn.Module, Tensor], Tensor]) -> Mistake:
    """Every module whose name ends so becomes `make(module, x)`."""

    def change(model: StableAudioModel) -> None:
        names = [name for name, _ in model.named_modules() if f".{name}".endswith(f".{path}")]
        assert names, path
        for name in names:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, Made(model.get_submodule(name), make))

    return on(change)


def features(scale: float = 2 * math.pi, *, sine_first: bool = False) -> Mistake:
    def forward(self: dit.TimestepFeatures, t_B: Tensor) -> Tensor:
        angle = scale * t_B[:, None] * self.weight
        parts = [angle.cos(), angle.sin()]
        return torch.cat(parts[::-1] if sine_first else parts, dim=-1)

    return instead(dit.TimestepFeatures, "forward", forward)


def number(
    *, clamped: bool = True, most: float = 512, cosine_first: bool = False, turn: float = 2 * math.pi
) -> Mistake:
    def forward(self: Seconds, seconds_B: Tensor) -> Tensor:
        u = (seconds_B.clamp(0, 512) if clamped else seconds_B)[:, None] / most
        angle = turn * u * self.frequencies
        parts = [angle.sin(), angle.cos()]
        return self.linear(torch.cat([u, *(parts[::-1] if cosine_first else parts)], dim=-1))[:, None]

    return instead(Seconds, "forward", forward)


def cut(*, keep_end: bool) -> Mistake:
    """Tokens that lose their end token where they are cut, or else are padded to the longest prompt only."""

    def tokens(self: TextConditioner, prompts: list[str]) -> tuple[Tensor, Tensor]:
        most, found = self.config.max_tokens, self.tokenize(prompts)
        rows = [[*ids[: most - 1], END] if keep_end and len(ids) > most else ids[:most] for ids in found]
        width = max(map(len, rows)) if keep_end else most
        ids = torch.tensor([[*row, *[PAD] * (width - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        return ids, mask

    return instead(TextConditioner, "tokens", tokens)


def without_end_token(model: StableAudioModel) -> None:
    faithful = model.text.tokenize
    model.text.tokenize = lambda prompts: [
        ids if p else [] for p, ids in zip(prompts, faithful(prompts), strict=True)
    ]


def text(*, asked: bool = True, zeroed: bool = True) -> Mistake:
    """Text whose encoder is not told of the padding, or whose padding is not zeroed."""

    def forward(self: TextConditioner, prompts: list[str]) -> Tensor:
        ids, mask = self.tokens(prompts)
        with torch.no_grad():
            hidden = self.encoder(input_ids=ids, attention_mask=mask if asked else None).last_hidden_state
        return hidden * mask[..., None] if zeroed else hidden

    return instead(TextConditioner, "forward", forward)


def condition(cross: str, everywhere: str) -> Mistake:
    """Tokens and the global part in another order: p(rompt), s(tart), t(otal)."""

    def conditioned(self: StableAudioModel, prompts: list[str], *numbers: list[float]) -> Conditioning:
        start, total = (torch.tensor(number) for number in numbers)
        parts = {
            "p": self.text(prompts),
            "s": self.conditioners["seconds_start"](start),
            "t": self.conditioners["seconds_total"](total),
        }
        return Conditioning(
            cross_BSC=torch.cat([parts[key] for key in cross], dim=1),
            global_BG=torch.cat([parts[key] for key in everywhere], dim=-1)[:, 0],
        )

    return instead(StableAudioModel, "condition", conditioned)


def cross_attention(*, tiled: bool = False, masked: bool = False, rotated: bool = False) -> Mistake:
    def forward(self: dit.CrossAttention, x: Tensor, cross: Tensor) -> Tensor:
        q, repeats = _heads(self.q(x), self.num_heads), self.num_heads // self.num_kv_heads
        k, v = self.keys_values(cross)
        if tiled:
            k, v = (part.repeat(1, repeats, 1, 1) for part in (k, v))
        else:
            k, v = (part.repeat_interleave(repeats, dim=1) for part in (k, v))
        if rotated:
            q, k = (ROTATE(part, ROTARY(part.shape[2], part.device)) for part in (q, k))
        mask = (cross != 0).any(-1)[:, None, None] if masked else None
        return self.out(_joined(scaled_dot_product_attention(q, k, v, attn_mask=mask)))

    return instead(dit.CrossAttention, "forward", forward)


def feed_forward(gated: Callable[[Tensor, Tensor], Tensor]) -> Mistake:
    return instead(dit.FeedForward, "forward", lambda s, x: s.out(gated(*s.proj(x).chunk(2, dim=-1))))


def block(order: str, *, norm_after: bool = False) -> Mistake:
    """A block whose parts, s(elf), c(ross) and f(eed-forward), run in another order."""

    def forward(self: dit.Block, x: Tensor, cross: Tensor, rotation: dit.Rotation) -> Tensor:
        parts = {
            "s": (self.norm1, lambda y: self.self_attn(y, rotation)),
            "c": (self.norm2, lambda y: self.cross_attn(y, cross)),
            "f": (self.norm3, self.ff),
        }
        for norm, part in (parts[key] for key in order):
            x = norm(x + part(x)) if norm_after else x + part(norm(x))
        return x

    return instead(dit.Block, "forward", forward)


def attention(change: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Mistake:
    return instead(dit, "scaled_dot_product_attention", change)


def positions(of: Callable[[Tensor], Tensor], dtype: torch.dtype = torch.float32) -> Mistake:
    """Rotary positions that are a function of the faithful ones, or computed in another precision."""

    def rotary(num_tokens: int, device: torch.device) -> dit.Rotation:
        exponent = torch.arange(0, dit.NUM_ROTARY, 2, dtype=torch.float32) / dit.NUM_ROTARY
        frequency = (1.0 / dit.ROTARY_BASE**exponent).to(dtype)
        angle = torch.outer(of(torch.arange(num_tokens, dtype=torch.float32)).to(dtype), frequency)
        angle = torch.cat([angle, angle], dim=-1)
        return angle.cos().float(), angle.sin().float()

    return instead(dit, "rotary", rotary)


def interleaved(x: Tensor, rotation: dit.Rotation) -> Tensor:
    order = torch.arange(32).view(2, 16).T.flatten()
    return torch.cat([ROTATE(x[..., :32][..., order], rotation), x[..., 32:]], dim=-1)


def half_precision(x: Tensor, rotation: dit.Rotation) -> Tensor:
    cos, sin = (part.to(x.dtype) for part in rotation)
    first, second = x[..., :32].chunk(2, dim=-1)
    turned = x[..., :32] * cos + torch.cat([-second, first], dim=-1) * sin
    return torch.cat([turned, x[..., 32:]], dim=-1)


def prefix_behind(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
    """The token of timing stands behind the latents instead of in front."""
    enter, leave = dit.DiT.enter, dit.DiT.leave
    patch.setattr(dit.DiT, "enter", lambda *given: enter(*given).roll(-1, dims=1))
    patch.setattr(dit.DiT, "leave", lambda s, x: leave(s, x.roll(1, dims=1)))


def biased(name: str) -> Mistake:
    """Every layer of the transformer whose name ends so has a bias."""

    def change(model: StableAudioModel) -> None:
        layers = [layer for key, layer in model.dit.named_modules() if f".{key}".endswith(f".{name}")]
        assert layers, name
        for layer in layers:
            layer.bias = nn.Parameter(0.01 * torch.ones(len(layer.weight)).cumsum(0) / len(layer.weight))

    return on(change)


def epsilon_of_norms(model: StableAudioModel) -> None:
    for norm in modules(model.dit, nn.LayerNorm):
        norm.eps = 1e-6


def not_at_zero(name: str) -> Mistake:
    def init(model: dit.DiT) -> None:
        INIT(model)
        for key, parameter in model.named_parameters():
            if key.endswith(name):
                nn.init.normal_(parameter, std=0.02)

    return instead(dit, "init_weights", init)


def nothing(change: Callable[[dit.DiT, Tensor, Tensor], tuple[Tensor, Tensor]]) -> Mistake:
    """Guidance whose "nothing" is other tokens or another global part."""

    def told(self: dit.DiT, cross: Tensor, everywhere: Tensor) -> dit.Told:
        other_cross, other_everywhere = change(self, cross, everywhere)
        return TOLD(self, torch.cat([cross, other_cross]), torch.cat([everywhere, other_everywhere]))

    return instead(dit.DiT, "told_with_nothing", told)


def global_of_the_negative(self: dit.DiT, cross: Tensor, everywhere: Tensor) -> dit.Told:
    told = TOLD(self, cross, everywhere)
    if len(cross) <= 2:  # not the batch of both
        return told
    positive, negative = told.global_BW.chunk(2)
    return replace(told, global_BW=torch.cat([positive, 0 * negative]))


def dropped(part: str) -> Mistake:
    def drop(given: Conditioning, is_dropped: Tensor) -> Conditioning:
        cross, everywhere = given.cross_BSC, given.global_BG
        shape = {"tokens": cross.shape[:2], "batch": (1,)}.get(part, cross.shape[:1])
        drawn = torch.rand(shape, generator=torch.Generator().manual_seed(0)) >= is_dropped.float().mean()
        keep = drawn.float() if part in ("tokens", "batch") else (~is_dropped).float()
        keep = keep.view(*shape, *[1] * (3 - len(shape)))
        if part == "text":
            return replace(given, cross_BSC=torch.cat([cross[:, :-2] * keep, cross[:, -2:]], dim=1))
        if part == "global":
            return Conditioning(cross_BSC=cross * keep, global_BG=everywhere * keep[:, 0])
        return replace(given, cross_BSC=cross * keep)

    return instead(guidance, "drop_conditioning", drop)


def snake(amplitude: Callable[[Tensor], Tensor], *, log_scale: bool = True, swapped: bool = False) -> Mistake:
    def forward(self: codec.Snake, x: Tensor) -> Tensor:
        a, b = (self.beta, self.alpha) if swapped else (self.alpha, self.beta)
        a, b = (a.exp(), b.exp()) if log_scale else (a, b)
        return x + amplitude(b[:, None]) * torch.sin(a[:, None] * x).pow(2)

    return instead(codec.Snake, "forward", forward)


def dilations(model: StableAudioModel) -> None:
    for units in (each.units for each in modules(model.codec, codec.EncoderBlock | codec.DecoderBlock)):
        for unit, dilation in zip(units, (1, 2, 4), strict=True):
            unit.conv1.dilation, unit.conv1.padding = (dilation,), (3 * dilation,)


def reverse_units(model: StableAudioModel) -> None:
    for each in modules(model.codec, codec.EncoderBlock | codec.DecoderBlock):
        each.units = nn.Sequential(*list(each.units)[::-1])


def norm_per_output_channel(model: StableAudioModel) -> None:
    for each in modules(model.codec, codec.DecoderBlock):
        (weight,) = (each.conv.parametrizations.weight,)
        g, v = weight.original0.detach(), weight.original1.detach()
        kernel, stride, padding = each.conv.kernel_size, each.conv.stride, each.conv.padding
        bias = each.conv.bias
        each.conv = nn.ConvTranspose1d(*v.shape[:2], kernel, stride, padding)
        each.conv.weight, each.conv.bias = nn.Parameter(v / v.norm(dim=(0, 2), keepdim=True) * g), bias


def posterior(std: Callable[[Tensor], Tensor], *, mean_last: bool = False) -> Mistake:
    def made(encoded: Tensor) -> codec.Posterior:
        mean, scale = encoded.chunk(2, dim=1)[:: -1 if mean_last else 1]
        return codec.Posterior(mean_BDL=mean, std_BDL=std(scale))

    return instead(codec, "_posterior", made)


def std(scale: Tensor) -> Tensor:
    return softplus(scale) + 1e-4


def kl(reduced: Callable[[Tensor], Tensor]) -> Mistake:
    def divergence(self: codec.Posterior) -> Tensor:
        variance = self.std_BDL**2
        return reduced(self.mean_BDL**2 + variance - variance.log() - 1)

    return instead(codec.Posterior, "kl", divergence)
