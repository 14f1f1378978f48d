"""Words in a description that take back what the licence grants: CC0 above, "non-commercial only" below.

Legally the licence field governs; a person should look all the same. Written for few false alarms.
"""

from __future__ import annotations

import functools
import re

from sao_data.licences.table import table
from sao_data.licences.urls import text_of_html
from sao_data.licences.words import normalise, visible

_LONGEST = 20_000  # characters of a description that are looked at


def contradiction(description: str) -> str:
    """The words that contradict an open licence; '' if there are none."""
    if not description:
        return ""
    text = " ".join(normalise(visible(text_of_html(description[:_LONGEST]))).split())
    there = {word for word in _needs() if word in text}  # most descriptions hold none of them
    if not there:
        return ""
    found = (pattern.search(text) for needs, pattern in _patterns() if not needs.isdisjoint(there))
    return next((match[0] for match in found if match), "")


@functools.cache
def _needs() -> tuple[str, ...]:
    return tuple(sorted({word for needs, _ in _patterns() for word in needs}))


@functools.cache
def _patterns() -> tuple[tuple[frozenset[str], re.Pattern[str]], ...]:
    return tuple((frozenset(item.needs), re.compile(item.regex)) for item in table().contradictions)
