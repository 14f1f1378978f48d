"""The API's terms of use: shown once, accepted by a person, kept with the dataset as OUT/terms.json.

The page itself may not be readable from here, so what is shown and kept is our summary with its address
(terms read in part, checked 2026-07; commercial use needs Freesound's written permission).
"""

from __future__ import annotations

import dataclasses
import getpass
import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sao_data.errors import UsageError
from sao_data.licences import Release
from sao_data.storage import layout
from sao_data.storage.backend import Storage

TERMS_URL = "https://freesound.org/help/tos_api/"

SUMMARY = f"""Freesound API terms of use ({TERMS_URL}), in short; the page itself is what counts:
- The API is free for non-commercial use. For commercial use ask mtg@upf.edu for permission first.
- One application uses one key. Several keys, to get round the limits, are forbidden.
- Do not replicate Freesound, and do not abuse its bandwidth.
- Credit Freesound and the users whose sounds you use. Each sound stays under its own licence.
- The permission is for you alone and cannot be passed on."""


def check(
    storage: Storage,
    release: Release,
    *,
    permission: str,
    accept: bool,
    operator: str = "",
    clock: Callable[[], float] = time.time,
) -> None:
    """UsageError unless these terms were accepted for this use, or `accept` says so now (and it is kept).

    `permission` names the written permission that commercial use needs; `operator` is who accepts ('': the
    login name).
    """
    if release.commercial and not permission.strip():
        raise UsageError(
            "freesound: [release] declares commercial use, which the API's terms exclude without permission; "
            'ask mtg@upf.edu, then say in the source what you were given: permission = "who, when, for what"'
        )
    record = _record(release, permission, operator, clock)
    if _covers(storage, record):
        return
    if not accept:
        raise UsageError(
            f"{SUMMARY}\nfreesound: read them, then run again with --accept-terms to accept them"
        )
    storage.write(
        layout.TERMS, (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    )


def _record(
    release: Release, permission: str, operator: str, clock: Callable[[], float]
) -> dict[str, object]:
    return {
        "accepted_at": datetime.fromtimestamp(clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "accepted_by": operator or _login_name(),
        "permission": permission.strip(),
        "text": SUMMARY,
        "text_sha256": hashlib.sha256(SUMMARY.encode()).hexdigest(),
        "url": TERMS_URL,
        "use": dataclasses.asdict(release),
    }


def _covers(storage: Storage, record: dict[str, object]) -> bool:
    """Is the same text accepted already, for the same use, under the same permission?"""
    if not storage.exists(layout.TERMS):
        return False
    try:
        kept = json.loads(storage.read(layout.TERMS))
    except ValueError:
        return False
    same = ("text_sha256", "url", "use", "permission")
    return isinstance(kept, dict) and all(kept.get(key) == record[key] for key in same)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "unknown"
