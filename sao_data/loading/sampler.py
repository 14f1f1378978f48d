"""The order in which samples are trained on: a pure function of the sample list, a seed and a position.

    position 0, 1, 2, … (endless)  ->  epoch = position // N, place = position % N  ->  sample, chunk

Each epoch is a permutation of all N samples, or of all chunks where samples have some (chunks.py). Shards
are shuffled and taken in groups, samples are shuffled inside their group, so that only a group's shards are
read at a time. Ranks, threads and the batch size do not enter: step k takes the next B places, rank r of W
the r-th of W equal parts of them, and a batch may run across the end of an epoch. So a position is all that a
resume needs, on any number of ranks.

Shuffling sorts by raw 64-bit words of PCG64, whose stream NumPy guarantees between versions (NEP 19); its
`permutation` it does not.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSample:
    """One place of the endless order."""

    position: int
    epoch: int
    sample: int  # index into the dataset's samples, sorted by shard and place in the shard
    chunk: int = 0  # of the sample's chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The order of one dataset under one seed."""

    shard_sizes: tuple[int, ...]  # samples in each shard, shards sorted by name
    seed: int
    shards_per_group: int
    num_chunks: Indices | None = field(default=None, compare=False)  # of each sample; None: one each

    @property
    def num_samples(self) -> int:
        """Samples in all, those without chunks too."""
        return sum(self.shard_sizes)

    @property
    def num_places(self) -> int:
        """Places in an epoch (N)."""
        return self.num_samples if self.num_chunks is None else int(self.num_chunks.sum())

    def permutation(self, epoch: int) -> Indices:
        """Numbers of the samples, or of their chunks (sample by sample), in the order of this epoch."""
        bits = generator("order", self.seed, epoch).bit_generator
        ends = self._firsts()[np.cumsum(self.shard_sizes)]
        numbers = [np.arange(*each) for each in itertools.pairwise([0, *ends.tolist()])]
        shards = [numbers[i] for i in _shuffled(len(numbers), bits)]
        groups = []
        for first in range(0, len(shards), self.shards_per_group):
            group = np.concatenate(shards[first : first + self.shards_per_group])
            groups.append(group[_shuffled(len(group), bits)])
        return np.concatenate(groups)

    def places(self, start: int) -> Iterator[PlannedSample]:
        """Every place from a position on, without end."""
        firsts = self._firsts()
        epoch, place = divmod(start, self.num_places)
        for number in itertools.count(epoch):
            numbers = self.permutation(number)
            samples = np.searchsorted(firsts, numbers, side="right") - 1
            chunks = numbers - firsts[samples]
            for at in range(place, len(numbers)):
                yield PlannedSample(
                    position=number * len(numbers) + at,
                    epoch=number,
                    sample=int(samples[at]),
                    chunk=int(chunks[at]),
                )
            place = 0

    def batches(
        self, batch_size: int, start: int, skip: frozenset[int]
    ) -> Iterator[tuple[PlannedSample, ...]]:
        """Global batches from a position on; skipped samples' places are passed over, so batches stay
        full."""
        assert self.num_live(skip) > 0, "nothing is left to draw from"
        live = (planned for planned in self.places(start) if planned.sample not in skip)
        while True:
            yield tuple(itertools.islice(live, batch_size))

    def num_live(self, skip: Collection[int]) -> int:
        """Places in an epoch without those of skipped samples."""
        skipped = list(skip)
        num = len(skipped) if self.num_chunks is None else int(self.num_chunks[skipped].sum())
        return self.num_places - num

    def draws(self, position: int, skipped_from: Mapping[int, int]) -> Indices:
        """How often each sample was drawn before a position; a skipped one only before it was skipped."""
        draws = self._drawn(position)
        for since in set(skipped_from.values()):
            samples = [sample for sample, at in skipped_from.items() if at == since]
            draws[samples] = np.minimum(draws[samples], self._drawn(since)[samples])
        return draws

    def _drawn(self, position: int) -> Indices:
        epoch, place = divmod(position, self.num_places)
        firsts = self._firsts()
        draws = epoch * np.diff(firsts)
        if place:
            samples = np.searchsorted(firsts, self.permutation(epoch)[:place], side="right") - 1
            draws += np.bincount(samples, minlength=self.num_samples)
        return draws

    def _firsts(self) -> Indices:
        """Number of each sample's first chunk, and behind the last."""
        if self.num_chunks is None:
            return np.arange(self.num_samples + 1, dtype=np.int64)
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.num_chunks, dtype=np.int64)])


def generator(*name: object) -> np.random.Generator:
    """A random generator that depends on these words and numbers alone."""
    text = "\n".join(str(part) for part in name)
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")))


def _shuffled(num: int, bits: np.random.BitGenerator) -> Indices:
    words: npt.NDArray[np.uint64] = bits.random_raw(num)
    return np.argsort(words, kind="stable")
