"""Which series of shards a recording belongs to: train or validation, Sampling+ apart."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.records import Decision, Recording

SAMPLING_PLUS = "-sampling-plus"
_PSEUDONYM = re.compile(r"name-([0-9a-f]{16})")  # a stand-in for an author's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The paper names no validation split; ours keeps an author's works, an album's and copies together."""

    validation_share: float = 0.0  # of authors, 0..1

    def __post_init__(self) -> None:
        if not 0.0 <= self.validation_share < 1.0:
            raise UsageError(f"split.validation_share: {self.validation_share} is not in 0 <= share < 1")


def series_of(recording: Recording, decision: Decision, split: Split, *, moved: bool = False) -> str:
    """Series name: "train" or "validation", with "-sampling-plus" for works whose whole copies may be shared
    non-commercially only (Sampling+ 1.0, 3(d)), so that these can be left out as files. `moved`: it is linked
    to works of the other side, and goes there."""
    side = "validation" if is_validation(author_key(recording), split) != moved else "train"
    return side + (SAMPLING_PLUS if decision.family == "SAMPLING+" else "")


def pseudonym(recording: Recording) -> str:
    """A stand-in for the id of an author who has none: it outlasts a change of name, on the same side."""
    return f"name-{_author_digest(recording).hex()}"


def is_pseudonym(author_id: str) -> bool:
    """Was it made of a name?"""
    return bool(_PSEUDONYM.fullmatch(author_id))


def author_key(recording: Recording) -> str:
    """What stands for the author alone (for the recording where no author is named), hex."""
    return _author_digest(recording).hex()


def is_validation(key: str, split: Split) -> bool:
    """The side of the author with this key."""
    return int(key, 16) / 2**64 < split.validation_share


def _author_digest(recording: Recording) -> bytes:
    if match := _PSEUDONYM.fullmatch(recording.author_id):
        return bytes.fromhex(match[1])
    author = recording.author_id or recording.author or recording.id
    return hashlib.sha256(f"split:{recording.source}:{author}".encode()).digest()[:8]
