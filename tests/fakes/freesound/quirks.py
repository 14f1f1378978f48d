"""How the fake deviates in what it says: lasting properties, each a switch or a share of sounds or requests.

The defaults are what the real server does. A share of 0.3 concerns the same 30 % of the sounds in every reply
(`seed` decides which), so that a rerun meets the same data.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.freesound import chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Set them with `fake.quirks = Quirks(…)` or FakeFreesound(quirks=…), at any time."""

    seed: int = 1

    # Paging
    raw_plus_in_next: bool = True  # `+` is left raw in `next`, and a space when it comes back
    null_results: float = 0.0  # of the places on a page, this once: the next request shows the sound
    count_drift: int = 0  # `count` is off by up to this much, another amount in each request
    shuffle_ties: bool = False  # rows that sort alike change places between requests (replicas)
    overload_limit: int = 0  # offset × (1 + clauses + words) above this: 500 "overloaded"; 0: never

    # Sound objects
    http_deeds: float = 0.0  # every deed of these sounds with http://
    https_deeds: float = 0.0  # … with https://
    bare_deeds: float = 0.0  # … without the last slash
    naive_dates: float = 0.0  # "2014-04-16T20:07:11", as before 2025
    fraction_dates: float = 0.0  # "2014-04-16T20:07:11.145Z"
    missing_preference: float = 0.0  # no gen_ai_preference at all, as servers before July 2026
    old_preference_field: bool = False  # `ai_preference` in its place
    whole_samplerate: float = 0.0  # 44100 instead of 44100.0
    null_bitdepth: float = 0.0
    speech_trap: bool = True  # descriptors without category: the speech opt-out is missed
    relicensed_in_detail: float = 0.0  # sounds/ID/ shows a licence other than the list's

    # Files
    redirect_downloads: bool = False  # originals come from the CDN host, by a link that lives an hour
    ranges: bool = False  # Range and If-Range are honoured

    def concerns(self, share: float, sound_id: int, what: str) -> bool:
        """Is this sound among the share?"""
        return share > 0 and chance.share(self.seed, what, sound_id) < share
