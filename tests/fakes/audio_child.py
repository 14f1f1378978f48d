"""Stands in for the sandbox's child and dies, loops or sleeps as the name of the file to decode says."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    sys.stdin.readline()
    say({"ready": True})
    for line in sys.stdin:
        path = Path(json.loads(line)["path"])
        word, _, rest = path.name.partition("-")
        if word == "loop":
            while True:
                pass
        if word == "stall":
            signal.pause()  # until it is killed
        if word in ("die", "once") and not path.exists():
            if word == "once":
                path.touch()
            os.kill(os.getpid(), signal.Signals[rest])
        if word == "exit":
            os._exit(3)
        say({"rejected": ["no_audio", json.dumps([os.getpid(), sorted(os.environ)])]})


def say(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
