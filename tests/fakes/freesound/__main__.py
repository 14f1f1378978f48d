"""Run the fake as a process of its own, for end-to-end tests.

    python -m tests.fakes.freesound --port 18001 --sounds ../shared/data/freesound --level 99 \\
        --fault truncated:0.3:download --fault bad_gateway:0.05 --quirk redirect_downloads=true

The first line on standard output is JSON: base, cdn, client_id, key, and access_token and refresh_token of
the user "operator". It ends on SIGTERM, SIGINT, or when --seconds have passed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.fakes.freesound.fake import FakeFreesound
from tests.fakes.freesound.quirks import Quirks
from tests.fakes.freesound.world import World


def main() -> None:
    """Serve until told to stop."""
    options = _options()
    fake = FakeFreesound(
        World.from_folder(options.sounds) if options.sounds else World.synthetic(options.synthetic),
        level=options.level,
        quirks=Quirks(seed=options.seed, **dict(map(_quirk, options.quirk))),
        seed=options.seed,
        port=options.port,
        cdn_port=options.cdn_port,
        client_id=options.client_id,
        key=options.key,
        require_https=options.require_https,
        record_path=options.record,
    )
    for text in options.fault:
        kind, share, *on = text.split(":")
        fake.faults.add(kind, *on, share=float(share or 1))
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with fake:
        sys.stdout.write(json.dumps(_introduction(fake)) + "\n")
        sys.stdout.flush()
        stopped.wait(options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes.freesound", description="A fake Freesound on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="of the API; 0: any")
    parser.add_argument("--cdn-port", type=int, default=0)
    parser.add_argument("--sounds", help="a folder with sounds.jsonl and audio/")
    parser.add_argument("--synthetic", type=int, default=1000, help="how many made-up sounds otherwise")
    parser.add_argument("--level", type=int, default=1, help="throttling level: 0, 1, 2, 3 or 99")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--client-id", default="")
    parser.add_argument("--key", default="", help="API key and OAuth2 client secret")
    parser.add_argument("--require-https", action="store_true")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:SHARE[:ENDPOINT…]")
    parser.add_argument("--quirk", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--record", type=Path, help="append every request to this file, a JSON line each")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    return parser.parse_args()


def _quirk(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    words = {"true": True, "false": False}
    number = words.get(value)
    return name, number if number is not None else (float(value) if "." in value else int(value))


def _introduction(fake: FakeFreesound) -> dict[str, str]:
    token = fake.login()
    return {
        "base": fake.base,
        "cdn": fake.cdn,
        "client_id": fake.client.client_id,
        "key": fake.client.key,
        "access_token": token.access,
        "refresh_token": token.refresh,
    }


if __name__ == "__main__":
    main()
