"""In which language a text is written, as far as it tells: ISO 639-1 where there is such a code.

py3langid scores byte n-grams: the same text gives the same answer, offline. On our tables of descriptions no
answer of at least `_LEAST_SURE` on at least `_FEWEST_LETTERS` letters is wrong; below that half of them are.
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

from sao_data.records import CaptionField

_FEWEST_LETTERS = 20
_FEWEST_WIDE = 8  # letters of scripts that write a syllable or a word in one
_LEAST_SURE = 0.5  # of 1; rounded before it is compared


def language_of(fields: tuple[CaptionField, ...]) -> CaptionField | None:
    """The language of title and description, with what told it; None where they are too short to tell."""
    text = ". ".join(
        value for each in fields if each.name in ("title", "description") for value in each.values
    )
    letters = [character for character in text if character.isalpha()]
    is_wide = sum(character >= "\u2e80" for character in letters) > len(letters) / 2
    if len(letters) < (_FEWEST_WIDE if is_wide else _FEWEST_LETTERS):
        return None
    code, sure = _identifier().classify(text)
    if round(sure, 3) < _LEAST_SURE:
        return None
    return CaptionField(name="language", values=(code,), provenance=f"py3langid {version('py3langid')}")


@functools.cache
def _identifier() -> Any:
    """Its model is read once a process: 0.8 s."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
