"""Edits: what is kept is kept, to the sample; what is made anew hears what is beside it."""

import math

import pytest
import torch
from torch import Tensor

from sao_data.errors import UsageError
from sao_model import edits, longer, samplers
from sao_model.diffusion import alpha_sigma
from sao_model.edits import Edit
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound

RATE = 1000
torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("regions", "wrong"),
    [
        ([(1.0, 0.5)], "no region"),
        ([(-0.1, 0.5)], "no region"),
        ([(math.nan, 0.5)], "no region"),
        ([(0.2, 0.4), (1.9, 2.5)], "outside of the sound, which ends at 2.00 s"),
        ([(2.0, 2.005)], "outside of the sound"),
    ],
)
def test_a_mask_outside_of_the_audio_is_refused(regions: edits.Regions, wrong: str) -> None:
    edits.check_regions([(0.0, 0.5), (1.0, 2.0)], 2.0)
    with pytest.raises(UsageError, match=wrong):
        edits.check_regions(regions, 2.0)


@pytest.mark.parametrize(
    ("regions", "kept"),
    [
        ([], "1111111111"),
        ([(0.2, 0.4)], "1100111111"),
        ([(0.25, 0.31)], "1100111111"),
        ([(0.0, 0.05), (0.75, 1.0)], "0111111000"),
    ],
)
def test_a_latent_is_made_anew_if_a_region_touches_it(regions: edits.Regions, kept: str) -> None:
    keep_L = edits.kept_latents(regions, RATE, 100, 10)
    assert "".join(str(int(keep)) for keep in keep_L) == kept


def test_outside_of_the_regions_the_original_is_back_to_the_sample() -> None:
    original, made = torch.rand(2, 2000), torch.rand(2, 2000) - 1
    whole = edits.restored(made, original, [(0.2, 0.5), (1.0, 1.3)], RATE)
    inside = torch.zeros(2000, dtype=torch.bool)
    inside[200:500], inside[1000:1300] = True, True
    assert torch.equal(whole[:, ~inside], original[:, ~inside])
    fade = round(edits.FADE_SECONDS * RATE)
    assert torch.equal(whole[:, 200 + fade : 500 - fade], made[:, 200 + fade : 500 - fade])


def test_what_is_too_loud_is_scaled_and_the_original_is_not() -> None:
    original, made = torch.full((1, 2000), 0.9), torch.full((1, 2000), -3.0)
    made[:, 1500:] = 100.0  # outside of the region: it is not heard
    whole = edits.restored(made, original, [(0.2, 1.0)], RATE)
    assert float(whole.abs().max()) == 1
    assert torch.equal(whole[:, 1000:], original[:, 1000:])


def test_there_is_no_click_at_the_seams() -> None:
    """Between a constant and another the steps are those of the fade, nowhere a jump."""
    original, made = torch.zeros(1, 2000), torch.ones(1, 2000)
    whole = edits.restored(made, original, [(0.2, 0.5), (1.0, 1.03)], RATE)
    assert float(whole.diff().abs().max()) < 0.11
    assert (float(whole.max()), float(whole.min())) == (1, 0)


def test_behind_the_end_the_fade_lies_before_it() -> None:
    original, made = torch.zeros(1, 1000), torch.ones(1, 1500)
    whole = edits.restored(made, original, [(1.0, 1.5)], RATE)
    fade = round(edits.FADE_SECONDS * RATE)
    assert torch.equal(whole[:, : 1000 - fade], original[:, : 1000 - fade])
    assert torch.equal(whole[:, 1000:], made[:, 1000:])
    assert float(whole.diff().abs().max()) < 0.11


