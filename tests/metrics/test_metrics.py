"""Metrics over embeddings and probabilities: against closed forms, torchmetrics, and in simulation."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg
from scipy.stats import entropy

from sao_model.metrics import coverage, divergence, frechet, intervals, kernel


def made(seed: int, num: int, dimensions: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Correlated normal embeddings, (num, dimensions)."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(num, dimensions)) @ random.normal(size=(dimensions, dimensions))
    return scale * mixed + shift


@pytest.mark.parametrize(
    ("num", "dimensions"), [(400, 16), (400, 128), (50, 128), (2, 8)], ids=["many", "wide", "singular", "two"]
)
def test_the_frechet_distance_is_torchmetrics_and_that_of_a_matrix_root(num: int, dimensions: int) -> None:
    one, other = made(1, num, dimensions), made(2, num, dimensions, 1.3, 0.2)
    found = frechet.distance(frechet.fit(one), frechet.fit(other))
    means, covariances = (one.mean(0), other.mean(0)), (np.cov(one.T), np.cov(other.T))
    moments = [frechet.from_moments(*pair) for pair in zip(means, covariances, strict=True)]
    assert frechet.distance(*moments) == pytest.approx(found, rel=1e-6)
    if num > dimensions:  # where a matrix root is safe
        root = linalg.sqrtm(covariances[0] @ covariances[1])
        trace = np.trace(covariances[0] + covariances[1] - 2 * root.real)
        assert found == pytest.approx(np.square(means[0] - means[1]).sum() + trace, rel=1e-6)
    image = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics (a test oracle) is not there")
    oracle = image.FrechetInceptionDistance(feature=_Passed(dimensions), normalize=True).set_dtype(
        torch.float64
    )
    oracle.update(torch.from_numpy(one), real=True)
    oracle.update(torch.from_numpy(other), real=False)
    assert found == pytest.approx(float(oracle.compute()), rel=1e-6)


class _Passed(torch.nn.Module):
    """Embeddings pass as images."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize("spread", [(1.0, 2.0), (1.0, 0.0), (0.0, 0.0)])
def test_the_frechet_distance_of_commuting_covariances(spread: tuple[float, float]) -> None:
    one = frechet.from_moments(np.zeros(3), spread[0] ** 2 * np.eye(3))
    other = frechet.from_moments(np.array([1.0, 2.0, 2.0]), spread[1] ** 2 * np.eye(3))
    assert frechet.distance(one, other) == pytest.approx(9 + 3 * (spread[0] - spread[1]) ** 2, rel=1e-12)
    assert frechet.distance(other, other) == pytest.approx(0, abs=1e-9)


def test_too_few_clips_for_the_covariance_are_known() -> None:
    assert [frechet.fit(made(1, num, 4)).is_full_rank for num in (4, 5)] == [False, True]


def of_kernel(squared: float, dimensions: int, width: float) -> float:
    """Expected Gaussian kernel of two standard normal points whose means lie so far apart."""
    return (width**2 / (width**2 + 2)) ** (dimensions / 2) * math.exp(-squared / (2 * (width**2 + 2)))


def test_the_kernel_distance_is_unbiased_and_its_interval_holds_the_truth() -> None:
    random, dimensions, width, num = np.random.default_rng(3), 8, 4.0, 1_000
    truth = 200 * (of_kernel(0, dimensions, width) - of_kernel(0.25 * dimensions, dimensions, width))
    found = [
        kernel.distance(
            random.normal(size=(40, dimensions)), random.normal(size=(60, dimensions)) + 0.5, bandwidth=width
        )
        for _ in range(num)
    ]
    values = np.array([each.value for each in found])
    assert abs(values.mean() - truth) < 3 * values.std() / math.sqrt(num)
    assert 0.93 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.97


