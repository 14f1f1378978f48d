"""Reject clips whose title and description are in a language that is not wanted (`other_language`).

The language is the one that the sample's JSON states: told from the cleaned words, by the same model. Where
they are too few to tell it from (`unknown_language`), the clip is kept unless that is not wanted either.
What is judged are words about the sound, not words in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.records import CaptionField, Clip, Recording

READS_CAPTION = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which languages are kept."""

    keep: tuple[str, ...] = ("en",)  # ISO 639-1; T5, which reads the prompts, was trained on English
    keep_unknown: bool = True  # words that are too few, or not clearly of one language

    def __post_init__(self) -> None:
        if not self.keep:
            raise UsageError('filter language: keep is empty; name a language, keep = ["en"]')
        for code in self.keep:
            if not re.fullmatch(r"[a-z]{2}", code):
                raise UsageError(f'filter language: keep has {code!r}; want codes of ISO 639-1, such as "en"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Looks at the language of the caption."""

    config: Config

    def check(
        self, clip: Clip, recording: Recording, fields: tuple[CaptionField, ...] = ()
    ) -> tuple[str, str] | None:
        """Reject the clip if its language is known and not among the wanted ones."""
        for code in categories(fields):
            if not code:
                told = None if self.config.keep_unknown else "its words are too few to tell their language"
                return ("unknown_language", told) if told else None
            if code not in self.config.keep:
                return "other_language", f"told {code!r}, want {' or '.join(self.config.keep)}"
        return None


def categories(fields: tuple[CaptionField, ...]) -> tuple[str, ...]:
    """The one language; '' = not known."""
    return next((field.values for field in fields if field.name == "language"), ("",))


def build(config: Config) -> Language:
    """Make the filter."""
    return Language(config=config)
