"""Joining a Ray cluster: which one, whether anybody is there, its token, and whose signal handlers stay.

Ray is handed in: only executor.py imports it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sao_data.errors import SaoError, Stopped, UsageError

log = logging.getLogger(__name__)

TOKEN_FIX = (
    "Ray's token authentication is on (a file ~/.ray/auth_token, or RAY_AUTH_MODE=token where the cluster "
    "was started): set RAY_AUTH_MODE=token for this command too, or RAY_AUTH_MODE=disabled for both "
    "`ray start` and this command."
)

_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")  # as Ray's "Version mismatch" lists them: theirs, ours
_MOST_SHOWN = 400  # characters of Ray's own words
_CONNECT_SECONDS = 5.0  # Ray itself tries for minutes when nothing listens at the address


def connect(ray: Any) -> None:
    """Join the cluster there is, or start a local one; UsageError within seconds if the one named is not
    there."""
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "")
    check_address(address)
    where = {"address": "local"} if not address and is_last_cluster_gone() else {}
    try:
        # No address and no resources: either would clash with a cluster or a job that is already there.
        with keep_our_sigterm(), unwrapped_signals():
            ray.init(logging_level=logging.WARNING, log_to_driver=False, **where)
    except ConnectionError as error:  # somebody listens, but not a cluster that talks to us
        raise UsageError(f"{_nobody_there(address, error)}.\nIf there is one: {TOKEN_FIX}") from error
    except ray.exceptions.AuthenticationError as error:
        raise UsageError(f"Ray refuses the connection: {error}\n{TOKEN_FIX}") from error
    except (RuntimeError, ValueError) as error:  # of another version, or what else it will not have
        raise refusal(address, str(error)) from error
    except SystemExit as error:  # Ray's own SIGTERM handler, while it was connecting
        raise Stopped("SIGTERM received; nothing is lost: run the same command again to continue") from error


def refusal(address: str, said: str) -> UsageError:
    """Why Ray will not have us, in one line: both versions where they differ, else its own first words."""
    there = f" at {address}" if address else ""
    versions = _VERSIONS.findall(said)
    if len(versions) == 2 and versions[0] != versions[1]:
        (ray, python), (our_ray, our_python) = versions
        return UsageError(
            f"the Ray cluster{there} runs Ray {ray} on Python {python}, this command Ray {our_ray} on Python "
            f"{our_python}, and both have to be equal: start the cluster with the Python of this command "
            f"(.venv/bin/ray start --head), or install ray=={ray} under Python {python} here, or use "
            "--executor local"
        )
    words = " ".join(said.split())
    return UsageError(
        f"Ray refuses to join or start a cluster{there}: {words[:_MOST_SHOWN]}; see docs/troubleshooting.md "
        "(Ray), or use --executor local"
    )


def prepare_token() -> None:
    """Settle token authentication before Ray is imported, which reads it.

    Joining a cluster: use the token there is, as `ray start` does. Starting a local one of our own: a token
    for this run alone. Left to itself Ray would write ~/.ray/auth_token then, which turns authentication on
    for the next `ray start`, and `ray job submit` would be refused.
    """
    if "RAY_AUTH_MODE" in os.environ:
        return
    if (Path.home() / ".ray" / "auth_token").exists():
        os.environ["RAY_AUTH_MODE"] = "token"
    elif not os.environ.get("RAY_ADDRESS") and not _is_cluster_here():
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextlib.contextmanager
def keep_our_sigterm() -> Iterator[None]:
    """Put our handler back: Ray's own ends the run with status 15 and no message, and its shutdown with
    none."""
    stop = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)


@contextlib.contextmanager
def unwrapped_signals() -> Iterator[None]:
    """What a signal handler raises inside Ray's compiled code comes out as a SystemError; turn it back."""
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, SaoError):
            raise error.__cause__ from None
        raise


def check_address(address: str) -> None:
    """Is RAY_ADDRESS something `ray.init` can join, and does anybody listen there?"""
    if address in ("", "auto", "local"):
        return
    if address.startswith(("http://", "https://")):
        raise UsageError(
            f"RAY_ADDRESS={address} is the job server's address: submit with `ray job submit -- "
            "pipelines/ingest.py …`, or set RAY_ADDRESS to HOST:PORT of the cluster (port 6379 by default), "
            "or unset it"
        )
    if not address.rpartition(":")[2].isdigit():
        raise UsageError(f"RAY_ADDRESS={address}: want HOST:PORT of the cluster, or unset it")
    if error := _refusal(address):
        raise _nobody_there(address, error)


def is_last_cluster_gone() -> bool:
    """Did `ray start` leave the address of a cluster that is dead by now? Ray would wait for it for ever."""
    address = _last_cluster()
    if not address or not _refusal(address):
        return False
    log.warning("the Ray cluster last started here (%s) is gone; starting a local one", address)
    return True


def _is_cluster_here() -> bool:
    address = _last_cluster()
    return bool(address) and _refusal(address) is None


def _last_cluster() -> str:
    """HOST:PORT of the cluster last started on this machine by `ray start`, '' if there is no word of one."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    try:
        address = (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except OSError:
        return ""
    return address if address.rpartition(":")[2].isdigit() else ""


def _refusal(address: str) -> OSError | None:
    """The error of connecting to HOST:PORT, None if somebody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return error
    return None


def _nobody_there(address: str, error: OSError) -> UsageError:
    return UsageError(
        f"no Ray cluster answers{' at ' + address if address else ''} ({error}); start one with "
        "`ray start --head`, unset RAY_ADDRESS, or use --executor local"
    )
