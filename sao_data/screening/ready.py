"""Can this screening be done here? Asked before any work is done."""

from __future__ import annotations

from sao_data.errors import UsageError
from sao_data.screening import acoustid
from sao_data.screening.catalogue_match import check_catalogue
from sao_data.screening.classes import columns_of
from sao_data.screening.config import Screening
from sao_data.screening.music import build_tagger, counted_classes

_SHARES = ("min_probability", "min_score", "min_acoustid_score")


def check_ready(screening: Screening) -> None:
    """Raise UsageError, with the fix, for a bad setting, weights that are not here, no key or no file."""
    check_settings(screening)
    if screening.needs_tagger:
        tagger = build_tagger(screening)
        tagger.check()
        columns_of(counted_classes(screening), tagger.labels, where="screening.tagger")
    if screening.provider == "acoustid":
        acoustid.key_from_environment()
    if screening.provider == "catalogue":
        check_catalogue(screening.catalogue)


def check_settings(screening: Screening) -> None:
    """Raise UsageError for a value out of range; looks at nothing but the settings."""
    for name in _SHARES:
        value = getattr(screening, name)
        if not 0.0 < value <= 1.0:
            raise UsageError(f"screening.{name} {value}: want more than 0, at most 1")
    if screening.min_seconds <= 0:
        raise UsageError(f"screening.min_seconds {screening.min_seconds}: want more than 0")
    acoustid.check_url(screening.acoustid_url)
