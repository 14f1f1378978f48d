"""Words in a description that take back what the licence grants: CC0 above, "non-commercial only" below.

Legally the licence field governs; a person should look all the same. Written for few false alarms.
"""

from __future__ import annotations

import functools
import re

from sao_data.licences.table import table
from sao_data.licences.urls import unwrap
from sao_data.licences.words import normalise, visible

_BLANKS = re.compile(r"\s+")
_LONGEST = 20_000  # characters of a description that are looked at


def contradiction(description: str) -> str:
    """The words that contradict an open licence; '' if there are none."""
    if not description:
        return ""
    text = _BLANKS.sub(" ", normalise(visible(unwrap(description[:_LONGEST]))))
    match = _patterns().search(text)
    return match[0] if match else ""


@functools.cache
def _patterns() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in table().contradictions))
