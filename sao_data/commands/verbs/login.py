"""Log in to a source that gives original files only to a person: open a page, allow, paste the code.

    FREESOUND_CLIENT_ID=… FREESOUND_TOKEN=… sao login freesound

Client id and API key stand at https://freesound.org/apiv2/apply/. The login is stored in
~/.config/sao/freesound.json, readable by you alone, and renewed by itself while you use it. Logging in again
elsewhere replaces it. Exit code 7 of --status: nobody is logged in.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from sao_data.errors import MatchedNothing, UsageError

HELP = "log in to a source that needs it (Freesound originals)"

_PERMISSIONS_URL = "https://freesound.org/home/app_permissions/"
_CODE = re.compile(r"[A-Za-z0-9_-]{8,200}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SOURCE", choices=("freesound",), help="freesound")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="say whether somebody is logged in")
    what.add_argument("--logout", action="store_true", help="forget the login on this machine")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override: base_url, for tests")


def run(args: argparse.Namespace) -> int:
    base = _base(args.set)
    if args.logout:
        return _logout()
    return _status(base) if args.status else _login(base)


def _login(base: str) -> int:
    from sao_data.fetch import credentials, oauth

    secrets = credentials.from_environment()
    if not secrets.client_id:
        raise UsageError(credentials.NO_CLIENT_ID)
    if not secrets.key:
        raise UsageError(credentials.NO_KEY)
    sys.stdout.write(
        "Open this page, log in, allow the access, and copy the code that is shown:\n\n"
        f"    {oauth.authorize_url(base, secrets.client_id)}\n\nCode: "
    )
    sys.stdout.flush()
    code = _code(sys.stdin.readline())
    path = credentials.save_grant(oauth.exchange(base, secrets, code))
    sys.stdout.write(f"logged in; stored in {path}, which only you can read\n")
    return 0


def _status(base: str) -> int:
    from sao_data.fetch import credentials

    has_key = bool(credentials.from_environment().key)
    sys.stdout.write(f"API key   {'set' if has_key else 'not set (FREESOUND_TOKEN)'}\n")
    grant = credentials.load_grant(base)
    if grant is None:
        raise MatchedNothing("freesound: nobody is logged in; run `sao login freesound`")
    until = datetime.fromtimestamp(grant.expires_at, UTC).strftime("%Y-%m-%dT%H:%MZ")
    sys.stdout.write(f"login     of application {grant.client_id}\n")
    sys.stdout.write(f"token     good until {until}, then renewed at the next use\n")
    return 0


def _logout() -> int:
    from sao_data.fetch import credentials

    if not credentials.delete_grant():
        raise MatchedNothing("freesound: nobody was logged in")
    sys.stdout.write(f"forgotten; to withdraw the permission itself: {_PERMISSIONS_URL}\n")
    return 0


def _base(assignments: list[str]) -> str:
    from sao_data.fetch.wire import FREESOUND, checked_base

    base = FREESOUND
    for assignment in assignments:
        key, _, base = assignment.partition("=")
        if key.strip() != "base_url":
            raise UsageError(f"--set {assignment!r}: there is only base_url here")
    return checked_base(base.strip())


def _code(line: str) -> str:
    """The code in what was pasted: itself, or the address of the page that shows it."""
    text = line.strip()
    if "code=" in text:
        text = parse_qs(urlsplit(text).query).get("code", [""])[0]
    if not _CODE.fullmatch(text):
        raise UsageError("freesound: that is no code; run again and paste the code that the page shows")
    return text
