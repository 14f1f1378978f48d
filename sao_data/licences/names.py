"""Licence ids back into words people read and URLs they can open."""

from __future__ import annotations

import functools

from sao_data.licences.claims import parse
from sao_data.licences.table import table


@functools.lru_cache(maxsize=1024)
def license_name(license_id: str) -> str:
    """ "CC BY 3.0 Poland" for LicenseRef-CC-BY-3.0-PL; says so where the source states no version."""
    licence = parse(license_id)
    unit = next((unit for unit in table().units.values() if unit.stem == _stem(licence.license_id)), None)
    if unit is None:
        return license_id if license_id not in ("", "UNKNOWN") else "licence not known"
    if unit.id:
        return unit.name
    if not licence.version:
        return f"{unit.name} (version not stated by the source)"
    place = table().jurisdictions[licence.jurisdiction][0] if licence.jurisdiction else ""
    return " ".join(part for part in (unit.name, licence.version, place) if part)


def license_url(license_id: str) -> str:
    """Canonical deed URL of an id; '' if the id has no version or is not one of Creative Commons."""
    return parse(license_id).url


def _stem(license_id: str) -> str:
    words = license_id.removeprefix("LicenseRef-").split("-")
    return "-".join(words[: next((i for i, word in enumerate(words) if word[:1].isdigit()), len(words))])
