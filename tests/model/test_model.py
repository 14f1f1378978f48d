import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from sao_data.errors import UsageError
from sao_model import devices, request, samplers, train_dit
from sao_model.model import StableAudioModel, build
from sao_model.preset import Config
from sao_model.request import Guidance, Sampling, Sound


def test_conditioning_is_text_start_total_in_this_order(tiny: StableAudioModel) -> None:
    told = tiny.condition(["rain", "drums"], [0.0, 7.0], [10.0, 20.0])
    assert told.cross_BSC.shape == (2, 32 + 2, 128)
    torch.testing.assert_close(told.cross_BSC[:, :32], tiny.text(["rain", "drums"]))
    start = tiny.conditioners["seconds_start"](torch.tensor([0.0, 7.0]))
    total = tiny.conditioners["seconds_total"](torch.tensor([10.0, 20.0]))
    torch.testing.assert_close(told.cross_BSC[:, 32:], torch.cat([start, total], dim=1))
    torch.testing.assert_close(told.global_BG, torch.cat([start[:, 0], total[:, 0]], dim=-1))


def test_training_reduces_the_loss_and_reaches_the_conditioners(tiny: StableAudioModel) -> None:
    latents = torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(0))
    trained = [*tiny.dit.parameters(), *tiny.conditioners.parameters()]
    optimiser, losses = torch.optim.AdamW(trained, lr=6e-3), []
    noise = torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(1))
    times, t = torch.tensor([[0.0, 1.0]] * 4), torch.tensor([0.1, 0.4, 0.6, 0.9])
    text, velocity = tiny.text(["a", "b", "c", "d"]), train_dit.Velocity(tiny)
    for _ in range(15):  # the same noise and times: the loss must fall
        loss = velocity(latents, text, times, noise, t, torch.zeros(4, dtype=torch.bool))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.grad is not None for p in trained)
    assert all(p.grad is None for p in [*tiny.codec.parameters(), *tiny.text.parameters()])


