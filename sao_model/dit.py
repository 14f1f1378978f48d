"""The diffusion transformer (paper 2.2): latents, a time and conditioning in, the velocity v out.

Pre-norm blocks of self-attention with rotary positions, cross-attention to text and timing, and a gated
feed-forward layer. Timestep and timing enter as one token in front of the sequence; there is no adaLN, no
attention mask (padding of the text is exact zeros and takes part) and no norm before the output.

    B batch   D latent channels   L latents   T tokens (L + 1)   W width   N heads   H head channels
    S conditioning tokens   C their width   G global conditioning   F timestep features   R rotary channels
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention, silu
from torch.utils.checkpoint import checkpoint

from sao_model.precision import in_float32

NUM_ROTARY = 32  # channels of each head that rotate: half of 64 (paper 2.2)
ROTARY_BASE = 10_000

_COLUMNS = 3072  # of the feed-forward layer at a time on a CPU: all 12,288 leave its cache

Rotation = tuple[Tensor, Tensor]  # cosines and sines, (T, R)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Shape of the transformer; the defaults are the released model's (model_config.json, "diffusion")."""

    latent_dim: int = 64  # "io_channels"
    width: int = 1536  # "embed_dim"
    num_layers: int = 24  # "depth"
    num_heads: int = 24
    cross_dim: int = 768  # "cond_token_dim"; key and value heads of cross-attention: cross_dim / head_dim
    global_dim: int = 1536  # "global_cond_dim"
    num_features: int = 256  # of the timestep
    multiple: int = 4  # inner width of the feed-forward layer over width

    @property
    def head_dim(self) -> int:
        return self.width // self.num_heads


class KeysValues(NamedTuple):
    """Conditioning tokens as one block's cross-attention sees them: (B, key and value heads, S, H)."""

    k: Tensor
    v: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the blocks need of one conditioning: made once, used at every step.

    Rows beyond those of `cross` are told nothing, i.e. zeros: without biases these become zero keys and
    values, so attention to them is exactly zero and left out.
    """

    cross: tuple[Tensor | KeysValues, ...]  # for each block: tokens (B, S, C), or what it makes of them
    global_BW: Tensor


class TimestepFeatures(nn.Module):
    """Random Fourier features of t in [0, 1]: cosines, then sines."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_features // 2))

    @in_float32
    def forward(self, t_B: Tensor) -> Tensor:
        angle_BF = 2 * math.pi * t_B[:, None] * self.weight
        return torch.cat([angle_BF.cos(), angle_BF.sin()], dim=-1)


