"""The verdict on a file that cannot be used: one of fixed reasons, and what was found."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "empty", "not_audio", "encrypted", "unsupported_codec", "no_audio", "format_changes", "corrupt",
    "truncated", "non_finite", "too_long", "too_large", "bad_rate", "bad_channels", "decoder_crashed",
    "decoder_timeout",
]  # fmt: skip


class AudioRejected(Exception):
    """A fact about a file, never about the machine: decoding it again gives the same."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: Reason = reason
        self.detail = detail
