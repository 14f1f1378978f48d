import math

import pytest
import torch

from sao_data.errors import UsageError
from sao_model import diffusion, model
from sao_model.model import StableAudio, build
from sao_model.preset import Config


def test_conditioning_is_text_start_total_in_this_order(tiny: StableAudio) -> None:
    told = tiny.condition(["rain", "drums"], [0.0, 7.0], [10.0, 20.0])
    assert told.cross_BSC.shape == (2, 32 + 2, 128)
    torch.testing.assert_close(told.cross_BSC[:, :32], tiny.text(["rain", "drums"]))
    start = tiny.conditioners["seconds_start"](torch.tensor([0.0, 7.0]))
    total = tiny.conditioners["seconds_total"](torch.tensor([10.0, 20.0]))
    torch.testing.assert_close(told.cross_BSC[:, 32:], torch.cat([start, total], dim=1))
    torch.testing.assert_close(told.global_BG, torch.cat([start[:, 0], total[:, 0]], dim=-1))


def test_training_reduces_the_loss_and_reaches_the_conditioners(tiny: StableAudio) -> None:
    latents = torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(0))
    trained = [*tiny.dit.parameters(), *tiny.conditioners.parameters()]
    optimiser, losses = torch.optim.AdamW(trained, lr=6e-3), []
    for _ in range(15):
        generator = torch.Generator().manual_seed(1)  # the same noise and times: the loss must fall
        t = diffusion.draw(diffusion.timesteps(0), 4)
        loss = tiny(latents, ["a", "b", "c", "d"], [0.0] * 4, [1.0] * 4, t_B=t, generator=generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.grad is not None for p in trained)
    assert all(p.grad is None for p in [*tiny.codec.parameters(), *tiny.text.parameters()])


def test_the_loss_of_a_silent_model_is_that_of_its_target(tiny: StableAudio) -> None:
    """v = 0: E v² = cos² + sin² = 1 for unit data."""
    with torch.no_grad():
        tiny.dit.project_out.weight.zero_()
    latents = torch.randn(16, 8, 16, generator=torch.Generator().manual_seed(0))
    told = tiny.condition(["a"] * 16, [0.0] * 16, [1.0] * 16)
    loss = tiny.loss(latents, told, t_B=torch.linspace(0, 1, 16), generator=torch.Generator().manual_seed(1))
    assert loss.item() == pytest.approx(1.0, abs=0.1)


def test_generation_has_the_length_asked_for_and_follows_its_seed(tiny: StableAudio) -> None:
    seen: list[tuple[int, int]] = []
    first = tiny.generate("rain", 0.1, steps=3, seed=5, progress=lambda *step: seen.append(step))
    assert first.shape == (2, 4410)
    assert first.dtype == torch.float32
    assert first.isfinite().all()
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(first, tiny.generate("rain", 0.1, steps=3, seed=5))
    assert not torch.equal(first, tiny.generate("rain", 0.1, steps=3, seed=6))


def test_prompt_and_negative_prompt_matter_once_the_model_listens(tiny: StableAudio) -> None:
    with torch.no_grad():
        for parameter in tiny.dit.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    rain, drums, negative = (
        tiny.generate(prompt, 0.1, steps=2, negative_prompt=no)
        for prompt, no in (("rain", ""), ("drums", ""), ("rain", "hiss"))
    )
    assert not torch.allclose(rain, drums)
    assert not torch.allclose(rain, negative)


def test_chunked_decoding_is_exact_for_the_preset(tiny: StableAudio) -> None:
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
        ({"steps": 0}, "give at least 1"),
        ({"cfg_scale": math.inf}, "give a number"),
        ({"sampler": "dpmpp-3m-sde"}, "did you mean 'dpmpp-2m-sde'"),
    ],
)
def test_what_cannot_be_generated_is_refused(changes: dict[str, object], message: str) -> None:
    request = {
        "prompt": "rain",
        "seconds": 1.0,
        "steps": 10,
        "cfg_scale": 7.0,
        "sampler": "v-ddim",
        **changes,
    }
    with pytest.raises(UsageError, match=message):
        model.check_request(Config(name="big"), **request)


def test_the_whole_window_is_allowed() -> None:
    config = Config(name="big")
    given = {"steps": 1, "cfg_scale": 1.0, "sampler": "v-ddim"}
    assert model.check_request(config, "rain", 2_097_152 / 44_100, **given) == 2_097_152


def test_a_device_that_is_not_there_is_refused() -> None:
    assert model.device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="use --device cpu"):
        model.device("cuda:99")
    with pytest.raises(UsageError, match="none that PyTorch knows"):
        model.device("gpu")


def test_equal_seeds_make_equal_models_and_leave_the_global_generator_alone(tiny_config: Config) -> None:
    before = torch.get_rng_state()
    first, again, other = (build(tiny_config, seed=seed).dit.project_in.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
