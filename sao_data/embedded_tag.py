"""What a file's own tags say of its rights: a value, read in audio/ and judged in rights/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedTag:
    """One tag about rights, as far as it was read."""

    kind: Literal["license", "copyright", "author"]
    name: str  # of the tag, as its format calls it: "ID3 TCOP"
    text: str