class SelfAttention(nn.Module):
    """Attention of the sequence to itself, with rotary positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x_BTW: Tensor, rotation: Rotation) -> Tensor:
        q, k, v = (_heads(part, self.num_heads) for part in self.qkv(x_BTW).chunk(3, dim=-1))  # (B, N, T, H)
        attended = scaled_dot_product_attention(rotate(q, rotation), rotate(k, rotation), v)
        return cast("Tensor", self.out(_joined(attended)))


class CrossAttention(nn.Module):
    """Attention to the conditioning tokens; several query heads share a key and value head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.num_kv_heads = config.cross_dim // config.head_dim
        self.q = nn.Linear(config.width, config.width, bias=False)
        self.kv = nn.Linear(config.cross_dim, 2 * config.cross_dim, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def keys_values(self, cross_BSC: Tensor) -> KeysValues:
        """What `forward` makes of the tokens; they are the same at every step of a sampler."""
        k, v = (_heads(part, self.num_kv_heads) for part in self.kv(cross_BSC).chunk(2, dim=-1))
        return KeysValues(k, v)

    def forward(self, x_BTW: Tensor, cross: Tensor | KeysValues) -> Tensor:
        q = _heads(self.q(x_BTW), self.num_heads)  # (B, N, T, H)
        repeats = self.num_heads // self.num_kv_heads
        pair = self.keys_values(cross) if isinstance(cross, Tensor) else cross
        k, v = (part.repeat_interleave(repeats, dim=1) for part in pair)  # head h reads h // 2
        return cast("Tensor", self.out(_joined(scaled_dot_product_attention(q, k, v))))


class FeedForward(nn.Module):
    """SwiGLU: the first half is the value, the second half its gate (Shazeer 2020)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inner = config.multiple * config.width
        self.proj = nn.Linear(config.width, 2 * inner)
        self.out = nn.Linear(inner, config.width)

    def forward(self, x_BTW: Tensor) -> Tensor:
        plain = type(self.proj) is type(self.out) is nn.Linear  # not wrapped by an adapter
        if plain and x_BTW.device.type == "cpu" and not torch.is_grad_enabled():
            return self._by_columns(x_BTW)
        value, gate = self.proj(x_BTW).chunk(2, dim=-1)
        return cast("Tensor", self.out(value * silu(gate)))

    def _by_columns(self, x_BTW: Tensor) -> Tensor:
        """The same sum, some inner columns after the others."""
        out_BTW, inner = None, self.out.in_features
        for start in range(0, inner, _COLUMNS):
            end = min(start + _COLUMNS, inner)
            value, gate = slice(start, end), slice(inner + start, inner + end)
            gated = silu(linear(x_BTW, self.proj.weight[gate], self.proj.bias[gate]), inplace=True)
            gated *= linear(x_BTW, self.proj.weight[value], self.proj.bias[value])
            weight = self.out.weight[:, start:end]
            if out_BTW is None:
                out_BTW = linear(gated, weight, self.out.bias)
            else:
                out_BTW += linear(gated, weight)
        assert out_BTW is not None
        return out_BTW


class Block(nn.Module):
    """One transformer block; norms have no bias (paper 2.2)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, bias=False)
        self.self_attn = SelfAttention(config)
        self.norm2 = nn.LayerNorm(config.width, bias=False)
        self.cross_attn = CrossAttention(config)
        self.norm3 = nn.LayerNorm(config.width, bias=False)
        self.ff = FeedForward(config)

    def forward(self, x_BTW: Tensor, cross: Tensor | KeysValues, rotation: Rotation) -> Tensor:
        x_BTW = x_BTW + self.self_attn(self.norm1(x_BTW), rotation)
        num_told = len(cross if isinstance(cross, Tensor) else cross.k)
        told, rest = x_BTW[:num_told], x_BTW[num_told:]
        if num_told:
            told = told + self.cross_attn(self.norm2(told), cross)
            x_BTW = torch.cat([told, rest]) if len(rest) else told
        return x_BTW + cast("Tensor", self.ff(self.norm3(x_BTW)))


