"""What must lie on one side of the split: the works of an author, of an album, and copies of each other.

All that is linked, directly or through others, is a group; one of its authors decides for all, the one whose
key mixes to the smallest number. So a group's side is as fair a draw as an author's; what joins it moves with
it, and moves it only where its own key is smaller: with one chance in as many as the group has authors.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LARGE = 0.05  # of the works: a group of several authors that holds more is worth a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedWork:
    """What links a work to others."""

    id: str
    author: str  # a key that stands for its author
    album: str  # likewise; '' = none that says anything
    audio_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Togetherness:
    """Who decides for each work, and which groups are large."""

    deciding: dict[str, str]  # by recording id, the key of the author who decides its side
    large: tuple[str, ...]  # a sentence each


def together(works: Sequence[LinkedWork], pairs: Iterable[tuple[str, str]]) -> Togetherness:
    """Link the works by author, album, equal audio, and the pairs of ids that sound alike."""
    links = _Links()
    for work in works:
        own = f"author {work.author}"
        links.join(own, f"work {work.id}")
        links.join(own, f"audio {work.audio_sha256}")
        if work.album:
            links.join(own, f"album {work.album}")
    known = {work.id for work in works}
    for first, second in pairs:
        if first in known and second in known:
            links.join(f"work {first}", f"work {second}")
    authors: dict[str, set[str]] = {}
    for work in works:
        authors.setdefault(links.root(f"work {work.id}"), set()).add(work.author)
    chosen = {root: min(found, key=_mixed) for root, found in authors.items()}
    roots = {work.id: links.root(f"work {work.id}") for work in works}
    return Togetherness(
        deciding={key: chosen[root] for key, root in roots.items()}, large=_large(roots, authors)
    )


def _large(roots: dict[str, str], authors: dict[str, set[str]]) -> tuple[str, ...]:
    sizes = Counter(roots.values())
    first: dict[str, str] = {}
    for key in sorted(roots):
        first.setdefault(roots[key], key)
    return tuple(
        f"split: {sizes[root]} of {len(roots)} works ({sizes[root] / len(roots):.0%}) by "
        f"{len(authors[root])} authors, {first[root]} among them, are linked by albums or copies and lie on "
        "one side."
        for root in sorted(sizes, key=lambda root: (-sizes[root], first[root]))
        if len(authors[root]) > 1 and sizes[root] > LARGE * len(roots)
    )


class _Links:
    """Union-find with path halving (Tarjan and van Leeuwen, 1984)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, item: str) -> str:
        above = self._above
        above.setdefault(item, item)
        while above[item] != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    def join(self, one: str, other: str) -> None:
        self._above[self.root(other)] = self.root(one)


def _mixed(author: str) -> bytes:
    """Another order than that of the sides, or large groups would be drawn to the lower one."""
    return hashlib.sha256(f"deciding {author}".encode()).digest()
