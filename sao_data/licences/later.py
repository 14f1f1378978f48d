"""When the rights in a work are narrowed after a copy was taken: what a dataset does, and which wish is
stricter.

Creative Commons licences cannot be revoked for copies obtained under them, so a later change of licence takes
nothing back; the uploader's preference is a wish, kept like a term, and may be changed at any time.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Literal

from sao_data.licences.preference import meets, normalise_preference

Action = Literal["drop", "keep", "ask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnLaterRestriction:
    """What becomes of a recording that was allowed when it was taken. ask: out until a person answers.

    The default is what a fresh build would do, and what no author could object to. Creative Commons licences
    are not revoked by a change of mind (4.0, 2(a)(1) and 6(c)): who holds the evidence may keep the copy.
    """

    withdrawn: Action = "drop"  # no longer offered by its source
    relicensed: Action = "drop"  # now under a licence that the policy does not allow
    opted_out: Action = "drop"  # the uploader's preference is no longer met by the release


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseFlags:
    """The flags of one conceivable release."""

    open_source: bool
    freely_available: bool
    commercial_use: bool
    commercial_training: bool


_ALL_RELEASES = tuple(
    _ReleaseFlags(open_source=a, freely_available=b, commercial_use=c, commercial_training=d)
    for a, b, c, d in itertools.product((False, True), repeat=4)
)


@functools.lru_cache(maxsize=4096)  # asked of each row, of the few values there are
def is_stricter(before: str, after: str) -> bool:
    """Is there a release that met the preference `before` and does not meet `after`?

    Unknown ('') asks for nothing; a value that this version does not know is taken for the strictest.
    """
    return any(_meets(before, release) and not _meets(after, release) for release in _ALL_RELEASES)


def num_met(preference: str) -> int:
    """How many of the 16 conceivable releases meet it: fewer = stricter. Unknown ('') asks for nothing."""
    return sum(_meets(preference, release) for release in _ALL_RELEASES)


def _meets(value: str, release: _ReleaseFlags) -> bool:
    preference = normalise_preference(value)
    if preference is None:
        return False
    return not preference or meets(preference, release)