class DiT(nn.Module):
    """The velocity of latents at time t, given text and timing."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert config.head_dim * config.num_heads == config.width, config
        assert config.head_dim == 64, config.head_dim  # other sizes rotate differently in other people's code
        assert config.num_heads % (config.cross_dim // config.head_dim) == 0, config
        self.config = config
        self.checkpointing = False  # recompute blocks in the backward pass
        width, cross = config.width, config.cross_dim
        self.features = TimestepFeatures(config.num_features)
        self.embed_time = nn.Sequential(
            nn.Linear(config.num_features, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.embed_global = _mlp(config.global_dim, width)
        self.embed_cross = _mlp(cross, cross)
        self.pre_conv = nn.Conv1d(config.latent_dim, config.latent_dim, 1, bias=False)
        self.project_in = nn.Linear(config.latent_dim, width, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.project_out = nn.Linear(width, config.latent_dim, bias=False)
        self.post_conv = nn.Conv1d(config.latent_dim, config.latent_dim, 1, bias=False)
        init_weights(self)

    def forward(self, x_BDL: Tensor, t_B: Tensor, cross_BSC: Tensor, global_BG: Tensor) -> Tensor:
        """Velocity (B, D, L) of `x_BDL` at times t in [0, 1]."""
        # Keys and values are left to the blocks, which make them anew in the backward pass (checkpointing).
        cross = (self.embed_cross(cross_BSC),) * len(self.blocks)
        return self.velocity(x_BDL, t_B, Told(cross=cross, global_BW=self.embed_global(global_BG)))

    def told(self, cross_BSC: Tensor, global_BG: Tensor) -> Told:
        """What `velocity` needs of a conditioning."""
        cross_BSC, global_BG = (each.to(self.project_in.weight.dtype) for each in (cross_BSC, global_BG))
        cross_BSC = self.embed_cross(cross_BSC)
        cross = tuple(cast("Block", block).cross_attn.keys_values(cross_BSC) for block in self.blocks)
        return Told(cross=cross, global_BW=self.embed_global(global_BG))

    def told_with_nothing(self, cross_BSC: Tensor, global_BG: Tensor) -> Told:
        """The same for twice as many rows: the second half is told nothing but the global part."""
        told = self.told(cross_BSC, global_BG)
        return replace(told, global_BW=torch.cat([told.global_BW, told.global_BW]))

    def velocity(self, x_BDL: Tensor, t_B: Tensor, told: Told) -> Tensor:
        """Velocity (B, D, L), in the precision of `x_BDL`, at times t in [0, 1]."""
        x_BTW, rotation = self.enter(x_BDL, t_B, told), rotary(x_BDL.shape[-1] + 1, x_BDL.device)
        for i in range(len(self.blocks)):
            x_BTW = self.through(i, x_BTW, told, rotation)
        return self.leave(x_BTW).to(x_BDL.dtype)

    def enter(self, x_BDL: Tensor, t_B: Tensor, told: Told) -> Tensor:
        """Tokens (B, T, W) for the blocks: one in front (paper 2.2), then the latents."""
        assert x_BDL.shape[1] == self.config.latent_dim, x_BDL.shape
        assert len(x_BDL) == len(told.global_BW), (len(x_BDL), len(told.global_BW))
        x_BDL = x_BDL.to(self.project_in.weight.dtype)
        prefix_BW = told.global_BW + self.embed_time(self.features(t_B).to(x_BDL.dtype))
        x_BDL = self.pre_conv(x_BDL) + x_BDL
        return torch.cat([prefix_BW[:, None], self.project_in(x_BDL.transpose(1, 2))], dim=1)

    def through(self, number: int, x_BTW: Tensor, told: Told, rotation: Rotation) -> Tensor:
        """Tokens after one block."""
        block, given = self.blocks[number], (x_BTW, told.cross[number], rotation)
        if self.checkpointing and torch.is_grad_enabled():
            return cast("Tensor", checkpoint(block, *given, use_reentrant=False))
        return cast("Tensor", block(*given))

    def leave(self, x_BTW: Tensor) -> Tensor:
        """Velocity from the tokens after the last block."""
        x_BDL = self.project_out(x_BTW)[:, 1:].transpose(1, 2)
        return cast("Tensor", self.post_conv(x_BDL) + x_BDL)


def init_weights(dit: DiT) -> None:
    """Start every block and both convolutions at zero, so that a new model is linear (SAT's choice)."""
    zero: list[Tensor] = [dit.pre_conv.weight, dit.post_conv.weight]
    for block in dit.blocks:
        assert isinstance(block, Block)
        zero += [
            block.self_attn.out.weight,
            block.cross_attn.out.weight,
            block.ff.out.weight,
            block.ff.out.bias,
        ]
    for weight in zero:
        nn.init.zeros_(weight)


def rotary(num_tokens: int, device: torch.device) -> Rotation:
    """Cosines and sines (T, R) of rotary positions 0 … T-1 in float32; the token in front is at 0."""
    exponent = torch.arange(0, NUM_ROTARY, 2, device=device, dtype=torch.float32) / NUM_ROTARY
    frequency = 1.0 / (ROTARY_BASE**exponent)
    position = torch.arange(num_tokens, device=device, dtype=torch.float32)
    angle = position[:, None] * frequency  # no product of matrices, which autocast would round
    angle_TR = torch.cat([angle, angle], dim=-1)  # half-split, not interleaved
    return angle_TR.cos(), angle_TR.sin()


def rotate(x_BNTH: Tensor, rotation: Rotation) -> Tensor:
    """Rotate the first R channels of each head by their position, in float32 (Su et al. 2021)."""
    cos_TR, sin_TR = rotation
    turning, rest = x_BNTH[..., :NUM_ROTARY].float(), x_BNTH[..., NUM_ROTARY:]
    first, second = turning.chunk(2, dim=-1)
    turned = turning * cos_TR + torch.cat([-second, first], dim=-1) * sin_TR
    return torch.cat([turned.to(x_BNTH.dtype), rest], dim=-1)


def _mlp(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width_in, width_out, bias=False), nn.SiLU(), nn.Linear(width_out, width_out, bias=False)
    )


def _heads(x_BTW: Tensor, num_heads: int) -> Tensor:
    return x_BTW.view(*x_BTW.shape[:-1], num_heads, -1).transpose(1, 2)


def _joined(x_BNTH: Tensor) -> Tensor:
    return x_BNTH.transpose(1, 2).flatten(2)
