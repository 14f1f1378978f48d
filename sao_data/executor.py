"""Where units of work run: in this process, or as Ray tasks on a cluster. The only file that knows Ray.

A unit must be a pure function of its argument that publishes atomically, because Ray may run it twice and a
killed driver's tasks live on for about a second. Weather (OSError) is retried; a verdict (SaoError) is not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sao_data.errors import SaoError, Stopped, UsageError

A = TypeVar("A")
B = TypeVar("B")
log = logging.getLogger(__name__)

NUM_ATTEMPTS = 3
NAMES = ("ray", "local")
TOKEN_FIX = (
    "Ray's token authentication is on (a file ~/.ray/auth_token, or RAY_AUTH_MODE=token where the cluster "
    "was started): set RAY_AUTH_MODE=token for this command too, or RAY_AUTH_MODE=disabled for both "
    "`ray start` and this command."
)

_CONNECT_SECONDS = 5.0  # Ray itself tries for minutes when nothing listens at the address
_CANCEL_SECONDS = 5.0


class Executor(Protocol):
    """Runs units; results come as they finish, in any order."""

    name: str

    def map(self, unit: Callable[[A], B], items: Sequence[A]) -> Iterator[B]: ...
    def on_every_node(self, check: Callable[[], None]) -> None: ...
    def service(self, name: str, factory: Callable[[], Any]) -> Any: ...
    def close(self) -> None: ...


def make(name: str) -> Executor:
    """The executor of that name ("ray" or "local"). Ray is started or joined at the first unit, not here."""
    if name not in NAMES:
        raise UsageError(f"--executor {name}: want one of {', '.join(NAMES)}")
    return RayExecutor() if name == "ray" else LocalExecutor()


class LocalExecutor:
    """One unit after another in this process."""

    name = "local"

    def __init__(self) -> None:
        self._services: dict[str, Any] = {}

    def map(self, unit: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        for item in items:
            yield self._retried(unit, item)

    def on_every_node(self, check: Callable[[], None]) -> None:
        """There is only this one, and it has looked already."""

    def service(self, name: str, factory: Callable[[], Any]) -> Any:
        """A plain object, made once per name."""
        if name not in self._services:
            self._services[name] = factory()
        return self._services[name]

    def close(self) -> None:
        self._services.clear()

    def _retried(self, unit: Callable[[A], B], item: A) -> B:
        for attempt in range(1, NUM_ATTEMPTS + 1):
            try:
                return unit(item)
            except OSError as error:
                log.warning("unit failed (attempt %d of %d): %s", attempt, NUM_ATTEMPTS, error)
                last = error
                time.sleep(0.2 * attempt)
        raise _gave_up(last) from last


class RayExecutor:
    """Ray tasks: on the cluster that is there (RAY_ADDRESS, a job, `ray start`), else on a local one started
    here."""

    name = "ray"

    def __init__(self) -> None:
        self._connected = False
        self._services: dict[str, _Proxy] = {}

    def map(self, unit: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        if not items:
            return
        ray = self._ray()
        task = ray.remote(_call).options(
            name=getattr(unit, "__name__", type(unit).__name__),  # as the dashboard shows it
            num_cpus=1,
            max_retries=NUM_ATTEMPTS - 1,
            retry_exceptions=[OSError],
        )
        waiting = list(reversed(items))
        window = max(4, 2 * int(ray.cluster_resources().get("CPU", 1)))
        running: list[Any] = []
        try:
            while waiting or running:
                while waiting and len(running) < window:
                    running.append(task.remote(unit, waiting.pop()))
                with _signals_heard():
                    done, running = ray.wait(running, num_returns=1, timeout=1.0)
                for reference in done:
                    yield _result(ray, reference)
        finally:
            _cancel(ray, running)

    def on_every_node(self, check: Callable[[], None]) -> None:
        """Run `check` once on each live node that can run units; its UsageError comes back naming the
        node."""
        ray = self._ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        look = ray.remote(num_cpus=0, max_retries=NUM_ATTEMPTS - 1)(_call)
        tasks = []
        for node in ray.nodes():
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1:
                here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                name = f"{node['NodeName']} ({node['NodeManagerHostname']})"
                tasks.append((name, look.options(scheduling_strategy=here).remote(check)))
        for name, reference in tasks:
            try:
                _result(ray, reference)
            except UsageError as error:
                raise UsageError(f"Ray node {name}: {error}") from error

    def service(self, name: str, factory: Callable[[], Any]) -> Any:
        """A named actor that all tasks share, behind a proxy that is called like the plain object."""
        if name not in self._services:
            ray = self._ray()
            actor_class = ray.remote(num_cpus=0)(_Service)
            actor = actor_class.options(name=f"sao-{name}", get_if_exists=True).remote(factory)
            self._services[name] = _Proxy(actor)
        return self._services[name]

    def close(self) -> None:
        self._services.clear()
        if self._connected:
            with _own_sigterm():
                self._ray().shutdown()
            self._connected = False

    def _ray(self) -> Any:
        _use_token_if_there()  # before the import, which reads it
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--executor ray: Ray is not installed here; pip install 'ray[default]', or use "
                "--executor local"
            ) from error
        if not self._connected:
            _connect(ray)
            self._connected = True
        return ray


class _Service:
    """The actor behind a service: one object, its methods called by name."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._object = factory()

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self._object, method)(*arguments)


