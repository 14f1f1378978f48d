"""What of a model is held against recordings, each by its greatest distance and the tolerance for it.

Tolerances are just above the rounding of float32 in another order of operations. Where nothing is recorded,
the reference is the formula, written out once more in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sao_model import codec, diffusion, dit, guidance, samplers
from sao_model.guidance import Conditioning
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from tests.parity.recording import PARITY, PROMPTS, distance, normal, recorded

Quantity = Callable[[StableAudioModel], float]

LONG = "rain on a tin roof, a train far away, birds, and then a long silence before the next thunder"


def encoded(model: StableAudioModel) -> float:
    io = recorded("vae_encode")
    posterior = model.codec.encode(io["wav"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "noise_like", lambda *_: io["eps"])
        latents = posterior.sample(None)
    ours = {"mean": posterior.mean_BDL, "std": posterior.std_BDL, "latents": latents, "kl": posterior.kl()}
    ours["pre_bottleneck"] = model.codec.encoder(io["wav"])
    return max(distance(tensor, io[name]) for name, tensor in ours.items())


def decoded(model: StableAudioModel) -> float:
    io = recorded("vae_decode")
    return distance(model.codec.decode(io["latents"]), io["wav"])


def snake(_: StableAudioModel) -> float:
    """Where the share of the sine is so large that what is added to its denominator counts."""
    x, layer = torch.linspace(-1e-9, 1e-9, 9)[None, None], codec.Snake(1)
    layer.beta.data.fill_(-21)  # e^-21 = 7.6e-10
    layer.alpha.data.fill_(0.5)
    a, b = layer.alpha.double().exp(), layer.beta.double().exp()
    return distance(layer(1e5 * x), 1e5 * x.double() + (1e5 * a * x.double()).sin() ** 2 / (b + 1e-9))


def seconds(model: StableAudioModel) -> float:
    io = recorded("seconds")
    start, total = (model.conditioners[f"seconds_{name}"](io["seconds"]) for name in ("start", "total"))
    return max(distance(start, io["start"]), distance(total, io["total"]))


def tokens(model: StableAudioModel) -> float:
    """Against the tokenizer as `transformers` runs it, cut and padded."""
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast(
        tokenizer_file=str(PARITY / "diffusers" / "tokenizer" / "tokenizer.json"), pad_token="<pad>"
    )
    prompts = [*PROMPTS, LONG]
    width = model.text.config.max_tokens
    wanted = theirs(prompts, padding="max_length", max_length=width, truncation=True, return_tensors="pt")
    ids, mask = model.text.tokens(prompts)
    io = recorded("text")
    return max(
        distance(ids, wanted["input_ids"]),
        distance(mask, wanted["attention_mask"]),
        distance(ids[:3], io["input_ids"]),
        distance(mask[:3], io["attention_mask"]),
    )


def text(model: StableAudioModel) -> float:
    io = recorded("text")
    asked = {"input_ids": io["input_ids"], "attention_mask": io["attention_mask"]}
    hidden = model.text.encoder(**asked).last_hidden_state
    return max(
        distance(hidden, io["t5_last_hidden_state"]), distance(model.text(PROMPTS), io["prompt_embeds"])
    )


def told(model: StableAudioModel) -> float:
    """The conditioning of the two sounds whose recorded one the transformer is fed."""
    io, ours = recorded("dit"), model.condition([PROMPTS[0], ""], [0.0, 0.1], [1.5, 10.5])
    return max(distance(ours.cross_BSC, io["cross"]), distance(ours.global_BG, io["glob"]))


def told_against(model: StableAudioModel) -> float:
    """A negative prompt: its text, the seconds of the positive."""
    io = recorded("text")["prompt_embeds"][1:2], recorded("seconds")
    ours = model.told_against([Sound(prompt=PROMPTS[0], seconds=47.0, negative_prompt=PROMPTS[1])], 1.5)
    return distance(ours, torch.cat([io[0], io[1]["start"][2:3], io[1]["total"][4:5]], dim=1))


def velocity(model: StableAudioModel) -> float:
    io = recorded("dit")
    return distance(model.dit(io["x"], io["t"], io["cross"], io["glob"]), io["v"])


def fresh(model: StableAudioModel) -> float:
    """A new transformer is its two projections."""
    new = dit.DiT(model.config.dit)
    x, t, cross, everywhere = (recorded("dit")[name] for name in ("x", "t", "cross", "glob"))
    return distance(
        new(x, t, cross, everywhere),
        new.project_out(new.project_in(x.transpose(1, 2))).transpose(1, 2),
    )


def turned(_: StableAudioModel) -> float:
    """Rotation in bfloat16 is that of float32, rounded once."""
    q = normal(1, 2, 34, 64, seed=3).bfloat16()
    whole = dit.rotate(q.float(), dit.rotary(34, q.device))
    return distance(dit.rotate(q, dit.rotary(34, q.device)), whole.bfloat16())


def guided(model: StableAudioModel) -> float:
    io = recorded("dit")
    conditioning = Conditioning(cross_BSC=io["cross"], global_BG=io["glob"])
    return distance(guidance.cfg(model.dit, conditioning, scale=7)(io["x"], io["t"]), io["v_cfg7"])


def guided_against(model: StableAudioModel) -> float:
    """From the two velocities one by one, each with the global part of the positive."""
    io = recorded("dit")
    negative = io["cross"].flip(0)
    conditioning = Conditioning(cross_BSC=io["cross"], global_BG=io["glob"])
    ours = guidance.cfg(model.dit, conditioning, scale=7, negative_BSC=negative)(io["x"], io["t"])
    away = model.dit(io["x"], io["t"], negative, io["glob"])
    return distance(ours, away + 7 * (io["v"] - away))


def dropout(_: StableAudioModel) -> float:
    """Rows are told all or nothing, about half of them; the global part stays."""
    given = Conditioning(cross_BSC=torch.ones(400, 5, 2), global_BG=torch.ones(400, 3))
    dropped = guidance.drop_conditioning(given, torch.arange(400) % 2 == 0)
    row = dropped.cross_BSC.flatten(1)
    mixed = float(torch.minimum(row.amax(1), 1 - row.amin(1)).max())
    uneven = max(abs(float(row.mean()) - 0.5) - 0.1, 0.0)
    return mixed + uneven + distance(dropped.global_BG, given.global_BG)


def relations(_: StableAudioModel) -> float:
    """Of x, x0, noise and v: the last recorded step, which ends on the estimate of x0."""
    io, t = recorded("generate_diffusers"), recorded("schedule")["t_diffusers_10"][-1:]
    x, v, x0 = io["x_in"][-1], io["v_cfg"][-1], io["final_latents"]
    noise = diffusion.to_noise(v, x, t)
    return max(
        distance(diffusion.to_denoised(v, x, t), x0),
        distance(diffusion.noised(x0, noise, t), x),
        distance(diffusion.v_target(x0, noise, t), v),
    )


def levels(_: StableAudioModel) -> float:
    io, found = recorded("schedule"), []
    for steps in (10, 100):
        ours = samplers.sigmas(steps)
        for theirs in ("diffusers", "kdiff"):
            reference = io[f"t_{theirs}_{steps}"]
            found.append(distance(ours, io[f"sigmas_{theirs}_{steps}"]))
            found.append(distance(samplers.sigma_to_t(ours)[: len(reference)], reference))
    return max(found)


class Seen(Exception):
    """The first input of the transformer is there; the rest is not needed."""


def begun(model: StableAudioModel) -> float:
    """The first x, which the recording has divided by the root of 500² + 1."""
    io, seen = recorded("generate_diffusers"), []

    def stop(x: Tensor, _: Tensor) -> Tensor:
        seen.append(x)
        raise Seen

    with pytest.raises(Seen):
        samplers.dpmpp_2m_sde(stop, io["noise"], 10, lambda step: io["step_noise"][step])
    theirs = io["noise"] * float(recorded("schedule")["init_noise_sigma_diffusers"])
    return max(distance(seen[0], io["x_in"][0]), distance(seen[0] * math.sqrt(500**2 + 1), theirs))


def steps(model: StableAudioModel) -> float:
    """Ten steps with recorded noise: what the transformer is fed and says at each, and where they end."""
    io, seen = recorded("generate_diffusers"), {"x_in": [], "v_cfg": []}

    def watch(velocity: diffusion.Velocity) -> diffusion.Velocity:
        def evaluate(x: Tensor, t: Tensor) -> Tensor:
            v = velocity(x, t)
            seen["x_in"].append(x)
            seen["v_cfg"].append(v)
            return v

        return evaluate

    conditioning = model.condition([PROMPTS[0]], [0.0], [1.5])
    noise = io["noise"], lambda step: io["step_noise"][step]
    final = model.sample(conditioning, *noise, Sampling(steps=10), watch=watch)
    inner = io["latents"][:-1], torch.stack(seen["x_in"][1:])
    scale = (samplers.sigmas(10)[1:-1] ** 2 + 1).sqrt()[:, None, None, None]
    each = [distance(*pair) for pair in zip(scale * inner[1], inner[0], strict=True)]
    each += [distance(*pair) for name in seen for pair in zip(seen[name], io[name], strict=True)]
    return max(*each, distance(final, io["final_latents"]), distance(final, io["latents"][-1]))


QUANTITIES: dict[str, tuple[Quantity, float]] = {
    "encoded": (encoded, 1e-5),
    "decoded": (decoded, 1e-5),
    "snake": (snake, 1e-6),
    "seconds": (seconds, 1e-6),
    "tokens": (tokens, 1e-9),
    "text": (text, 1e-5),
    "told": (told, 1e-5),
    "told_against": (told_against, 1e-5),
    "velocity": (velocity, 3e-6),
    "fresh": (fresh, 1e-6),
    "turned": (turned, 1e-9),
    "guided": (guided, 2e-5),
    "guided_against": (guided_against, 2e-5),
    "dropout": (dropout, 1e-9),
    "relations": (relations, 1e-5),
    "levels": (levels, 2e-6),
    "begun": (begun, 5e-7),
    "steps": (steps, 1e-4),
}
