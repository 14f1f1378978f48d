"""Run a command; kill it at the n-th file operation on paths that hold PART: python -m tests.killed N PART …

Prints how many there were, if it comes to its end.
"""

import os
import runpy
import signal
import sys

_EVENTS = {"open", "os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "os.truncate"}


def main() -> None:
    last, part, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    count = 0

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal count
        if event not in _EVENTS or part not in str(args[0]):
            return
        if event == "open" and not str(args[1] or "r").startswith(("w", "a", "x", "r+")):
            return  # a look; os.open has no mode, and is one, too
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    sys.argv = command
    try:
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise
    sys.stdout.write(f"operations: {count}\n")


if __name__ == "__main__":
    main()
