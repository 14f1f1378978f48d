import pytest
import torch
from torch import nn

from sao_model.training.ema import Config, Ema


def module(value: float) -> nn.Linear:
    linear = nn.Linear(1, 1, bias=False)
    nn.init.constant_(linear.weight, value)
    return linear


def taken(average: Ema, online: nn.Linear, value: float) -> None:
    nn.init.constant_(online.weight, value)
    average.update()


def test_decay_copies_twice_then_grows_to_beta() -> None:
    average, decays = Ema(module(0)), []
    for _ in range(5):
        average.update()
        decays.append(average.decay)
    assert decays == pytest.approx([0, 0, 1 - 2**-0.75, 1 - 3**-0.75, 1 - 4**-0.75])
    average.num_updates = 10**8
    assert average.decay == 0.9999


def test_average_of_a_constant_is_the_constant_and_of_a_step_lies_between() -> None:
    online = module(0)
    average = Ema(online, Config(update_after=0))
    for value in (2.0, 2.0, 2.0):
        taken(average, online, value)
    assert float(average.averages["weight"]) == 2
    taken(average, online, 4.0)
    assert 2 < float(average.averages["weight"]) < 4


def test_weights_come_back_after_a_look_at_the_average() -> None:
    online = module(1)
    average = Ema(online)
    with torch.no_grad():
        online.weight.fill_(5)
    with average.applied():
        assert float(online.weight.detach()) == 1
    assert float(online.weight.detach()) == 5


def test_a_restored_average_goes_on_equally() -> None:
    online, other = module(0), module(9)
    first, second = Ema(online), Ema(other, Config(device="cpu"))
    for value in range(6):
        taken(first, online, value)
    second.load_state_dict(first.state_dict())
    taken(first, online, 20)
    taken(second, other, 20)
    assert torch.equal(first.averages["weight"], second.averages["weight"])


def test_it_is_ema_pytorch_as_stable_audio_tools_calls_it() -> None:
    oracle = pytest.importorskip("ema_pytorch", reason="ema-pytorch (a test oracle) is not installed")
    online = module(0)
    theirs = oracle.EMA(online, beta=0.9999, power=3 / 4, update_every=1, update_after_step=1)
    ours = Ema(online)
    for value in (1.0, 5.0, -2.0, 7.0, 3.0, 4.0):
        with torch.no_grad():
            online.weight.fill_(value)
        theirs.update()
        ours.update()
        torch.testing.assert_close(ours.averages["weight"], theirs.ema_model.weight.detach())
