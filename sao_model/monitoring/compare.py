"""Does a run learn as known-good ones did? Where it leaves their bands, and what that usually means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_model.monitoring.bands import Band, Measured, Reference
from sao_model.monitoring.charts import shown
from sao_model.monitoring.logs import Points

_MOST_DATA_SHARE = 0.25  # of the time, waiting for data, in the latter half of a run
_LEAST_FALL = 0.05  # of a curve, in parts of its start; below, it is flat
_FALLS = 0.2  # of the band's mean, so that a flat curve says something

# Measure, on which side of the band, what it usually means; the first that fits counts.
_CAUSES = (
    (r"kl$", "above", "the KL term explodes: losses.kl is too small, or the learning rate too high"),
    (r"kl$", "below", "the latents carry little: losses.kl is too large"),
    (r"_gradient$", "below", "weights are frozen, or cut off from the loss"),
    (r"_gradient$", "above", "the learning rate or its warm-up is too high, or samples are broken"),
    (r"^judges$", "below", "the discriminators win: their learning rate is too high, or the codec's too low"),
    (r"^judges$", "above", "the discriminators learn too little: their learning rate, or adversary.start"),
    (r"si_sdr$", "above", "too good too soon: silent windows, or sounds of the validation are trained on"),
    (r"si_sdr$", "below", "phases are not learned: the discriminators, or losses.time"),
    (
        r"^adversarial$",
        "",
        "codec and discriminators are out of balance: learning rates, adversary.start",
    ),
    (r"^validation/ema/", "above", "if raw weights are inside, the averages lag behind: ema.beta"),
    (r"", "below", "too good too soon: silent windows, or sounds of the validation are trained on"),
    (r"", "above", "the learning rate is too high or too low, or a term of the loss is broken"),
)
_FLAT = "it does not learn: the learning rate is too low, or weights are frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Where a run leaves a band, and why that may be."""

    measure: str
    step: int
    value: float | None  # None: the run does not have this measure
    low: float
    high: float
    cause: str

    def __str__(self) -> str:
        value = "is missing" if self.value is None else f"is {shown(self.value)}"
        return (
            f"{self.measure} {value} at step {self.step:,}, outside {shown(self.low)} to {shown(self.high)}: "
            f"{self.cause}"
        )


def departures(measured: Measured, reference: Reference) -> list[Departure]:
    """Every measure that leaves its band, by step; UsageError if it does not compare."""
    check(measured, reference)
    found = [
        departure
        for name, band in reference.bands.items()
        if (departure := _leaves(name, measured, band)) is not None
    ]
    return sorted(
        [*found, *_apart_from_bands(measured, reference)], key=lambda each: (each.step, each.measure)
    )


def check(measured: Measured, reference: Reference) -> None:
    """UsageError if a run does not compare with the bands: other settings, another dataset, too short."""
    if measured.settings != reference.settings:
        raise UsageError(
            f"{measured.folder}: does not compare: its settings or its model differ from those of the bands "
            f"(model {reference.model}; how long, how often and the seed may differ)"
        )
    if measured.dataset and reference.dataset and measured.dataset != reference.dataset:
        raise UsageError(
            f"{measured.folder}: does not compare: trained on another dataset ({measured.dataset}; the "
            f"bands: {reference.dataset})"
        )
    if not num_common(measured, reference):
        raise UsageError(
            f"{measured.folder}: does not compare: no step in common with the bands; train on, or with the "
            "same pace.log_every"
        )


def num_common(measured: Measured, reference: Reference) -> int:
    """Points of all curves that are compared."""
    return sum(len(_common(measured.curves.get(n, []), band)) for n, band in reference.bands.items())


def _leaves(name: str, measured: Measured, band: Band) -> Departure | None:
    """The first step of a measure's first stay outside that is too long to be chance."""
    points = measured.curves.get(name, [])
    common = _common(points, band)
    if not common:
        if points or measured.step < band.steps[0]:
            return None
        low, high = band.mean[0] - band.tolerance[0], band.mean[0] + band.tolerance[0]
        missing = "it is not measured: another version, or a term of the loss is left out"
        return Departure(measure=name, step=band.steps[0], value=None, low=low, high=high, cause=missing)
    needed = 1 if len(common) < 4 else 2 if len(common) < 12 else 3
    outside = 0
    for at, (_, value, low, high) in enumerate(common):
        outside = 0 if low <= value <= high else outside + 1
        if outside == needed:
            step, value, low, high = common[at + 1 - needed]
            side = "above" if value > high else "below"
            cause = _FLAT if side == "above" and _is_flat(points, band) else _cause(name, side)
            return Departure(measure=name, step=step, value=value, low=low, high=high, cause=cause)
    return None


def _common(points: Points, band: Band) -> list[tuple[int, float, float, float]]:
    """Step, value, and the band's limits there, at steps that both have."""
    limits = {
        step: (mean - tolerance, mean + tolerance)
        for step, mean, tolerance in zip(band.steps, band.mean, band.tolerance, strict=True)
    }
    return [(step, value, *limits[step]) for step, value in points if step in limits]


def _is_flat(points: Points, band: Band) -> bool:
    """Does a curve stay where it began, while the band falls?"""
    last = max(step for step, _ in points)
    means = [mean for step, mean in zip(band.steps, band.mean, strict=True) if step <= last]
    values = [value for _, value in points]
    falls = means[0] - means[-1] > _FALLS * abs(means[0])
    return falls and values[0] - values[-1] < _LEAST_FALL * abs(values[0])


def _cause(name: str, side: str) -> str:
    return next(words for pattern, on, words in _CAUSES if on in ("", side) and re.search(pattern, name))


def _apart_from_bands(measured: Measured, reference: Reference) -> Iterator[Departure]:
    """What no band can tell: time that is waited for data, steps that were not finite."""
    shares = measured.data_shares[len(measured.data_shares) // 2 :]
    if shares and (mean := sum(shares) / len(shares)) > _MOST_DATA_SHARE:
        yield Departure(
            measure="data_share",
            step=measured.step,
            value=mean,
            low=0,
            high=_MOST_DATA_SHARE,
            cause="samples come too slowly: stream.num_threads, or the storage",
        )
    if measured.num_skipped > reference.most_skipped:
        yield Departure(
            measure="skipped",
            step=measured.step,
            value=measured.num_skipped,
            low=0,
            high=reference.most_skipped,
            cause="steps were not finite: the samples are in the log; precision, or the learning rate",
        )
