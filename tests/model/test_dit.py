import pytest
import torch

from sao_model import dit
from sao_model.dit import Config, DiT

SMALL = Config(latent_dim=4, width=128, num_layers=2, num_heads=2, cross_dim=64, global_dim=128)
torch.set_num_threads(1)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(*, awake: bool = True) -> DiT:
    """Random weights; `awake` moves them away from the zero initialisation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DiT(SMALL)
        with torch.no_grad():
            for parameter in model.parameters() if awake else ():
                parameter += 0.05 * torch.randn(parameter.shape)
    return model


def inputs(length: int = 9) -> tuple[torch.Tensor, ...]:
    return normal(2, 4, length), torch.tensor([0.2, 0.8]), normal(2, 5, 64, seed=1), normal(2, 128, seed=2)


def test_a_new_model_is_linear_and_hears_nothing() -> None:
    model = small(awake=False)
    x, t, cross, everywhere = inputs()
    with torch.no_grad():
        v = model(x, t, cross, everywhere)
        torch.testing.assert_close(v, model(x, 1 - t, -cross, -everywhere))
        torch.testing.assert_close(model(2 * x, t, cross, everywhere), 2 * v)


def test_every_input_matters() -> None:
    model, given = small(), inputs()
    with torch.no_grad():
        v = model(*given)
        for number in range(4):
            changed = [value * 0.5 if n == number else value for n, value in enumerate(given)]
            assert not torch.allclose(model(*changed), v, atol=1e-4), number


def test_padding_tokens_take_part() -> None:
    """No mask: more zero tokens dilute the others (model.md 5)."""
    model = small()
    x, t, cross, everywhere = inputs()
    with torch.no_grad():
        longer = model(x, t, torch.cat([cross, torch.zeros_like(cross)], dim=1), everywhere)
        assert not torch.allclose(longer, model(x, t, cross, everywhere), atol=1e-4)


def test_rotation_depends_on_distance_only_and_leaves_half_alone() -> None:
    x = normal(1, 1, 1, 64).expand(1, 1, 6, 64)
    turned = dit.rotate(x, dit.rotary(6, x.device))
    assert torch.equal(turned[..., 32:], x[..., 32:])
    torch.testing.assert_close(turned[..., 0, :], x[..., 0, :])
    near = (turned[0, 0, 1] * turned[0, 0, 3]).sum()
    torch.testing.assert_close(near, (turned[0, 0, 3] * turned[0, 0, 5]).sum())
    assert not torch.allclose(near, (turned[0, 0, 0] * turned[0, 0, 5]).sum())


def test_recomputing_blocks_changes_no_gradient() -> None:
    model, gradients = small(), []
    for on in (False, True):
        model.checkpointing = on
        model.zero_grad()
        model(*inputs()).square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert len(gradients[0]) == len(list(model.parameters()))
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_what_was_told_once_gives_the_same_velocity() -> None:
    model, (x, t, cross, everywhere) = small(), inputs()
    with torch.no_grad():
        v = model.velocity(x, t, model.told(cross, everywhere))
        torch.testing.assert_close(
            v, model(x, t, cross, everywhere), rtol=0, atol=1e-6 * float(v.abs().max())
        )


@pytest.mark.parametrize("gradients", [False, True])
def test_told_nothing_is_told_zeros(gradients: bool) -> None:
    """Left out exactly: the half of a batch that is told nothing equals one that is told zeros."""
    model, (x, t, cross, everywhere) = small(), inputs()
    twice = [torch.cat([value, value]) for value in (x, t, everywhere)]
    with torch.set_grad_enabled(gradients):
        v = model.velocity(*twice[:2], model.told_with_nothing(cross, everywhere))
        zeros = model(*twice[:2], torch.cat([cross, torch.zeros_like(cross)]), twice[2])
        alone = [model(x, t, tokens, everywhere) for tokens in (cross, torch.zeros_like(cross))]
    v = v.detach()
    for other in (zeros.detach(), torch.cat(alone).detach()):
        assert float((v - other).abs().max() / other.abs().max()) < 1e-6
    assert not torch.allclose(v[:2], v[2:], atol=1e-3)


def test_a_feed_forward_layer_by_columns_is_the_same_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = small().blocks[0].ff, normal(2, 9, 128)
    whole = layer(x)  # with gradients: not cut
    with torch.no_grad():
        for columns in (100, 512, 3072):  # of 512
            monkeypatch.setattr(dit, "_COLUMNS", columns)
            torch.testing.assert_close(layer(x), whole.detach(), rtol=1e-5, atol=1e-5)


def test_an_adapter_around_a_feed_forward_layer_is_not_passed_by() -> None:
    class Louder(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * self.inner(x)

    layer, x = small().blocks[0].ff, normal(2, 9, 128)
    with torch.no_grad():
        layer.out = Louder(layer.out)
        doubled = layer(x)
        layer.out = layer.out.inner
        torch.testing.assert_close(doubled, 2 * layer(x), rtol=1e-5, atol=1e-5)


def test_half_precision_stays_near() -> None:
    model, given = small(), inputs()
    with torch.no_grad():
        v = model(*given)
        with torch.autocast("cpu", torch.bfloat16):
            cast = model(*given)
        half = model.bfloat16()(*(value.bfloat16() for value in given))
    assert half.dtype == torch.bfloat16
    for other in (cast, half):
        assert float((other.float() - v).square().mean().sqrt() / v.square().mean().sqrt()) < 2e-2
