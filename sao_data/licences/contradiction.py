"""Words in a description that take back what the licence grants: CC0 above, "non-commercial only" below.

Legally the licence field governs; a person should look all the same. Written for few false alarms.
"""

from __future__ import annotations

import functools
import re

from sao_data.licences.table import table
from sao_data.licences.urls import unwrap
from sao_data.licences.words import normalise, visible

_LONGEST = 20_000  # characters of a description that are looked at


def contradiction(description: str) -> str:
    """The words that contradict an open licence; '' if there are none."""
    if not description:
        return ""
    text = " ".join(normalise(visible(unwrap(description[:_LONGEST]))).split())
    for needs, pattern in _patterns():
        match = pattern.search(text) if any(word in text for word in needs) else None
        if match:
            return match[0]
    return ""


@functools.cache
def _patterns() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    return tuple((pattern.needs, re.compile(pattern.regex)) for pattern in table().contradictions)
