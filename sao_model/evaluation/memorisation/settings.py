"""What the search for nearest training sounds may be told."""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorisationSettings:
    """Whose work sounds are near to (paper 5.3); needs --data."""

    enabled: bool = False  # in pipelines/evaluate.py; `sao neighbours` always asks
    window_seconds: float = 10.0  # windows are compared with windows; AudioCaps' and CLAP's length
    hop_seconds: float = 5.0  # from window to window
    quantile: float = 0.99  # of the data's own similarities, above which a sound counts as too near
    num_baseline: int = 1_000  # works whose nearest other work makes that baseline, always the same ones
    num_listed: int = 50  # on the page, the most similar first (paper 5.3)

    def __post_init__(self) -> None:
        if not 0.5 <= self.window_seconds <= 600 or not 0.1 <= self.hop_seconds <= self.window_seconds:
            raise UsageError(
                f"memorisation: windows of {self.window_seconds:g} s, {self.hop_seconds:g} s apart: want "
                "0.5 s to 600 s, and a hop of 0.1 s up to a window"
            )
        if not 0.5 <= self.quantile < 1:
            raise UsageError(f"memorisation.quantile: {self.quantile}; give 0.5 to below 1, e.g. 0.99")
        for name, least in (("num_baseline", 1), ("num_listed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"memorisation.{name}: {getattr(self, name)}; give {least} or more")
