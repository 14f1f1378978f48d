"""What the configuration of freesound_api means: checked, and turned into filters, spans and limits."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from sao_data.config import Location
from sao_data.errors import UsageError
from sao_data.fetch.permits import LEVELS, QuotaWindows
from sao_data.fetch.wire import FREESOUND, checked_base
from sao_data.records import Rendition
from sao_data.sources._freesound.listing import Scope
from sao_data.sources._freesound.search import PAGE_SIZE, created_filter, milliseconds
from sao_data.sources._freesound.sound import CDN

# What the filter takes, exactly and in this case: a name it does not know gives nothing, silently.
LICENSES = ("Creative Commons 0", "Attribution", "Attribution NonCommercial", "Sampling+")

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL = re.compile(r"http://(?:127\.0\.0\.1|localhost)(?::\d+)?/")
_DAY = 86_400_000  # ms


@dataclass(frozen=True, slots=True, kw_only=True)
class FreesoundConfig:
    """Which sounds, as what, and how fast."""

    licenses: tuple[str, ...] = ("Creative Commons 0", "Attribution", "Sampling+")  # paper 3.1; () = any
    query: str = ""  # words to search for; '' = all sounds
    extra_filter: str = ""  # in the API's own language, e.g. "duration:[0 TO 600]"
    created_from: str = "2005-04-01"  # the site opened in April 2005
    created_to: str = ""  # a date (that day included) or a time, UTC; '' = when the listing begins
    ids: tuple[int, ...] = ()  # these sounds and no others
    ids_file: Location = ""  # likewise: a list of works (CSV) that names sounds by id or URL
    rendition: Rendition = "original"  # preview: lossy, without login and throttling
    listing: str = "once"  # or a date, "2026-09-01": what was listed before it is listed again
    max_claim_age_hours: float = 24.0  # for how long what the API said of a sound counts as what it says now
    level: int = 1  # throttling level of the API key
    per_minute: int = 0  # a lower limit of your own; 0 = the level's
    per_day: int = 0
    page_size: int = 150  # the API gives no more
    permission: str = ""  # names the written permission to use the API for a commercial release
    base_url: str = FREESOUND
    cdn_url: str = CDN


def check(config: FreesoundConfig) -> None:
    """UsageError at the first thing that makes no sense."""
    for name in config.licenses:
        if name not in LICENSES:
            near = difflib.get_close_matches(name, LICENSES, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise _wrong("licenses", f"the API knows no licence {name!r}{hint} (no versions there)")
    first, last = span(config)
    if last is not None and last < first:
        raise _wrong("created_to", f"{config.created_to!r} is before created_from {config.created_from!r}")
    relist_before(config)
    windows(config)
    if not 1 <= config.page_size <= PAGE_SIZE:
        raise _wrong("page_size", f"{config.page_size}: want 1 to {PAGE_SIZE}")
    if config.max_claim_age_hours < 0:
        raise _wrong("max_claim_age_hours", f"{config.max_claim_age_hours}: want 0 or more")
    if any(number < 1 for number in config.ids):
        raise _wrong("ids", "ids of sounds are above 0")
    _check_places(config)


def check_date(config: FreesoundConfig, today: str) -> None:
    """UsageError for a listing that is to be made anew after today (an ISO date, UTC): until then every run
    would list everything again."""
    if relist_before(config) > today:
        raise _wrong(
            "listing", f"{config.listing!r} is in the future, today is {today} (UTC); name a day that is past"
        )


def span(config: FreesoundConfig) -> tuple[int, int | None]:
    """First and last millisecond since 1970; None: to be pinned."""
    first = _moment(config.created_from, "created_from")
    if not config.created_to:
        return first, None
    whole_day = _DAY - 1 if _DATE.fullmatch(config.created_to) else 0
    return first, _moment(config.created_to, "created_to") + whole_day


def relist_before(config: FreesoundConfig) -> str:
    """Listings that began before this are made again; '' = none."""
    if config.listing == "once":
        return ""
    if not _DATE.fullmatch(config.listing) or milliseconds(config.listing) is None:
        raise _wrong("listing", f'{config.listing!r}: want "once" or a date such as "2026-09-01"')
    return config.listing


def windows(config: FreesoundConfig) -> QuotaWindows | None:
    """The limits of the API key: those of its level, or the operator's own where they are lower."""
    if config.level not in LEVELS:
        raise _wrong("level", f"{config.level}: want one of {', '.join(map(str, LEVELS))}")
    of_level = LEVELS[config.level]
    minute, day = config.per_minute, config.per_day
    if minute < 0 or day < 0:
        raise _wrong("per_minute", "a limit is above 0; 0 stands for the level's own")
    if of_level is None:
        return QuotaWindows(per_minute=minute or 10**9, per_day=day or 10**9) if minute or day else None
    return QuotaWindows(
        per_minute=min(minute or of_level.per_minute, of_level.per_minute),
        per_day=min(day or of_level.per_day, of_level.per_day),
    )


def scope(config: FreesoundConfig) -> Scope:
    """What a listing is of: another scope is another listing."""
    return Scope(
        filter=_joined(_licence_filter(config.licenses), config.extra_filter),
        text=config.query,
        created_from=config.created_from,
        created_to=config.created_to,
    )


def filters_by_licence(config: FreesoundConfig, now: float) -> dict[str, str]:
    """The whole filter of each licence alone."""
    first, last = span(config)
    created = created_filter([(first, int(now) * 1000 if last is None else last)])
    if not config.licenses:
        return {"any licence": _joined(config.extra_filter, created)}
    return {name: _joined(_licence_filter((name,)), config.extra_filter, created) for name in config.licenses}


def _licence_filter(names: tuple[str, ...]) -> str:
    """In one question, so that a sound whose licence changes while it is listed is met all the same."""
    quoted = [f'"{name}"' for name in names]
    return (
        f"license:{quoted[0]}" if len(quoted) == 1 else f"license:({' OR '.join(quoted)})" if quoted else ""
    )


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _check_places(config: FreesoundConfig) -> None:
    if checked_base(config.base_url) != config.base_url:
        raise _wrong("base_url", f"{config.base_url!r}: write the last slash")
    if config.cdn_url != CDN and not _LOCAL.fullmatch(config.cdn_url):
        raise _wrong("cdn_url", f"{config.cdn_url!r} is not Freesound's; leave it out (for tests: 127.0.0.1)")


def _moment(text: str, key: str) -> int:
    moment = milliseconds(text)
    if moment is None:
        raise _wrong(key, f'{text!r}: want a date such as "2026-08-01", or a time "2026-08-01T12:00:00Z"')
    return moment


def _wrong(key: str, what: str) -> UsageError:
    return UsageError(f"freesound_api: {key}: {what}")
