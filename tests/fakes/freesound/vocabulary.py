"""The closed sets of Freesound: its six licences, the Broad Sound Taxonomy, the generative-AI preferences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A row of the server's licence table. The filter knows `name` only; versions share it."""

    key: str
    name: str
    path: str  # of the deed
    scheme: str  # as the API returns it: a mix of http and https

    def deed(self, scheme: str = "") -> str:
        """The deed's URL, as the API returns it unless a scheme is given."""
        return f"{scheme or self.scheme}://creativecommons.org{self.path}"


LICENCES = {
    licence.key: licence
    for licence in (
        Licence(key="cc0", name="Creative Commons 0", path="/publicdomain/zero/1.0/", scheme="http"),
        Licence(key="by3", name="Attribution", path="/licenses/by/3.0/", scheme="http"),
        Licence(key="by4", name="Attribution", path="/licenses/by/4.0/", scheme="https"),
        Licence(key="by-nc3", name="Attribution NonCommercial", path="/licenses/by-nc/3.0/", scheme="http"),
        Licence(key="by-nc4", name="Attribution NonCommercial", path="/licenses/by-nc/4.0/", scheme="https"),
        Licence(key="sampling+", name="Sampling+", path="/licenses/sampling+/1.0/", scheme="http"),
    )
}
LICENCE_KEYS = tuple(LICENCES)  # a licence column holds positions in here
PREFERENCES = (
    "no-additional-preferences",
    "open-source-models",
    "noncommercial-open-source-models",
    "no-gen-ai",
)
TYPES = ("wav", "ogg", "aiff", "mp3", "flac", "m4a", "wv")

CATEGORIES = {
    "m": "Music",
    "is": "Instrument samples",
    "sp": "Speech",
    "fx": "Sound effects",
    "ss": "Soundscapes",
}
SUBCATEGORIES = {
    "m-sp": "Solo percussion",
    "m-si": "Solo instrument",
    "m-m": "Multiple instruments",
    "m-other": "Other",
    "is-p": "Percussion",
    "is-s": "String",
    "is-w": "Wind",
    "is-k": "Piano / Keyboard instruments",
    "is-e": "Synths / Electronic",
    "is-other": "Other",
    "sp-s": "Solo speech",
    "sp-c": "Conversation / Crowd",
    "sp-p": "Processed / Synthetic",
    "sp-other": "Other",
    "fx-o": "Objects / House appliances",
    "fx-v": "Vehicles",
    "fx-m": "Other mechanisms, engines, machines",
    "fx-h": "Human sounds and actions",
    "fx-a": "Animals",
    "fx-n": "Natural elements and explosions",
    "fx-ex": "Experimental",
    "fx-el": "Electronic / Design",
    "fx-other": "Other",
    "ss-n": "Nature",
    "ss-i": "Indoors",
    "ss-u": "Urban",
    "ss-s": "Synthetic / Artificial",
    "ss-other": "Other",
}


def licence_key(deed: str) -> str | None:
    """The key of a deed URL, http or https, with or without the last slash."""
    _, _, rest = deed.partition("://creativecommons.org")
    path = rest.rstrip("/") + "/"
    return next((key for key, licence in LICENCES.items() if licence.path == path), None)


def category_names(code: str | None) -> tuple[str | None, str | None]:
    """ "sp-s" is ("Speech", "Solo speech")."""
    if code is None:
        return None, None
    return CATEGORIES.get(code.partition("-")[0]), SUBCATEGORIES.get(code)
