"""The manifest's rules in plain words, for reports and cards."""

from __future__ import annotations

from collections.abc import Sequence

from sao_data.licences import Policy, Release
from sao_data.screening import Screening

_FAMILY_NAMES = {"CC0": "CC0", "BY": "CC BY", "SAMPLING+": "CC Sampling+"}


def policy_lines(policy: Policy) -> tuple[str, ...]:
    """What was allowed in."""
    names = ", ".join(_FAMILY_NAMES.get(family, family) for family in policy.families)
    unknown = "kept and counted" if policy.unknown_preference == "keep" else "left out"
    return (
        f"Licences allowed in: {names}; anything else, and anything unclear, was left out.",
        f"Recordings whose uploader's wish about generative AI is unknown were {unknown}.",
        "Recordings whose uploader does not want the declared use were left out.",
    )


def release_lines(release: Release) -> tuple[str, ...]:
    """The use that was declared when the dataset was made, against which uploaders' wishes were held."""
    models = (
        "are released as open-source models" if release.open_source else "are not released as open source"
    )
    access = "freely available to the public" if release.freely_available else "not freely available"
    setting = "commercial" if release.commercial_training else "non-commercial"
    use = (
        "commercial use of them intended" if release.commercial_use else "no commercial use of them intended"
    )
    return (f"Declared use: models trained on it {models}, {access}; trained in a {setting} setting; {use}.",)


def evaluation_lines(lists: Sequence[str]) -> tuple[str, ...]:
    """Which evaluation lists were left out; nothing is said where none was named."""
    return (f"Left out as far as known: works of the evaluation lists {', '.join(lists)}.",) if lists else ()


def screening_lines(screening: Screening) -> tuple[str, ...]:
    """What was done to find copyrighted music uploaded as somebody's own."""
    if screening.provider == "off":
        return ("Copyright screening: none. Nothing was done to find known music among the recordings.",)
    hit = "put before a person" if screening.on_hit == "review" else "left out"
    if screening.provider == "catalogue":
        how = "titles and authors of all recordings were compared with a catalogue of known music"
        return (f"Copyright screening: {how} (likeness of {screening.min_score} or more); hits were {hit}.",)
    music = (
        f"recordings with {screening.min_seconds:g} s or more of music (probability of "
        f"{screening.min_probability} or more by the tagger {screening.tagger}) were"
    )
    if screening.provider == "dry-run":
        return (f"Copyright screening: {music} listed, and nobody was asked whether they are known.",)
    return (f"Copyright screening: {music} looked up by fingerprint at AcoustID; hits were {hit}.",)
