"""Our pages against diffusers' own code: our random weights, exported to its names, give the same numbers."""

import pytest
import torch
from torch import Tensor, nn

from sao_model import checkpoint, guidance, released, samplers
from sao_model.model import StableAudioModel

diffusers = pytest.importorskip("diffusers", reason="diffusers (a test oracle) is not installed")
pytest.importorskip("torchsde", reason="torchsde (diffusers' scheduler needs it) is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # theirs: old-style weight norm
    pytest.mark.filterwarnings("ignore::UserWarning"),  # theirs: the end points of the Brownian tree
]
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> StableAudioModel:
    """The tiny preset with nothing left at its zero initialisation."""
    model = checkpoint.from_preset("tiny", seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in [*model.codec.parameters(), *model.dit.parameters()]:
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="module")
def theirs(model: StableAudioModel) -> dict[str, nn.Module]:
    shape, net = model.config.codec, model.config.dit
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel

    modules = {
        "vae": diffusers.AutoencoderOobleck(
            encoder_hidden_size=2 * shape.latent_dim,
            downsampling_ratios=list(shape.strides),
            channel_multiples=list(shape.multiples),
            decoder_channels=shape.width,
            decoder_input_channels=shape.latent_dim,
        ),
        "transformer": diffusers.StableAudioDiTModel(
            sample_size=64,
            in_channels=net.latent_dim,
            out_channels=net.latent_dim,
            num_layers=net.num_layers,
            num_attention_heads=net.num_heads,
            num_key_value_attention_heads=net.cross_dim // 64,
            cross_attention_dim=net.cross_dim,
            cross_attention_input_dim=net.cross_dim,
            global_states_input_dim=net.global_dim,
        ),
        "projection_model": StableAudioProjectionModel(net.cross_dim, net.cross_dim, 0, 512),
    }
    for part, tensors in released.export(model, released.diffusers).items():
        modules[part].load_state_dict(tensors)
    return modules


def distance(ours: Tensor, other: Tensor) -> float:
    assert ours.shape == other.shape, (ours.shape, other.shape)
    return float((ours.double() - other.double()).abs().max() / other.double().abs().max())


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_codec(model: StableAudioModel, theirs: dict[str, nn.Module]) -> None:
    wav_BCT = 0.3 * normal(2, 2, 16 * model.config.codec.hop, seed=3)
    z_BDL = normal(2, model.config.codec.latent_dim, 16, seed=4)
    with torch.no_grad():
        posterior, other = model.codec.encode(wav_BCT), theirs["vae"].encode(wav_BCT).latent_dist
        assert distance(posterior.mean_BDL, other.mean) < 1e-5
        assert distance(posterior.std_BDL, other.std) < 1e-5
        assert distance(posterior.kl(), other.kl()) < 1e-5
        assert distance(model.codec.decode(z_BDL), theirs["vae"].decode(z_BDL).sample) < 1e-5


def test_seconds(model: StableAudioModel, theirs: dict[str, nn.Module]) -> None:
    seconds_B = torch.tensor([0.0, 0.1, 47.0, 600.0])
    with torch.no_grad():
        other = theirs["projection_model"](None, seconds_B.clone(), seconds_B.clone())
        start = model.conditioners["seconds_start"](seconds_B)
        total = model.conditioners["seconds_total"](seconds_B)
    assert distance(start, other.seconds_start_hidden_states) < 1e-6
    assert distance(total, other.seconds_end_hidden_states) < 1e-6


def inputs(model: StableAudioModel) -> tuple[Tensor, Tensor, guidance.Conditioning]:
    with torch.no_grad():
        conditioning = model.condition(["rain on a roof", "drum loop, 120 bpm"], [0.0, 3.0], [2.0, 40.0])
    return normal(2, model.config.dit.latent_dim, 40, seed=5), torch.tensor([0.1855, 0.9]), conditioning


def test_transformer(model: StableAudioModel, theirs: dict[str, nn.Module]) -> None:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    x_BDL, t_B, conditioning = inputs(model)
    with torch.no_grad():
        v = guidance.conditioned(model.dit, conditioning)(x_BDL, t_B)
        other = theirs["transformer"](
            x_BDL,
            t_B,
            conditioning.cross_BSC,
            conditioning.global_BG[:, None],
            rotary_embedding=get_1d_rotary_pos_embed(
                32, x_BDL.shape[-1] + 1, use_real=True, repeat_interleave_real=False
            ),
            return_dict=False,
        )[0]
    assert distance(v, other) < 3e-6


def test_sampler_with_their_noise(model: StableAudioModel) -> None:
    """Their scheduler's Brownian tree, recorded at each step, drives our sampler to the same latents."""
    _, _, both = inputs(model)
    conditioning = guidance.Conditioning(cross_BSC=both.cross_BSC[:1], global_BG=both.global_BG[:1])
    velocity = guidance.cfg(model.dit, conditioning, scale=3)
    noise_BDL, recorded = normal(1, model.config.dit.latent_dim, 40, seed=6), []
    scheduler = diffusers.CosineDPMSolverMultistepScheduler(solver_type="midpoint")
    scheduler.set_timesteps(10)
    x = noise_BDL * scheduler.init_noise_sigma
    with torch.no_grad():
        for t in scheduler.timesteps:
            v = velocity(scheduler.scale_model_input(x, t), t.expand(1))
            tree, i = scheduler.noise_sampler, scheduler.step_index
            x = scheduler.step(v, t, x, generator=torch.Generator().manual_seed(7)).prev_sample
            recorded.append((tree or scheduler.noise_sampler)(scheduler.sigmas[i], scheduler.sigmas[i + 1]))
        ours = samplers.dpmpp_2m_sde(velocity, noise_BDL, 10, lambda step: recorded[step])
    assert distance(ours, x) < 1e-4
