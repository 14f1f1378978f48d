"""The uploader's wish about training generative models (Freesound `gen_ai_preference`).

By Freesound's own words a statement of wish without guarantee of legal effect; here it is kept like a licence
term.
"""

from __future__ import annotations

from typing import Protocol

from sao_data.licences.table import table

UNKNOWN_VALUES = ("", "unknown", "null", "nan")  # not "none": it may mean that nothing is allowed
NEVER = "no-gen-ai"


class Flags(Protocol):
    """The flags of a release that a preference may depend on."""

    @property
    def open_source(self) -> bool: ...
    @property
    def freely_available(self) -> bool: ...
    @property
    def commercial_use(self) -> bool: ...
    @property
    def commercial_training(self) -> bool: ...


def normalise_preference(value: str) -> str | None:
    """The preference by its name today; '' = unknown; None = a value this version does not know."""
    plain = value.strip().casefold().replace("_", "-").replace(" ", "-")
    return "" if plain in UNKNOWN_VALUES else table().preference_names.get(plain)


def meets(preference: str, release: Flags) -> bool:
    """Does a release meet a known preference? `no-gen-ai` is met by none."""
    if preference == NEVER:
        return False
    wants = table().preference_wants[preference]
    return all(getattr(release, flag) == wanted for flag, wanted in wants.items())
