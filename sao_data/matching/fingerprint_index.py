"""Finding similar recordings: those whose fingerprints match when aligned, among very many.

Two fingerprints match where, aligned, far fewer bits differ than would by chance. Chance is what the same
words give in any other order; it is small where a sound stays alike (two hisses differ in a sixth of their
bits everywhere, two pieces of music in almost half), so that noise and silence do not match all noise and
silence. Words that repeat count once: a bark and a cough in the same digital silence are not alike.

Found: other encodings, levels, bandwidths, cuts of one recording, excerpts of four seconds and more. Not
found: other pitch or speed, other takes, mixes, hums that do not change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

# Measured on 190 excerpts of 5 s (rain, fire, waves, barks, sneezes, half of them silence) and six pieces of
# 14 s to 2 min: of 17,578 pairs of different excerpts the least is 0.52 of chance, but for two versions of
# one fire by one author (0.25); MP3, AAC of 64 kbit/s, low pass and cuts stay below 0.35 in 95 of 100.
MAX_OF_CHANCE = 0.35  # share of the differing bits that chance would give
MIN_OVERLAP = 12  # words; with what lies under the last one, four seconds
MIN_SHARE = 0.5  # of the shorter fingerprint
MIN_TELLING = 8  # words in the overlap that differ from the one before: fewer are no evidence
MIN_CHANCE = 0.05  # bit error by chance; less has a steady hum, in which nothing can be aligned

MAX_SHARED = 100  # recordings; a word in more of them (silence, hiss) says nothing about any two
SKETCH = 32  # words of every recording that are looked up at least, those that mix to the smallest numbers
SKETCH_SHARE = 8  # … and one in eight of a longer one, so that a short excerpt of it still shares some

_MIX = np.uint32(2_654_435_769)  # 2^32 over the golden ratio (Knuth, TAOCP 3, 6.4): spreads similar words
_VOTING_BITS = 20  # of a word; the lower ones need not agree for a vote
_NUM_TRIED = 4  # alignments with the most votes
_REACH = 8  # words to each side of a shared one that are looked at first …
_NEAR = 0.5  # … and the share of chance there above which no alignment is tried
_CHUNK = 1 << 16  # candidate pairs looked at together: 50 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintMatch:
    """Two recordings that sound alike, and how well they match when aligned."""

    first: str  # recording ids
    second: str
    error: float  # share of differing bits in the overlap's telling words: 0 equal, 0.5 unrelated
    offset_words: int  # where in the first the second begins; negative: the first begins in the second
    overlap_words: int


class _Alignment(NamedTuple):
    """One alignment. The smallest is the best: by error over chance, then by the smaller shift."""

    of_chance: float
    shift: int
    offset: int
    overlap: int
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fingerprints:
    """Fingerprints end to end, each different and in the order of ids; `names` has all ids of each."""

    names: list[list[str]]
    words: Words
    edges: Indices  # where each begins, and the end of the last
    ones: npt.NDArray[np.float32]  # (fingerprints, 32): how often each bit is set
    place: dict[bytes, int]  # digest of a fingerprint to its number

    def __getitem__(self, number: int) -> Words:
        return self.words[self.edges[number] : self.edges[number + 1]]


class _Entries(NamedTuple):
    """Words that may be shared, sorted, with where among the fingerprints they stand."""

    words: Words
    at: Indices


def compare(a: Words, b: Words) -> tuple[float, int, int] | None:
    """(bit error, offset, overlap) of the best alignment as in FingerprintMatch; None if they are not
    alike."""
    fits = (_alignment(a, b, offset) for offset in _offsets(a, b))
    best = min((fit for fit in fits if fit is not None), default=None)
    return None if best is None else (best.error, best.offset, best.overlap)


def find_pairs(items: Iterable[tuple[str, Words]]) -> list[FingerprintMatch]:
    """All pairs alike, first id below second, sorted. Of fingerprints that are equal bit by bit only the
    lowest id is compared with others, and each of the rest is paired with that one alone."""
    prints = _collected(items)
    found = [
        FingerprintMatch(first=names[0], second=name, error=0.0, offset_words=0, overlap_words=len(prints[n]))
        for n, names in enumerate(prints.names)
        if len(names) > 1 and compare(prints[n], prints[n])
        for name in names[1:]
    ]
    for n, m in _candidates(prints):
        if fit := compare(prints[n], prints[m]):
            found.append(_match(prints.names[n][0], prints.names[m][0], fit))
    return sorted(found, key=lambda like: (like.first, like.second))


def find_matches(queries: Mapping[str, Words], corpus: Iterable[tuple[str, Words]]) -> list[FingerprintMatch]:
    """Every query (`first`) alike a recording of the corpus (`second`), sorted; the corpus is read once and
    not kept. A recording that is in both under one id is reported like any other."""
    prints = _collected(queries.items())
    entries = _entries(prints, [_distinct(prints[n])[1] for n in range(len(prints.names))])
    found = []
    for name, words in corpus:
        if len(words) < MIN_OVERLAP or not prints.names:
            continue
        for n in _similar_queries(words, prints, entries):
            if fit := compare(prints[n], words):
                found += [_match(query, name, fit) for query in prints.names[n]]
    return sorted(found, key=lambda like: (like.first, like.second))


def _offsets(a: Words, b: Words) -> list[int]:
    """Alignments worth a look: none shifted, and those with most equal words among the ones that change."""
    at_a, at_b = _changing(a), _changing(b)
    drop = np.uint32(32 - _VOTING_BITS)
    keys_a, keys_b = a[at_a] >> drop, b[at_b] >> drop
    order = np.argsort(keys_b, kind="stable")
    n, m = _equal(keys_a, keys_b[order])
    offsets, votes = np.unique(at_a[n] - at_b[order[m]], return_counts=True)
    most = np.lexsort((offsets, np.abs(offsets), -votes))[:_NUM_TRIED]
    return list({0: None} | dict.fromkeys(offsets[most].tolist()))


def _alignment(a: Words, b: Words, offset: int) -> _Alignment | None:
    start_a, start_b = max(offset, 0), max(-offset, 0)
    overlap = min(len(a) - start_a, len(b) - start_b)
    if overlap < max(MIN_OVERLAP, MIN_SHARE * min(len(a), len(b))):
        return None
    a, b = a[start_a : start_a + overlap], b[start_b : start_b + overlap]
    telling = np.ones(overlap, bool)
    telling[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    a, b = a[telling], b[telling]
    error = float(np.bitwise_count(a ^ b).mean()) / 32
    if len(a) < MIN_TELLING or error > MAX_OF_CHANCE / 2:  # chance is a half at most, about
        return None
    chance = float(_chance(_ones(a), _ones(b)))
    if chance < MIN_CHANCE or error > MAX_OF_CHANCE * chance:
        return None
    return _Alignment(error / chance, abs(offset), offset, overlap, error)


def _candidates(prints: _Fingerprints) -> Iterator[tuple[int, int]]:
    """Pairs that share a word of their sketches and are near around it; numbers of fingerprints, sorted."""
    entries = _entries(prints, [_sketch(prints[n]) for n in range(len(prints.names))])
    starts, ends = _runs(entries.words)
    here, end = np.arange(len(entries.words)), np.repeat(ends, ends - starts)
    pairs = [np.empty((0, 2), np.int64)]
    for lag in range(1, MAX_SHARED):
        here = here[here + lag < end[here]]
        for start in range(0, len(here), _CHUNK):
            some = here[start : start + _CHUNK]
            one, other = entries.at[some], entries.at[some + lag]
            near = _near(prints, one, prints, other)
            numbers = np.stack([_number(prints, one[near]), _number(prints, other[near])], axis=1)
            pairs.append(np.unique(numbers, axis=0))
    yield from map(tuple, np.unique(np.concatenate(pairs), axis=0).tolist())


def _similar_queries(words: Words, prints: _Fingerprints, entries: _Entries) -> list[int]:
    """Numbers of the queries that share a word with `words` and are near around it, or are equal."""
    distinct, first = _distinct(words)
    n, m = _equal(distinct, entries.words)
    equal = prints.place.get(_digest(words))
    suspects = set() if equal is None else {equal}  # though it be of words that too many share
    if len(n):
        at = entries.at[m]
        near = _near(prints, at, _collected([("", words)]), first[n])
        suspects.update(_number(prints, at[near]).tolist())
    return sorted(suspects)


def _near(
    one: _Fingerprints, at_one: Indices, other: _Fingerprints, at_other: Indices
) -> npt.NDArray[np.bool_]:
    """Is the bit error of the words around these places at most _NEAR of chance?"""
    n, m = _number(one, at_one), _number(other, at_other)
    before = np.minimum(at_one - one.edges[n], at_other - other.edges[m])
    after = np.minimum(one.edges[n + 1] - at_one, other.edges[m + 1] - at_other)
    differing, num = np.zeros(len(at_one)), np.zeros(len(at_one))
    for step in range(-_REACH, _REACH + 1):
        inside = (step >= -before) & (step < after)
        pair = one.words[at_one[inside] + step] ^ other.words[at_other[inside] + step]
        differing[inside] += np.bitwise_count(pair)
        num += inside
    return np.asarray(differing <= _NEAR * 32 * num * _chance(one.ones[n], other.ones[m]))


def _collected(items: Iterable[tuple[str, Words]]) -> _Fingerprints:
    """What is long enough to be compared, each different fingerprint once."""
    groups: dict[bytes, tuple[list[str], Words]] = {}
    seen: set[str] = set()
    for name, words in items:
        if name in seen:
            raise ValueError(f"matching: {name!r} is given twice")
        seen.add(name)
        if len(words) >= MIN_OVERLAP:
            groups.setdefault(_digest(words), ([], words))[0].append(name)
    for names, _ in groups.values():
        names.sort()
    ordered = sorted(groups.items(), key=lambda item: item[1][0])
    lengths = [len(words) for _, (_, words) in ordered]
    return _Fingerprints(
        names=[names for _, (names, _) in ordered],
        words=np.concatenate([np.empty(0, np.uint32), *(words for _, (_, words) in ordered)]),
        edges=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        ones=np.array([_ones(words) for _, (_, words) in ordered], np.float32).reshape(-1, 32),
        place={digest: n for n, (digest, _) in enumerate(ordered)},
    )


def _entries(prints: _Fingerprints, chosen: list[Indices]) -> _Entries:
    """The chosen places of each fingerprint by the word there, without words that too many share."""
    at = np.concatenate(
        [np.empty(0, np.int64), *(start + here for start, here in zip(prints.edges, chosen, strict=False))]
    )
    keys = (prints.words[at].astype(np.uint64) << np.uint64(32)) | at.astype(np.uint64)
    keys.sort()
    words, at = (keys >> np.uint64(32)).astype(np.uint32), (keys & np.uint64(2**32 - 1)).astype(np.int64)
    starts, ends = _runs(words)
    kept = np.repeat(ends - starts <= MAX_SHARED, ends - starts)
    return _Entries(words[kept], at[kept])


def _sketch(words: Words) -> Indices:
    """Places of the words looked up: the same ones wherever the recording, or most of it, turns up."""
    distinct, first = _distinct(words)
    mixed = distinct * _MIX
    limit = np.partition(mixed, SKETCH - 1)[SKETCH - 1] if len(mixed) > SKETCH else np.uint32(2**32 - 1)
    return first[mixed <= max(limit, np.uint32(2**32 // SKETCH_SHARE))]


def _number(prints: _Fingerprints, at: Indices) -> Indices:
    return np.searchsorted(prints.edges, at, side="right") - 1


def _distinct(words: Words) -> tuple[Words, Indices]:
    """Different words, sorted, with the place where each stands first."""
    distinct, first = np.unique(words, return_index=True)
    return distinct, first


def _changing(words: Words) -> Indices:
    """Places of words unlike the one before; a run of silence has one vote, not its square."""
    changing = np.ones(len(words), bool)
    changing[1:] = words[1:] != words[:-1]
    return np.flatnonzero(changing)


def _equal(a: Words, b: Words) -> tuple[Indices, Indices]:
    """All (n, m) with a[n] == b[m], for sorted b."""
    left, right = np.searchsorted(b, a, side="left"), np.searchsorted(b, a, side="right")
    num = right - left
    n = np.repeat(np.arange(len(a)), num)
    within = np.arange(len(n)) - np.repeat(np.cumsum(num) - num, num)
    return n, left[n] + within


def _runs(words: Words) -> tuple[Indices, Indices]:
    """Starts and ends of the runs of equal words in a sorted array."""
    edges = np.flatnonzero(words[1:] != words[:-1]) + 1
    bounds = np.concatenate([[0], edges, [len(words)]]) if len(words) else np.zeros(1, np.int64)
    return bounds[:-1], bounds[1:]


def _ones(words: Words) -> npt.NDArray[np.float32]:
    """How often each of the 32 bits is set."""
    bits = np.unpackbits(words.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1)
    return np.asarray(bits.mean(axis=0), np.float32)


def _chance(ones_a: npt.NDArray[np.float32], ones_b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Bit error of words in no particular order, from how often each bit is set in them."""
    return np.asarray((ones_a * (1 - ones_b) + ones_b * (1 - ones_a)).mean(axis=-1))


def _digest(words: Words) -> bytes:
    return hashlib.blake2b(words.astype("<u4").tobytes(), digest_size=16).digest()


def _match(first: str, second: str, fit: tuple[float, int, int]) -> FingerprintMatch:
    error, offset, overlap = fit
    return FingerprintMatch(
        first=first, second=second, error=error, offset_words=offset, overlap_words=overlap
    )
