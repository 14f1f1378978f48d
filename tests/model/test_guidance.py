import pytest
import torch
from torch import Tensor

from sao_model import guidance
from sao_model.guidance import Conditioning


def conditioning(batch: int = 1) -> Conditioning:
    return Conditioning(cross_BSC=torch.ones(batch, 3, 2), global_BG=torch.full((batch, 4), 2.0))


def echo(x: Tensor, t: Tensor, cross: Tensor, everywhere: Tensor) -> Tensor:
    """A model whose velocity says what it was told."""
    return (
        x + 10 * cross.mean((1, 2), keepdim=True) + 100 * everywhere.mean(1)[:, None, None] + t[:, None, None]
    )


def test_guidance_goes_beyond_nothing_and_keeps_the_global_part() -> None:
    x, t = torch.zeros(1, 1, 1), torch.tensor([0.5])
    assert guidance.cfg(echo, conditioning(), scale=7)(x, t).item() == 200.5 + 7 * 10


def test_a_negative_prompt_takes_the_place_of_nothing() -> None:
    x, t = torch.zeros(1, 1, 1), torch.tensor([0.5])
    guided = guidance.cfg(echo, conditioning(), scale=3, negative_BSC=torch.full((1, 3, 2), -1.0))
    assert guided(x, t).item() == 200.5 - 10 + 3 * 20


def test_scale_one_evaluates_once() -> None:
    sizes = []
    model = lambda x, *rest: sizes.append(len(x)) or echo(x, *rest)  # noqa: E731
    x, t = torch.zeros(1, 1, 1), torch.tensor([0.5])
    assert guidance.cfg(model, conditioning(), scale=1)(x, t).item() == 210.5
    guidance.cfg(model, conditioning(), scale=2)(x, t)
    assert sizes == [1, 2]


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_dropout_zeroes_whole_rows_and_never_the_global_part(share: float) -> None:
    dropped = guidance.drop_conditioning(conditioning(4000), share, torch.Generator().manual_seed(0))
    rows = dropped.cross_BSC.flatten(1)
    assert ((rows == 0).all(1) | (rows == 1).all(1)).all()
    assert float((rows == 0).all(1).float().mean()) == pytest.approx(share, abs=0.015)
    assert torch.equal(dropped.global_BG, conditioning(4000).global_BG)