class _Proxy:
    """Looks like the object that lives in the actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):  # pickle asks for its hooks before there is an actor to ask
            raise AttributeError(method)

        def call(*arguments: Any) -> Any:
            import ray

            return _result(ray, self._actor.call.remote(method, arguments))

        return call


def _call(unit: Callable[..., B], *arguments: Any) -> B:
    """Ray makes tasks of functions only; a unit may be any callable."""
    return unit(*arguments)


def _result(ray: Any, reference: Any) -> Any:
    """What a task returned; its SaoError as it was raised; Stopped for weather that outlasted the retries."""
    errors = ray.exceptions
    try:
        with _signals_heard():
            return ray.get(reference)
    except errors.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, SaoError):
            raise cause from None
        if isinstance(cause, OSError):
            raise _gave_up(cause) from None
        raise
    except (
        errors.WorkerCrashedError,
        errors.NodeDiedError,
        errors.OutOfMemoryError,
        errors.OutOfDiskError,
        errors.ObjectLostError,
        errors.LocalRayletDiedError,
        errors.RayActorError,
        errors.TaskUnschedulableError,
    ) as error:
        message = f"Ray lost a worker or a node ({error}); nothing is lost: run again to continue"
        raise Stopped(message) from error


@contextlib.contextmanager
def _signals_heard() -> Iterator[None]:
    """What a signal handler raises inside Ray's compiled code comes out as a SystemError; turn it back."""
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, SaoError):
            raise error.__cause__ from None
        raise


def _gave_up(error: OSError) -> Stopped:
    return Stopped(f"a unit failed {NUM_ATTEMPTS} times ({error}); nothing is lost: mend it and run again")


def _cancel(ray: Any, running: list[Any]) -> None:
    """Interrupt tasks that nobody waits for any more, so that none works on after the lock is let go."""
    if not running:
        return
    for reference in running:
        ray.cancel(reference)
    with contextlib.suppress(ray.exceptions.RayError):
        ray.wait(running, num_returns=len(running), timeout=_CANCEL_SECONDS)


def _connect(ray: Any) -> None:
    """Join the cluster there is, or start a local one; UsageError within seconds if the one named is not
    there."""
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "")
    _check_address(address)
    where = {"address": "local"} if not address and _is_last_cluster_gone() else {}
    try:
        # No address and no resources: either would clash with a cluster or a job that is already there.
        with _own_sigterm(), _signals_heard():
            ray.init(logging_level=logging.WARNING, log_to_driver=False, **where)
    except ConnectionError as error:  # somebody listens, but not a cluster that talks to us
        raise UsageError(f"{_nobody_there(address, error)}.\nIf there is one: {TOKEN_FIX}") from error
    except ray.exceptions.AuthenticationError as error:
        raise UsageError(f"Ray refuses the connection: {error}\n{TOKEN_FIX}") from error
    except SystemExit as error:  # Ray's own SIGTERM handler, while it was connecting
        raise Stopped("SIGTERM received; nothing is lost: run the same command again to continue") from error


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Put our handler back: Ray's own ends the run with status 15 and no message, and its shutdown with
    none."""
    stop = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)


def _use_token_if_there() -> None:
    """`ray start` turns token authentication on where there is a token; joining a cluster does not by
    itself."""
    if (Path.home() / ".ray" / "auth_token").exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _check_address(address: str) -> None:
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


def _is_last_cluster_gone() -> bool:
    """Did `ray start` leave the address of a cluster that is dead by now? Ray would wait for it for ever."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    try:
        address = (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except OSError:
        return False
    if not address.rpartition(":")[2].isdigit() or not _refusal(address):
        return False
    log.warning("the Ray cluster last started here (%s) is gone; starting a local one", address)
    return True


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
