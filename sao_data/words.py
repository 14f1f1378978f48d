"""The manifest's rules in plain words, for reports and cards."""

from __future__ import annotations

from sao_data.licences import Policy, Release

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
