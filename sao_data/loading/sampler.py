"""The order in which samples are trained on: a pure function of the sample list, a seed and a position.

    position 0, 1, 2, … (endless)  ->  epoch = position // N, place = position % N  ->  sample

Each epoch is a permutation of all N samples: shards are shuffled and taken in groups, samples are shuffled
inside their group, so that only a group's shards are read at a time. Ranks, threads and the batch size do not
enter: step k takes the next B places, rank r of W the r-th of W equal parts of them, and a batch may run
across the end of an epoch. So a position is all that a resume needs, on any number of ranks.

Shuffling sorts by raw 64-bit words of PCG64, whose stream NumPy guarantees between versions (NEP 19); its
`permutation` it does not.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSample:
    """One place of the endless order."""

    position: int
    sample: int  # index into the dataset's samples, sorted by shard and place in the shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The order of one dataset under one seed."""

    shard_sizes: tuple[int, ...]  # samples in each shard, shards sorted by name
    seed: int
    shards_per_group: int

    @property
    def num_samples(self) -> int:
        """Places in an epoch (N)."""
        return sum(self.shard_sizes)

    def permutation(self, epoch: int) -> Indices:
        """Sample indices in the order of this epoch."""
        bits = generator("order", self.seed, epoch).bit_generator
        ends = np.cumsum(self.shard_sizes, dtype=np.int64)
        samples = [np.arange(end - size, end) for end, size in zip(ends, self.shard_sizes, strict=True)]
        shards = [samples[i] for i in _shuffled(len(samples), bits)]
        groups = []
        for first in range(0, len(shards), self.shards_per_group):
            group = np.concatenate(shards[first : first + self.shards_per_group])
            groups.append(group[_shuffled(len(group), bits)])
        return np.concatenate(groups)

    def places(self, start: int) -> Iterator[PlannedSample]:
        """Every place from a position on, without end."""
        epoch, place = divmod(start, self.num_samples)
        for number in itertools.count(epoch):
            permutation = self.permutation(number)
            for at in range(place, self.num_samples):
                yield PlannedSample(position=number * self.num_samples + at, sample=int(permutation[at]))
            place = 0

    def batches(
        self, batch_size: int, start: int, skip: frozenset[int]
    ) -> Iterator[tuple[PlannedSample, ...]]:
        """Global batches from a position on; skipped samples' places are passed over, so batches stay
        full."""
        assert len(skip) < self.num_samples, "nothing is left to draw from"
        live = (planned for planned in self.places(start) if planned.sample not in skip)
        while True:
            yield tuple(itertools.islice(live, batch_size))

    def draws(self, position: int, skipped_from: Mapping[int, int]) -> Indices:
        """How often each sample was drawn before a position; a skipped one only before it was skipped."""
        epoch, place = divmod(position, self.num_samples)
        draws = np.full(self.num_samples, epoch, dtype=np.int64)
        if place:
            draws[self.permutation(epoch)[:place]] += 1
        for sample, since in skipped_from.items():
            draws[sample] = min(draws[sample], self._draws_of(sample, since))
        return draws

    def _draws_of(self, sample: int, position: int) -> int:
        epoch, place = divmod(position, self.num_samples)
        return epoch + int(place > 0 and sample in self.permutation(epoch)[:place])


def generator(*name: object) -> np.random.Generator:
    """A random generator that depends on these words and numbers alone."""
    text = "\n".join(str(part) for part in name)
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")))


def _shuffled(num: int, bits: np.random.BitGenerator) -> Indices:
    words: npt.NDArray[np.uint64] = bits.random_raw(num)
    return np.argsort(words, kind="stable")
