"""The uploader's wish about generative AI, as rows state it: no value and no second field is passed over."""

from __future__ import annotations

from collections.abc import Iterable

from sao_data.licences import normalise_preference
from sao_data.licences.later import is_stricter
from sao_data.sources import _rows

NAMES = ("gen_ai_preference", "ai_preference", "generative_ai_preference")  # newest first


def stated(row: _rows.Row, names: Iterable[str] = NAMES) -> str:
    """The wish verbatim; of several that differ the strictest, or all of them where one is not understood.

    '' = unknown: absent, null or empty. What is no string is its JSON text, which nobody understands, so
    that a person looks.
    """
    said = [text for name in names if (text := _text(row.get(name))).strip()]
    known: dict[str, str] = {}  # what it means -> the first spelling
    for text in said:
        meaning = normalise_preference(text)
        if meaning is None:
            return " / ".join(dict.fromkeys(said))
        if meaning:
            known.setdefault(meaning, text)
    strictest = (text for text in known.values() if not any(is_stricter(text, o) for o in known.values()))
    return next(strictest, said[0] if said else "")


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return _rows.json_text(value)
