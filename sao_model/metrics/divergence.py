"""Kullback-Leibler divergence of what a tagger hears in two versions of one scene (paper 5.2; KL-PaSST of
stable-audio-metrics): windows of ten seconds, five apart; the mean of their logits; softmax; KL(measured ||
reference), since that is the order in which the published numbers were made.

    N pairs   W windows   C classes
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

WINDOW_SECONDS, STEP_SECONDS = 10.0, 5.0
_LEAST = 1e-6  # added to the reference's probabilities, as in the published code


def probabilities(logits_WC: npt.ArrayLike) -> Doubles:
    """(C,): softmax of the mean over a clip's windows of the tagger's logits."""
    mean = np.asarray(logits_WC, np.float64).mean(axis=0)
    raised = np.exp(mean - mean.max())
    return np.asarray(raised / raised.sum())


def divergences(measured_NC: npt.ArrayLike, reference_NC: npt.ArrayLike) -> Doubles:
    """(N,) in nats; both are probabilities, a pair a row."""
    measured, reference = np.asarray(measured_NC, np.float64), np.asarray(reference_NC, np.float64)
    assert measured.shape == reference.shape, (measured.shape, reference.shape)
    own = np.where(measured > 0, measured * np.log(np.where(measured > 0, measured, 1)), 0)
    return np.asarray((own - measured * np.log(reference + _LEAST)).sum(axis=1))


def window_starts(num_frames: int, sample_rate: int) -> list[int]:
    """First frames of a clip's windows: every five seconds as long as ten fit; one for a shorter clip."""
    window, step = round(WINDOW_SECONDS * sample_rate), round(STEP_SECONDS * sample_rate)
    return list(range(0, max(num_frames - window, 0) + 1, step))
