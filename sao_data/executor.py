"""Where units of work run: in this process, or as Ray tasks on a cluster. The only file that knows Ray.

A unit must be a pure function of its argument that publishes atomically, because Ray may run it twice and a
killed driver's tasks live on for about a second. Weather (OSError) is retried; a verdict (SaoError) is not.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sao_data.errors import SaoError, Stopped, UsageError

A = TypeVar("A")
B = TypeVar("B")
log = logging.getLogger(__name__)

NUM_RETRIES = 3
NAMES = ("ray", "local")


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
        for attempt in range(1, NUM_RETRIES + 1):
            try:
                return unit(item)
            except OSError as error:
                log.warning("unit failed (attempt %d of %d): %s", attempt, NUM_RETRIES, error)
                last = error
                time.sleep(0.2 * attempt)
        raise Stopped(
            f"a unit failed {NUM_RETRIES} times ({last}); nothing is lost: mend it and run again"
        ) from last


class RayExecutor:
    """Ray tasks: on the cluster that is there (RAY_ADDRESS, a job, `ray start`), else on a local one started
    here."""

    name = "ray"

    def __init__(self) -> None:
        self._connected = False

    def map(self, unit: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        if not items:
            return
        ray = self._ray()
        task = ray.remote(num_cpus=1, max_retries=NUM_RETRIES, retry_exceptions=[OSError])(unit)
        waiting = list(reversed(items))
        window = max(4, 2 * int(ray.cluster_resources().get("CPU", 1)))
        running: list[Any] = []
        while waiting or running:
            while waiting and len(running) < window:
                running.append(task.remote(waiting.pop()))
            done, running = ray.wait(running, num_returns=1, timeout=1.0)  # a signal is heard within a second
            for reference in done:
                yield self._result(ray, reference)

    def on_every_node(self, check: Callable[[], None]) -> None:
        """Run `check` once on each live node of the cluster; its UsageError comes back naming the node."""
        ray = self._ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        look = ray.remote(num_cpus=0, max_retries=NUM_RETRIES)(_call)
        tasks = {}
        for node in ray.nodes():
            if node["Alive"]:
                here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                tasks[node["NodeManagerAddress"]] = look.options(scheduling_strategy=here).remote(check)
        for address, reference in tasks.items():
            try:
                self._result(ray, reference)
            except UsageError as error:
                raise UsageError(f"Ray node {address}: {error}") from error

    def service(self, name: str, factory: Callable[[], Any]) -> Any:
        """A named actor that all tasks share, behind a proxy that is called like the plain object."""
        ray = self._ray()
        actor_class = ray.remote(num_cpus=0)(_Service)
        return _Proxy(actor_class.options(name=f"sao-{name}", get_if_exists=True).remote(factory))

    def close(self) -> None:
        if self._connected:
            self._ray().shutdown()
            self._connected = False

    def _ray(self) -> Any:
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--executor ray: Ray is not installed here; pip install 'ray[default]'"
            ) from error
        if not self._connected:
            _connect(ray)
            self._connected = True
        return ray

    def _result(self, ray: Any, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, SaoError):
                raise cause from None
            if isinstance(cause, OSError):
                message = (
                    f"a unit failed {NUM_RETRIES + 1} times ({cause}); nothing is lost: mend it and run again"
                )
                raise Stopped(message) from None
            raise
        except (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
        ) as error:
            raise Stopped(
                f"Ray lost a worker {NUM_RETRIES + 1} times ({error}); run again to continue"
            ) from error


def _call(check: Callable[[], None]) -> None:
    check()


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
        def call(*arguments: Any) -> Any:
            import ray

            return ray.get(self._actor.call.remote(method, arguments))

        return call


def _connect(ray: Any) -> None:
    if ray.is_initialized():
        return
    try:
        # No address and no resources: either would clash with a cluster or a job that is already there.
        ray.init(logging_level=logging.WARNING, log_to_driver=False)
    except ConnectionError as error:
        address = os.environ.get("RAY_ADDRESS", "")
        raise UsageError(
            f"no Ray cluster answers{' at ' + address if address else ''} ({error}); start one with "
            "`ray start --head`, unset RAY_ADDRESS, or use --executor local"
        ) from error
    except RuntimeError as error:
        if "auth" not in str(error).lower():
            raise
        raise UsageError(f"Ray refuses the connection: {error}\n{TOKEN_FIX}") from error


TOKEN_FIX = (
    "Ray's token authentication is on (a file ~/.ray/auth_token, or RAY_AUTH_MODE=token where the cluster "
    "was started): set RAY_AUTH_MODE=token for this command too, or RAY_AUTH_MODE=disabled for both "
    "`ray start` and this command."
)