def test_the_loss_of_a_silent_model_is_that_of_its_target(tiny: StableAudioModel) -> None:
    """v = 0: E v² = cos² + sin² = 1 for unit data."""
    with torch.no_grad():
        tiny.dit.project_out.weight.zero_()
    latents = torch.randn(16, 8, 16, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(16, 8, 16, generator=torch.Generator().manual_seed(1))
    times, told = torch.tensor([[0.0, 1.0]] * 16), tiny.text(["a"] * 16)
    loss = train_dit.Velocity(tiny)(
        latents, told, times, noise, torch.linspace(0, 1, 16), torch.zeros(16, dtype=torch.bool)
    )
    assert loss.item() == pytest.approx(1.0, abs=0.1)


def listening(model: StableAudioModel) -> StableAudioModel:
    """With nothing left at its zero initialisation: text and timing matter."""
    with torch.no_grad():
        for parameter in model.dit.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    return model


def test_generation_has_the_length_asked_for_and_follows_its_seed(tiny: StableAudioModel) -> None:
    seen: list[tuple[int, int]] = []
    sound, how = Sound(prompt="rain", seconds=0.1, seed=5), Sampling(steps=3)
    (first,) = tiny.generate([sound], how, progress=lambda *step: seen.append(step))
    assert first.shape == (2, 4410)
    assert first.dtype == torch.float32
    assert first.isfinite().all()
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(first, tiny.generate([sound], how)[0])
    assert not torch.equal(first, tiny.generate([replace(sound, seed=6)], how)[0])


SOUNDS = (
    Sound(prompt="rain", seconds=0.1, seed=5),
    Sound(prompt="drums", seconds=0.15, seed=6, negative_prompt="hiss"),
    Sound(prompt="rain", seconds=0.05, seed=5),
)


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_a_sound_is_the_same_alone_and_among_others(tiny: StableAudioModel, sampler: str) -> None:
    """To the bit one after the other, as on the CPU; to rounding at once, as on a GPU."""
    model, how = listening(tiny), Sampling(steps=3, sampler=sampler)
    among = model.generate(SOUNDS, how)
    assert [audio.shape[1] for audio in among] == [4410, 6615, 2205]
    for sound, audio in zip(SOUNDS, among, strict=True):
        assert torch.equal(audio, model.generate([sound], how)[0])
    noise, step_noise = model.noise([sound.seed for sound in SOUNDS])
    together = model.sample(
        model.told(SOUNDS), noise, step_noise, how, negative_BSC=model.told_against(SOUNDS)
    )
    for sound, latent_DL in zip(SOUNDS, together, strict=True):
        alone = model.sample(
            model.told([sound]), *model.noise([sound.seed]), how, negative_BSC=model.told_against([sound])
        )
        assert float((alone[0] - latent_DL).abs().max() / alone.abs().max()) < 1e-4


def test_prompt_length_and_negative_prompt_matter_once_the_model_listens(tiny: StableAudioModel) -> None:
    model = listening(tiny)
    base = Sound(prompt="rain", seconds=0.1)
    others = [
        replace(base, prompt="drums"),
        replace(base, negative_prompt="hiss"),
        replace(base, seconds=0.11),
    ]
    first, *rest = model.generate([base, *others], Sampling(steps=2))
    assert not any(torch.allclose(first[:, :4000], other[:, :4000]) for other in rest)


def test_chunked_decoding_is_exact_for_the_preset(tiny: StableAudioModel) -> None:
    z = torch.randn(1, 8, 120, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, pieces = tiny.codec.decode(z), tiny.codec.decode_in_chunks(z, chunk=64)
    assert float((pieces - whole).abs().max() / whole.abs().max()) < 1e-5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": " "}, "prompt: empty"),
        ({"seconds": 0.0}, "is no length"),
        ({"seconds": math.nan}, "is no length"),
        ({"seconds": 48.0}, "at most 47.55"),
        ({"seed": -1}, "seed: -1"),
        ({"seed": 1 << 63}, "from 0 to"),
    ],
)
def test_a_sound_that_cannot_be_made_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        request.check(Config(name="big"), Sound(**{"prompt": "rain", "seconds": 1.0} | changes))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sampling(steps=0), "give at least 1"),
        (lambda: Sampling(cfg_scale=math.inf), "give a number"),
        (lambda: samplers.named("dpmpp-4m-sde"), "did you mean 'dpmpp-3m-sde'"),
        (lambda: Guidance(rescale=1.5), "guidance.rescale: 1.5"),
        (lambda: Guidance(interval=(0.7, 0.3)), "low < high"),
        (lambda: Guidance(apg=True, apg_norm=-1), "apg_norm"),
        (lambda: Guidance(apg=True, apg_momentum=1.0), "less than 1"),
        (lambda: Guidance(apg_norm=2.5), "give apg=true too"),
        (lambda: Sampling(step_cache=1.0), "0 .off. or a small share"),
    ],
)
def test_settings_that_cannot_be_heeded_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_the_whole_window_is_allowed() -> None:
    sound = Sound(prompt="rain", seconds=2_097_152 / 44_100)
    assert request.check(Config(name="big"), sound) == 2_097_152


def test_a_device_that_is_not_there_is_refused() -> None:
    assert devices.device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="use --device cpu"):
        devices.device("cuda:99")
    with pytest.raises(UsageError, match="none that PyTorch knows"):
        devices.device("gpu")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), UsageError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), UsageError),
        (MemoryError(), UsageError),
        (RuntimeError("shapes differ"), RuntimeError),
    ],
)
def test_too_little_memory_is_said_with_what_lowers_it(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"batch_size|shapes"), devices.memory_for("lower batch_size"):
        raise error


def test_equal_seeds_make_equal_models_and_leave_the_global_generator_alone(tiny_config: Config) -> None:
    before = torch.get_rng_state()
    first, again, other = (build(tiny_config, seed=seed).dit.project_in.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
