"""Freesound's classes of sound: the Broad Sound Taxonomy, version 1.1 (2025-07-25), code by name.

The API gives codes ("fx-a"), data packs names ("Sound effects -> Animals"). "Other" exists in every branch.
"""

from __future__ import annotations

import re

TOP = {
    "Music": "m",
    "Instrument samples": "is",
    "Speech": "sp",
    "Sound effects": "fx",
    "Soundscapes": "ss",
}
BELOW = {
    "m": {"Solo percussion": "m-sp", "Solo instrument": "m-si", "Multiple instruments": "m-m"},
    "is": {
        "Percussion": "is-p",
        "String": "is-s",
        "Wind": "is-w",
        "Piano / Keyboard instruments": "is-k",
        "Synths / Electronic": "is-e",
    },
    "sp": {
        "Solo speech": "sp-s",
        "Conversation / Crowd": "sp-c",
        "Processed / Synthetic": "sp-p",
    },
    "fx": {
        "Objects / House appliances": "fx-o",
        "Vehicles": "fx-v",
        "Other mechanisms, engines, machines": "fx-m",
        "Human sounds and actions": "fx-h",
        "Animals": "fx-a",
        "Natural elements and explosions": "fx-n",
        "Experimental": "fx-ex",
        "Electronic / Design": "fx-el",
    },
    "ss": {"Nature": "ss-n", "Indoors": "ss-i", "Urban": "ss-u", "Synthetic / Artificial": "ss-s"},
}
NONE = "No category"


def code(words: str) -> str:
    """BST code of "Music -> Solo instrument"; '' for "No category"; other words stay as they are."""
    top, _, below = (part.strip() for part in words.partition("->"))
    if _plain(words) in ("", _plain(NONE)):
        return ""
    head = _TOP.get(_plain(top), "")
    if not head or not below:
        return head or words
    return f"{head}-other" if _plain(below) == "other" else _BELOW.get((head, _plain(below)), words)


def _plain(words: str) -> str:
    return re.sub(r"[^a-z]+", " ", words.casefold()).strip()


_TOP = {_plain(name): each for name, each in TOP.items()}
_BELOW = {(head, _plain(name)): each for head, names in BELOW.items() for name, each in names.items()}
