"""The diffusion transformer (paper 2.2): latents, a time and conditioning in, the velocity v out.

Pre-norm blocks of self-attention with rotary positions, cross-attention to text and timing, and a gated
feed-forward layer. Timestep and timing enter as one token in front of the sequence; there is no adaLN, no
attention mask (padding of the text is exact zeros and takes part) and no norm before the output.

    B batch   D latent channels   L latents   T tokens (L + 1)   W width   N heads   H head channels
    S conditioning tokens   C their width   G global conditioning   F timestep features   R rotary channels
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu
from torch.utils.checkpoint import checkpoint

NUM_ROTARY = 32  # channels of each head that rotate: half of 64 (paper 2.2)
ROTARY_BASE = 10_000

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


class TimestepFeatures(nn.Module):
    """Random Fourier features of t in [0, 1]: cosines, then sines."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_features // 2))

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

    def forward(self, x_BTW: Tensor, cross_BSC: Tensor) -> Tensor:
        q = _heads(self.q(x_BTW), self.num_heads)  # (B, N, T, H)
        k, v = (_heads(part, self.num_kv_heads) for part in self.kv(cross_BSC).chunk(2, dim=-1))
        repeats = self.num_heads // self.num_kv_heads
        k, v = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)  # head h reads h // 2
        return cast("Tensor", self.out(_joined(scaled_dot_product_attention(q, k, v))))


class FeedForward(nn.Module):
    """SwiGLU: the first half is the value, the second half its gate (Shazeer 2020)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inner = config.multiple * config.width
        self.proj = nn.Linear(config.width, 2 * inner)
        self.out = nn.Linear(inner, config.width)

    def forward(self, x_BTW: Tensor) -> Tensor:
        value, gate = self.proj(x_BTW).chunk(2, dim=-1)
        return cast("Tensor", self.out(value * silu(gate)))


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

    def forward(self, x_BTW: Tensor, cross_BSC: Tensor, rotation: Rotation) -> Tensor:
        x_BTW = x_BTW + self.self_attn(self.norm1(x_BTW), rotation)
        x_BTW = x_BTW + self.cross_attn(self.norm2(x_BTW), cross_BSC)
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
        assert x_BDL.shape[1] == self.config.latent_dim, x_BDL.shape
        cross_BSC = self.embed_cross(cross_BSC)
        prefix_BW = self.embed_global(global_BG) + self.embed_time(self.features(t_B))
        x_BDL = self.pre_conv(x_BDL) + x_BDL
        x_BLW = self.project_in(x_BDL.transpose(1, 2))
        x_BTW = torch.cat([prefix_BW[:, None], x_BLW], dim=1)  # one token in front (paper 2.2)
        rotation = rotary(x_BTW.shape[1], x_BTW.device)
        for block in self.blocks:
            x_BTW = self._through(block, x_BTW, cross_BSC, rotation)
        x_BDL = self.project_out(x_BTW)[:, 1:].transpose(1, 2)
        return cast("Tensor", self.post_conv(x_BDL) + x_BDL)

    def _through(self, block: nn.Module, x_BTW: Tensor, cross_BSC: Tensor, rotation: Rotation) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return cast("Tensor", checkpoint(block, x_BTW, cross_BSC, rotation, use_reentrant=False))
        return cast("Tensor", block(x_BTW, cross_BSC, rotation))


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
    angle = torch.outer(torch.arange(num_tokens, device=device, dtype=torch.float32), frequency)
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
