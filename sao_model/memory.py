"""What a model needs in memory, for generating and for training, computed from its config.

With P numbers in the parts that are trained, F in frozen ones, b bytes a number (4; 2 for a DiT in bf16):

    weights      b (P + F)
    training     4 P each for weights, gradients and the moving average, 8 P for AdamW's two moments;
                 while a checkpoint is saved 4 P more, and 16 P of main memory

An activation of the DiT is W T numbers a sample (width, tokens: latents + 1). An activation of the codec is
c t numbers (channels and length in a block), A the sum of that over the blocks of encoder and decoder, a its
greatest value. The factors count tensors that live at once; a test holds them against PyTorch's own count.

    DiT, generating          21 W T   batch of two for guidance; inside the gated layer of one block (13 on a
                             CPU, where that goes in pieces)
    DiT, training            (32 L + 12) W T   L blocks keep what the backward pass needs
    … with checkpointing     (L + 32 + 12) W T   their inputs only, and one block at a time
    codec, one way           6 a   without gradients: chunks of 128 latents where it decodes for a sound,
                             whole windows where the DiT's training encodes
    codec, training          40 A   and 160 times the window's samples for the spectra of the loss

A step of train_dit encodes before the DiT runs, so the greater of the two counts. Left out: a batch of audio,
what Python and PyTorch take (0.5 GB), the GPU's context and libraries (0.5 to 1 GB), and fragments. Mixed
precision adds 2 P for casts, and halves activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sao_model import codec, dit
from sao_model.preset import Config

CHUNK = 128  # latents that are decoded at a time
_GUIDED, _KEPT, _STEP, _CODEC, _CODEC_KEPT, _SPECTRA = 21, 32, 12, 6, 40, 160
_FRAMES = 65_536  # of a window of train_vae (paper 4.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generating:
    """Bytes for one sound."""

    weights: int
    dit: int  # activations of a batch of two
    decode: int  # of a chunk
    total: int  # weights and the greater of the two


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Bytes for one process."""

    weights: int
    gradients: int
    moments: int
    average: int
    frozen: int  # weights that are not trained
    fixed: int  # all of these
    activations: dict[str, int]  # of a sample, by what makes them; with or without checkpointing
    per_sample: int  # the greatest of them that there is by default
    saving: int  # more, while a checkpoint is written
    saving_host: int  # of main memory then


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """All that `sao model` says of memory."""

    generate: Generating
    generate_bf16: Generating
    train_dit: Training
    train_vae: Training


def needs(config: Config, parameters: Mapping[str, int]) -> Needs:
    """What a model takes, given the numbers in each of its parts (vae, dit, conditioners, text_encoder)."""
    trained = parameters["dit"] + parameters["conditioners"]
    frozen = parameters["vae"] + parameters["text_encoder"]
    encode = codec_one_way(config.codec, config.num_latents)
    without, checkpointed = (dit_training(config.dit, config.num_latents, on) for on in (False, True))
    activations = {"encode": encode, "dit": checkpointed, "dit_without_checkpointing": without}
    samples = codec_training(config.codec, _FRAMES)
    return Needs(
        generate=_generating(config, trained + frozen, 0),
        generate_bf16=_generating(config, trained + frozen, parameters["dit"]),
        train_dit=_training(trained, frozen, activations, max(encode, checkpointed)),
        train_vae=_training(parameters["vae"], 0, {"codec": samples}, samples),
    )


def dit_generating(config: dit.Config, num_latents: int, *, size: int = 4) -> int:
    """Activations of the DiT for one sound, in bytes of `size` a number."""
    return size * 2 * _GUIDED * config.width * (num_latents + 1)


def dit_training(config: dit.Config, num_latents: int, checkpointing: bool) -> int:
    """Activations of the DiT for a sample of a training batch, in bytes."""
    kept = config.num_layers + _KEPT if checkpointing else config.num_layers * _KEPT
    return 4 * (kept + _STEP) * config.width * (num_latents + 1)


def codec_one_way(config: codec.Config, num_latents: int, *, size: int = 4) -> int:
    """Activations of encoding or decoding so many latents without gradients, in bytes."""
    return size * _CODEC * _widest(config, num_latents * config.hop)


def codec_training(config: codec.Config, num_frames: int, *, kept: float = _CODEC_KEPT) -> int:
    """Activations of the codec, `kept` times A, and of its loss, for a sample of a batch, in bytes."""
    blocks = int(2 * sum(_levels(config, num_frames)))
    return int(4 * (kept * blocks + _SPECTRA * config.num_channels * num_frames))


def lines(found: Needs) -> list[str]:
    """What it says to a person."""
    full, fine, vae = found.generate, found.train_dit, found.train_vae
    encode, net, without = map(_shown, fine.activations.values())
    half = _shown(found.generate_bf16.total)
    return [
        f"generate      {_shown(full.total)} ({half} in bfloat16): weights {_shown(full.weights)}, "
        f"then in turn DiT {_shown(full.dit)}, decoding {_shown(full.decode)}",
        f"train_dit     {_shown(fine.fixed)}: DiT with gradients, moments and average "
        f"{_shown(fine.fixed - fine.frozen)}, frozen parts {_shown(fine.frozen)}",
        f"              + {_shown(fine.per_sample)} for each sample of a process: in turn encoding {encode}, "
        f"DiT {net} ({without} with checkpointing = false)",
        f"train_vae     {_shown(vae.fixed)} + {_shown(vae.per_sample)} for each sample of a process "
        f"(65,536 frames)",
    ]


def _generating(config: Config, parameters: int, rounded: int) -> Generating:
    """`rounded`: parameters that are held in bfloat16, the DiT's or none; the codec has float32."""
    net = dit_generating(config.dit, config.num_latents, size=2 if rounded else 4)
    decode = codec_one_way(config.codec, min(CHUNK, config.num_latents))
    weights = 4 * parameters - 2 * rounded
    return Generating(weights=weights, dit=net, decode=decode, total=weights + max(net, decode))


def _training(trained: int, frozen: int, activations: dict[str, int], per_sample: int) -> Training:
    return Training(
        weights=4 * trained,
        gradients=4 * trained,
        moments=8 * trained,
        average=4 * trained,
        frozen=4 * frozen,
        fixed=20 * trained + 4 * frozen,
        activations=activations,
        per_sample=per_sample,
        saving=4 * trained,
        saving_host=16 * trained,
    )


def _levels(config: codec.Config, num_frames: int) -> list[float]:
    """Numbers in an activation of each block of one side, the outermost first."""
    found, length = [], float(num_frames)
    for multiple, stride in zip((1, *config.multiples[:-1]), config.strides, strict=True):
        found.append(config.width * multiple * length)
        length /= stride
    return found


def _widest(config: codec.Config, num_frames: int) -> int:
    return int(max(_levels(config, num_frames)))


def _shown(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:,.1f} GiB" if num_bytes >= 2**29 else f"{num_bytes / 2**20:,.0f} MiB"
