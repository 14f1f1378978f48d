"""Distances of reconstructions are those of auraloss, item by item."""

import warnings

import pytest
import torch

from sao_model.metrics import reconstruction

RATE = 44_100


def pair(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    original = torch.randn(3, 2, 8192, generator=generator) * torch.tensor([1.0, 0.1, 1e-3])[:, None, None]
    noise = torch.randn(3, 2, 8192, generator=generator)
    return {
        "noisy": original + 0.1 * noise,
        "silent": torch.zeros_like(original),
        "shifted": original.roll(7, -1) + 0.02,
        "louder": 3 * original,
    }[kind], original


@pytest.mark.parametrize("kind", ["noisy", "silent", "shifted", "louder"])
def test_distances_are_those_of_auraloss(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from auraloss.freq import MelSTFTLoss, STFTLoss
        from auraloss.time import SISDRLoss

        mel = MelSTFTLoss(RATE)
    output, original = pair(kind)
    ours = reconstruction.distances(output, original, RATE)
    for at in range(3):
        one, other = output[at : at + 1], original[at : at + 1]
        theirs = {"stft": STFTLoss()(one, other), "mel": mel(one, other), "si_sdr": -SISDRLoss()(one, other)}
        for name, value in theirs.items():
            assert float(ours[name][at]) == pytest.approx(float(value), rel=1e-4), (kind, name, at)


def test_a_copy_has_no_distance() -> None:
    _, original = pair("noisy")
    found = reconstruction.distances(original, original, RATE)
    assert found["stft"].abs().max() == found["mel"].abs().max() == 0
    assert found["si_sdr"].min() > 50  # dB; bounded by the epsilons
