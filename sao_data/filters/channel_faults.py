"""Reject clips of files with a fault between their channels: one is dead (`dead_channel`), the other one
inverted (`inverted_channel`) or delayed (`delayed_channel`), or, if wanted, the same (`dual_mono`).

Faults are measured where the decoder gives the file. A dead channel still has its converter's noise, so it
is told by its level. Folded to mono, an inverted channel cancels the other and a delayed one is a comb.
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.plugins import Knob
from sao_data.records import Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What counts as a fault."""

    max_imbalance_db: float = 40.0  # ours: a dead channel's noise was told from 72 dB down, after codecs too
    min_correlation: float = -0.6  # -1: inverted, -0.6 after a codec; mono then keeps a fifth of the energy
    max_delay_ms: float = 0.0  # of one channel that is the other later (measured from two samples to 10 ms)
    keep_dual_mono: bool = True  # both channels the same: no fault, as mono files become that too

    def __post_init__(self) -> None:
        if self.max_imbalance_db <= 0 or self.max_delay_ms < 0:
            raise UsageError(
                f"filter channel_faults: max_imbalance_db {self.max_imbalance_db}, max_delay_ms"
                f" {self.max_delay_ms}: want above 0, and at least 0"
            )
        if not -1.0 <= self.min_correlation <= 1.0:
            raise UsageError(f"filter channel_faults: min_correlation {self.min_correlation}: want -1 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFaults:
    """Looks at balance, correlation and delay."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip for the first fault found; mono files have none."""
        source, config = clip.source, self.config
        if abs(source.balance_db) > config.max_imbalance_db:
            found = f"{abs(source.balance_db):.2f} > {config.max_imbalance_db:g} dB between the channels"
            return "dead_channel", f"measured {found}"
        if source.correlation is not None and source.correlation < config.min_correlation:
            found = f"correlation {source.correlation:.3f} < {config.min_correlation:g}"
            return "inverted_channel", f"measured {found}"
        if abs(source.delay_ms) > config.max_delay_ms:
            found = f"{abs(source.delay_ms):.2f} > {config.max_delay_ms:g} ms between equal channels"
            return "delayed_channel", f"measured {found}"
        if source.is_dual_mono and not config.keep_dual_mono:
            return "dual_mono", "measured equal channels"
        return None


def _imbalance(clip: Clip, recording: Recording) -> float:
    return abs(clip.source.balance_db)


def _correlation(clip: Clip, recording: Recording) -> float | None:
    return clip.source.correlation


def _delay(clip: Clip, recording: Recording) -> float:
    return abs(clip.source.delay_ms)


KNOBS = (
    Knob(field="max_imbalance_db", unit="dB", keeps="at most", value=_imbalance),
    Knob(field="min_correlation", unit="correlation", keeps="at least", value=_correlation),
    Knob(field="max_delay_ms", unit="ms", keeps="at most", value=_delay),
)


def build(config: Config) -> ChannelFaults:
    """Make the filter."""
    return ChannelFaults(config=config)
