"""A captioner that says what the manifest tells it, how loud it is, and counts what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sao_data import config as configs
from sao_data.errors import UsageError
from tests.made import Floats

HEARD: list[int] = []  # samples of each clip it was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What it says; '' = that it has no weights."""

    says: str = "A tone at level {level:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parrot:
    """The captioner."""

    config: Config
    sample_rate: ClassVar[int] = 16_000
    max_seconds: ClassVar[int] = 30
    written_by: ClassVar[str] = "parrot, revision 1, weights sha256 00ff"

    def check(self) -> None:
        """It can work unless told otherwise."""
        if not self.config.says:
            raise UsageError("captioner parrot: no weights here; leave out [captioner]")

    def digest(self) -> str:
        """Of what it says."""
        return configs.digest(self.config)

    def describe(self, clips: Sequence[Floats]) -> list[str]:
        """The same for all, but the level."""
        HEARD.extend(map(len, clips))
        return [self.config.says.format(level=float(abs(clip).max())) for clip in clips]


def build(config: Config) -> Parrot:
    """Make the captioner."""
    return Parrot(config=config)
