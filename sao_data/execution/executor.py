"""Where units of work run: in this process, or as Ray tasks on a cluster. The only file that knows Ray.

A unit must be a pure function of its argument that publishes atomically, because Ray may run it twice and a
killed driver's tasks go on for about a second. A transient failure (OSError) is retried; a verdict
(SaoError) is not.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sao_data.errors import SaoError, Stopped, UsageError
from sao_data.execution import ray_cluster

A = TypeVar("A")
B = TypeVar("B")
log = logging.getLogger(__name__)

NUM_ATTEMPTS = 3
NAMES = ("ray", "local")

_CANCEL_SECONDS = 5.0


class Executor(Protocol):
    """Runs units; results come as they finish, in any order."""

    name: str

    def map(self, unit: Callable[[A], B], items: Sequence[A], *, num_gpus: int = 0) -> Iterator[B]: ...
    def num_gpus(self) -> int: ...
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

    def map(self, unit: Callable[[A], B], items: Sequence[A], *, num_gpus: int = 0) -> Iterator[B]:
        """`num_gpus` of a unit: this process has what it has."""
        for item in items:
            yield self._retried(unit, item)

    def num_gpus(self) -> int:
        """None that are dealt out; a unit may look for itself."""
        return 0

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

    def map(self, unit: Callable[[A], B], items: Sequence[A], *, num_gpus: int = 0) -> Iterator[B]:
        """A unit runs on one CPU core, and where it wants GPUs, sees just those that are its own."""
        if not items:
            return
        ray = self._ray()
        task = ray.remote(_call).options(
            name=getattr(unit, "__name__", type(unit).__name__),  # as the dashboard shows it
            num_cpus=1,
            num_gpus=num_gpus,
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
                with ray_cluster.unwrapped_signals():
                    done, running = ray.wait(running, num_returns=1, timeout=1.0)
                for reference in done:
                    yield _result(ray, reference)
        finally:
            _cancel(ray, running)

    def num_gpus(self) -> int:
        """Of all nodes together."""
        return int(self._ray().cluster_resources().get("GPU", 0))

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
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            # On the driver's machine: secrets and their files are there.
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            options = actor_class.options(name=f"sao-{name}", get_if_exists=True, scheduling_strategy=here)
            actor = options.remote(factory)
            self._services[name] = _Proxy(actor)
        return self._services[name]

    def close(self) -> None:
        self._services.clear()
        if self._connected:
            with ray_cluster.keep_our_sigterm():
                self._ray().shutdown()
            self._connected = False

    def _ray(self) -> Any:
        ray_cluster.prepare_token()  # before the import, which reads it
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--executor ray: Ray is not installed here; pip install 'ray[default]', or use "
                "--executor local"
            ) from error
        if not self._connected:
            ray_cluster.connect(ray)
            self._connected = True
        return ray


class _Service:
    """The actor behind a service: one object, its methods called by name."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._object = factory()

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self._object, method)(*arguments)


class _Proxy:
    """Looks like the object in the actor."""

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
    _let_interrupts_in()
    return unit(*arguments)


def _let_interrupts_in() -> None:
    """Ray interrupts a task by SIGINT, which the workers of a cluster ignore where `ray start` was run in the
    background of a shell: such a task would work on after its run was stopped."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _result(ray: Any, reference: Any) -> Any:
    """What a task returned; its SaoError as it was raised; Stopped where a transient failure outlasted the
    retries."""
    errors = ray.exceptions
    try:
        with ray_cluster.unwrapped_signals():
            return ray.get(reference)
    except errors.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, SaoError):
            raise cause from None
        if isinstance(cause, OSError):
            raise _gave_up(cause) from None
        raise
    except errors.RuntimeEnvSetupError as error:
        raise UsageError(
            f"Ray cannot set up the job's runtime environment ({' '.join(str(error).split())}); mend "
            "--runtime-env, or submit without it"
        ) from error
    except (
        errors.WorkerCrashedError,
        errors.NodeDiedError,
        errors.OutOfMemoryError,
        errors.OutOfDiskError,
        errors.ObjectLostError,
        errors.LocalRayletDiedError,
        errors.RayActorError,
        errors.TaskUnschedulableError,
        errors.ActorUnschedulableError,
        errors.ObjectStoreFullError,
        errors.RaySystemError,
    ) as error:
        message = f"Ray lost a worker or a node ({error}); nothing is lost: run again to continue"
        raise Stopped(message) from error


def _gave_up(error: OSError) -> Stopped:
    return Stopped(f"a unit failed {NUM_ATTEMPTS} times ({error}); nothing is lost: mend it and run again")


def _cancel(ray: Any, running: list[Any]) -> None:
    """Interrupt tasks that nobody waits for any more, so that none works on after the lock is let go."""
    if not running:
        return
    # Ray can abort the driver where a task ends while it is cancelled: what has ended is left alone.
    _, running = ray.wait(running, num_returns=len(running), timeout=0)
    for reference in running:
        ray.cancel(reference)
    if not running:
        return
    with contextlib.suppress(ray.exceptions.RayError):
        ray.wait(running, num_returns=len(running), timeout=_CANCEL_SECONDS)