def towards(target: float) -> samplers.StepNoise:
    """A velocity whose clean estimate is a constant."""

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = alpha_sigma(t)
        return (alpha * x - target) / sigma

    return velocity


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_what_is_kept_comes_out_as_it_went_in(name: str) -> None:
    """And is noised on the way as all else is: the model sees nothing that it was not trained on."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 20_000, generator=generator)
    keep = torch.zeros(20_000)
    keep[:10_000] = 1
    edit = Edit(clean_BDL=torch.full((1, 1, 20_000), 3.0), keep_L=keep)
    levels: list[tuple[float, float]] = []

    def watched(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = alpha_sigma(t)
        levels.append((float((x - alpha * 3)[..., :10_000].std()), float(sigma)))
        return towards(-1.0)(x, t)

    x0 = samplers.SAMPLERS[name](
        edit.hold(watched),
        noise,
        8,
        lambda _: torch.randn(noise.shape, generator=generator),
        edit.start(),
    )
    torch.testing.assert_close(x0[..., :10_000], edit.clean_BDL[..., :10_000], atol=2e-4, rtol=0)
    torch.testing.assert_close(x0[..., 10_000:], torch.full((1, 1, 10_000), -1.0), atol=2e-4, rtol=0)
    assert all(spread == pytest.approx(sigma, rel=0.03) for spread, sigma in levels)


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_the_strength_says_how_much_noise_is_added(name: str) -> None:
    """A model that knows but that the data are N(0, 1) leaves more of the beginning the less is added."""
    noise = torch.randn(1, 1, 20_000, generator=torch.Generator().manual_seed(0))
    clean = torch.randn(1, 1, 20_000, generator=torch.Generator().manual_seed(1))
    fresh = torch.Generator().manual_seed(2)
    likeness = []
    for strength in (0.05, 0.18, 0.19, 0.5, 0.9, 1.0):
        times: list[float] = []
        x0 = samplers.SAMPLERS[name](
            lambda x, t, times=times: times.append(float(t[0])) or 0 * x,  # v = 0 is best for N(0, 1)
            noise,
            12,
            lambda _: torch.randn(noise.shape, generator=fresh),
            Edit(clean_BDL=clean, time=strength).start(),
        )
        assert len(times) == 12
        assert times[0] == pytest.approx(min(strength, 0.99873), abs=1e-4 if name != "v-ddim" else 2e-3)
        likeness.append(float((x0 * clean).mean() / x0.std() / clean.std()))
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] > 0.9
    assert likeness[-1] < 0.1


def test_a_longer_sound_is_made_window_by_window(tiny: StableAudioModel) -> None:
    """Each window is told where it stands; what was made stays as it is, and there is no click."""
    window = tiny.config.num_frames / tiny.config.sample_rate
    sound, how = Sound(prompt="rain", seconds=2.5 * window, seed=1), Sampling(steps=2)
    told: list[tuple[float, float]] = []
    condition = tiny.condition
    tiny.condition = lambda p, s, t: told.append((*s, *t)) or condition(p, s, t)  # type: ignore[method-assign]
    seen: list[tuple[int, int]] = []
    audio = longer.generate(tiny, sound, how, progress=lambda *step: seen.append(step))
    assert audio.shape == (2, round(2.5 * window * tiny.config.sample_rate))
    assert audio.isfinite().all()
    assert seen[-1] == (6, 6)
    assert [total for _, total in told] == [sound.seconds] * 3
    assert torch.equal(audio, longer.generate(tiny, sound, how))
    (short,) = tiny.generate([Sound(prompt="rain", seconds=window / 2, seed=1)], how)
    longer_again = longer.generate(tiny, Sound(prompt="rain", seconds=window / 2, seed=1), how)
    assert torch.equal(short, longer_again)
    with pytest.raises(UsageError, match="try --set beyond_window=true"):
        tiny.generate([sound], how)


@pytest.mark.parametrize(("wanted", "windows"), [(1, 1), (16, 1), (17, 2), (28, 2), (29, 3), (40, 3)])
def test_windows_overlap_by_a_quarter(wanted: int, windows: int) -> None:
    assert longer.num_windows(16, wanted) == windows