def test_the_kernel_distance_by_hand_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = made(1, 7, 3), made(2, 5, 3, shift=1.0)
    pairs = np.linalg.norm(one[:, None] - one[None], axis=2)[np.triu_indices(7, 1)]
    width = float(np.median(pairs))
    assert kernel.bandwidth_of(one) == pytest.approx(width)

    def mean(a: np.ndarray, b: np.ndarray, *, is_same: bool) -> float:
        values = [
            math.exp(-float(np.square(x - y).sum()) / (2 * width**2))
            for n, x in enumerate(a) for m, y in enumerate(b) if not (is_same and n == m)
        ]  # fmt: skip
        return sum(values) / len(values)

    wanted = 100 * (
        mean(one, one, is_same=True) + mean(other, other, is_same=True) - 2 * mean(one, other, is_same=False)
    )
    whole = kernel.distance(one, other)
    assert whole.value == pytest.approx(wanted, rel=1e-9)
    monkeypatch.setattr(kernel, "_ROWS", 2)
    assert kernel.distance(one, other).low == pytest.approx(whole.low, rel=1e-9)


def test_coverage_of_sets_that_are_alike_apart_and_narrow() -> None:
    one = made(1, 300, 4)
    same, far = coverage.coverage(one, made(1, 300, 4) + 1e-9), coverage.coverage(one, one + 1e3)
    narrow = coverage.coverage(one, np.repeat(one[:1], 300, axis=0) + 1e-6 * made(5, 300, 4))
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert same.density == pytest.approx(1.0, abs=0.25)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    assert narrow.precision > 0.9
    assert narrow.recall < 0.1


def test_divergence_has_the_published_direction_and_epsilon() -> None:
    measured, reference = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]]), np.array([[0.2, 0.3, 0.5]] * 2)
    found = divergence.divergences(measured, reference)
    assert found[0] == pytest.approx(entropy(measured[0], reference[0]), rel=1e-5)
    published = torch.nn.functional.kl_div(
        (torch.from_numpy(reference) + 1e-6).log(), torch.from_numpy(measured), reduction="none"
    ).sum(1)
    assert found == pytest.approx(published.numpy(), rel=1e-9)
    logits = np.log(np.array([[0.5, 0.5, 1e-3], [0.9, 0.1, 1e-3]]))
    mean = np.exp(logits.mean(0))
    assert divergence.probabilities(logits) == pytest.approx(mean / mean.sum())
    seconds = {4.0: [0], 10.0: [0], 14.9: [0], 15.0: [0, 5], 47.0: [0, 5, 10, 15, 20, 25, 30, 35]}
    for length, starts in seconds.items():
        assert divergence.window_starts(round(length * 100), 100) == [100 * start for start in starts]


@pytest.mark.parametrize("shape", ["normal", "exponential"])
def test_intervals_of_means_hold_the_truth(shape: str) -> None:
    random = np.random.default_rng(4)
    draws = {"normal": lambda: random.normal(1, 2, 50), "exponential": lambda: random.exponential(1, 100)}
    found = [intervals.of_mean(draws[shape](), num_resamples=300, seed=n) for n in range(1_000)]
    assert 0.93 <= np.mean([each.low <= 1 <= each.high for each in found]) <= 0.97


def test_intervals_of_a_biased_distance_hold_the_truth() -> None:
    random, dimensions = np.random.default_rng(5), 4
    truth, held = dimensions * 0.25 + dimensions * 0.25, 0
    for n in range(200):
        one = random.normal(size=(200, dimensions))
        other = 0.5 + 1.5 * random.normal(size=(200, dimensions))
        found = intervals.of_statistic(
            lambda a, b, one=one, other=other: frechet.distance(frechet.fit(one[a]), frechet.fit(other[b])),
            (200, 200), num_resamples=100, seed=n,
        )  # fmt: skip
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 200 <= 0.985


def test_pairs_tell_a_difference_that_sets_hide_and_equal_values_have_no_width() -> None:
    prompts = np.random.default_rng(6).normal(0, 10, 50)
    found = intervals.of_difference(prompts, prompts + 0.5)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert intervals.of_mean([2.0, 2.0, 2.0]).low == 2.0
    few = intervals.of_mean([0.0, 0.0, 0.0, 0.0, 5.0])  # mean 1, standard error 1, t of 4 degrees 2.776
    assert (few.value, few.low, few.high) == pytest.approx((1, 1 - 2.776, 1 + 2.776), abs=1e-3)
    assert math.isnan(intervals.of_mean([2.0]).low)
