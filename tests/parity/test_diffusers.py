"""Our pages against diffusers' own code: our random weights, exported to its names, give the same numbers.

Two sizes: the preset "tiny", and a middle one of the real strides. Samplers run their steps with their
transformer, ours with ours; compared is what the transformers are fed at each step, and the end.
Not compared is "dpmpp-3m-sde": diffusers has a third order step only with another weight of its curvature;
tests/model/test_samplers.py holds ours against figures of k-diffusion.
"""

from collections.abc import Callable

import pytest
import torch

from sao_model import guidance, preset, samplers
from sao_model.guidance import Conditioning
from tests.parity import oracle
from tests.parity.recording import normal

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # theirs: old-style weight norm
    pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning"),  # theirs: their general solver
    pytest.mark.filterwarnings("ignore::UserWarning"),  # theirs: the end points of the Brownian tree
]
torch.set_num_threads(1)

NUM_LATENTS = 16


@pytest.fixture(scope="module", params=["tiny", "middle"])
def pair(request: pytest.FixtureRequest) -> oracle.Both:
    config = preset.read("tiny") if request.param == "tiny" else oracle.middle()
    return oracle.both(request.param, config)


@torch.no_grad()
def test_codec(pair: oracle.Both) -> None:
    shape = pair.ours.config.codec
    wav_BCT = 0.3 * normal(2, 2, 6 * shape.hop, seed=3)
    ours, theirs = pair.ours.codec.encode(wav_BCT), pair.vae.encode(wav_BCT).latent_dist
    pair.check("mean", ours.mean_BDL, theirs.mean, 1e-5)
    pair.check("standard deviation", ours.std_BDL, theirs.std, 1e-5)
    generators = [torch.Generator().manual_seed(8) for _ in range(2)]
    pair.check("sample", ours.sample(generators[0]), theirs.sample(generators[1]), 1e-5)
    pair.check("divergence", ours.kl(), theirs.kl(), 1e-5)
    z_BDL = normal(2, shape.latent_dim, 6, seed=4)
    pair.check("decoded", pair.ours.codec.decode(z_BDL), pair.vae.decode(z_BDL).sample, 1e-5)


@torch.no_grad()
def test_seconds(pair: oracle.Both) -> None:
    seconds_B = torch.tensor([0.0, 0.1, 10.5, 47.0, 512.0, 600.0])
    theirs = pair.projection(None, seconds_B.clone(), seconds_B.clone())
    start, total = (pair.ours.conditioners[f"seconds_{name}"](seconds_B) for name in ("start", "total"))
    pair.check("start", start, theirs.seconds_start_hidden_states, 1e-6)
    pair.check("total", total, theirs.seconds_end_hidden_states, 1e-6)


def told(pair: oracle.Both, batch: int) -> Conditioning:
    prompts = ["rain on a roof", "drum loop, 120 bpm, with a bass line and some bells"]  # both are padded
    with torch.no_grad():
        both = pair.ours.condition(prompts, [0.0, 3.0], [2.0, 40.0])
    rows = torch.arange(batch) % 2
    return Conditioning(cross_BSC=both.cross_BSC[rows], global_BG=both.global_BG[rows])


@torch.no_grad()
def test_velocity(pair: oracle.Both) -> None:
    """Two sounds at each of five times."""
    t_B = torch.tensor([0.0, 0.1855, 0.5, 0.9987, 1.0]).repeat_interleave(2)
    x_BDL, conditioning = normal(10, pair.ours.config.dit.latent_dim, NUM_LATENTS, seed=5), told(pair, 10)
    plain = guidance.conditioned(pair.ours.dit, conditioning)(x_BDL, t_B)
    theirs = pair.velocity(x_BDL, t_B, conditioning)
    guided = guidance.cfg(pair.ours.dit, conditioning, scale=7)(x_BDL, t_B)
    their_guided = pair.guided(conditioning, 7)(x_BDL, t_B)
    for at in range(0, 10, 2):
        rows, t = slice(at, at + 2), float(t_B[at])
        pair.check(f"velocity at {t:.4f}", plain[rows], theirs[rows], 3e-6)
        pair.check(f"guided at {t:.4f}", guided[rows], their_guided[rows], 2e-5)


@torch.no_grad()
def compare(
    pair: oracle.Both,
    name: str,
    theirs: Callable[..., oracle.Run],
    tolerance: float,
    noise_of: Callable[[oracle.Run], samplers.StepNoise],
) -> None:
    conditioning = told(pair, 1)
    noise_BDL = normal(1, pair.ours.config.dit.latent_dim, NUM_LATENTS, seed=6)
    other, ours = theirs(pair.guided(conditioning, 7), noise_BDL, 10), oracle.Run()
    velocity = ours.watched(guidance.cfg(pair.ours.dit, conditioning, scale=7))
    ours.end = samplers.SAMPLERS[name](velocity, noise_BDL, 10, noise_of(other))
    assert len(ours.fed) == len(other.fed) == 10
    fed = torch.stack(ours.fed), torch.stack(other.fed)
    for step in range(10):
        pair.check(f"{name}, step {step}", fed[0][step], fed[1][step], tolerance)
    pair.check(f"{name}, end", ours.end, other.end, tolerance)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("dpmpp-2m-sde", "their_2m_sde"), ("dpmpp-2m", "their_2m"), ("v-ddim", "their_ddim")],
)
@pytest.mark.parametrize("pair", ["tiny", pytest.param("middle", marks=pytest.mark.slow)], indirect=True)
def test_every_step_with_the_same_noise(name: str, theirs: str, pair: oracle.Both) -> None:
    compare(pair, name, getattr(oracle, theirs), 1e-4, lambda run: lambda step: run.noise[step])


@pytest.mark.parametrize("pair", ["tiny"], indirect=True)
def test_steps_with_a_brownian_tree_of_the_same_seed(pair: oracle.Both) -> None:
    """Not their noise but our own tree, asked at our own levels: a last bit of these may move the noise."""
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    def noise_of(run: oracle.Run) -> samplers.StepNoise:
        levels = samplers.sigmas(10)
        tree = BrownianTreeNoiseSampler(run.end, sigma_min=0.3, sigma_max=500.0, seed=oracle.SEED)
        return lambda step: tree(levels[step], levels[step + 1])

    compare(pair, "dpmpp-2m-sde", oracle.their_2m_sde, 2e-3, noise_of)
