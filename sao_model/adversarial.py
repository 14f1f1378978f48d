"""What the discriminators and the codec learn from each other's work (paper 4.1; arXiv 2210.13438, 3.4).

Read as SAT's EncodecDiscriminator does: hinge loss, a mean over the verdict map of each scale; distances of
features, a mean over each map, then over the layers of a scale; all of it a mean over scales. (EnCodec itself
also hinges the codec's part at 1 and divides distances by the size of the real features.) Everything is a
mean over items of one size, in float32: averaged over processes it is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, relu

from sao_model.discriminator import Verdict


def discriminator_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """Hinge loss: real audio should score above 1, the codec's below -1; detach the codec's audio before."""
    pairs = zip(real, fake, strict=True)
    return _mean([_short_of_one(r.logits.float()) + _short_of_one(-f.logits.float()) for r, f in pairs])


def adversarial_loss(fake: Sequence[Verdict]) -> Tensor:
    """The codec's part: what it makes should score high, without a bound."""
    return _mean([-each.logits.float().mean() for each in fake])


def feature_matching_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """L1 between the features of the codec's audio and those of the real audio, which get no gradient."""
    scales = [zip(r.features, f.features, strict=True) for r, f in zip(real, fake, strict=True)]
    return _mean([_mean([l1_loss(f.float(), r.detach().float()) for r, f in layers]) for layers in scales])


def _short_of_one(logits: Tensor) -> Tensor:
    return relu(1 - logits).mean()


def _mean(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).mean()
