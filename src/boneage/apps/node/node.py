"""A node from start to end: the queue in the middle; receiving, working and sending around it.

Each of the three knows the queue alone, so each can be away for a while: work goes on while
nothing arrives, results wait while the archive is down, and radiographs are taken in while both
stand still.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from boneage.apps.node.counters import Counters
from boneage.apps.node.health import HealthServer, State
from boneage.apps.node.queue import Queue
from boneage.apps.node.receiving import Receiver
from boneage.apps.node.sending import Sender
from boneage.apps.node.settings import NodeSettings
from boneage.apps.node.working import Worker
from boneage.errors import OutputError
from boneage.files import output_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["run_node"]

_LOG = logging.getLogger("boneage.node")

_GRACE_SECONDS = 20
"""How long open associations may take to finish: half of what service managers commonly wait."""


def run_node(settings: NodeSettings) -> None:
    """Receive, predict and send until SIGTERM or Control-C.

    Args:
        settings: What to do.

    Raises:
        OutputError: The queue or a port cannot be used, or another node works on the queue.
        WorkerError: No process that predicts can be kept alive, or the model cannot be loaded.
    """
    os.umask(0o077)
    _quiet_libraries()
    stop = threading.Event()
    with _signals(stop), _only_node(settings.queue), ExitStack() as stack:
        _serve(settings, stop, stack)


def _serve(settings: NodeSettings, stop: threading.Event, stack: ExitStack) -> None:
    counters, answered = Counters(), threading.Event()
    queue = Queue(settings.queue, keep_days=settings.keep_days)
    stack.callback(queue.close)
    if waiting := queue.waiting():
        _LOG.info("%d instances are waiting in the queue", waiting)
    workers = [Worker(settings, queue, counters, answered, stop) for _ in range(settings.workers)]
    for worker in workers:
        stack.callback(worker.join)
        worker.ready.wait()
    stack.callback(stop.set)
    if not stop.is_set():
        sender = Sender(settings, queue, counters, answered, stop)
        stack.callback(sender.join)
        stack.callback(stop.set)
        receiver = Receiver(settings, queue, counters)
        stack.callback(receiver.close, _GRACE_SECONDS)
        state = _state_of(settings, queue, counters, receiver, workers, sender)
        if settings.health_port is not None:
            health = HealthServer(settings.health_port, state)
            stack.callback(health.close)
            _LOG.info("health on http://127.0.0.1:%d/health", health.port)
        _LOG.info("listening on %s:%d as %s", settings.host, receiver.port, settings.ae_title)
        stop.wait()
        _LOG.info("ending")
        faults = [sender.fault]
    else:
        faults = []
    stack.close()
    _LOG.info("ended: %s", counters.line())
    for fault in [*faults, *(worker.fault for worker in workers)]:
        if fault is not None:
            raise fault


def _state_of(
    settings: NodeSettings,
    queue: Queue,
    counters: Counters,
    receiver: Receiver,
    workers: list[Worker],
    sender: Sender,
) -> Callable[[], State]:
    """What the health server asks."""

    def state() -> State:
        problems = []
        if not receiver.alive:
            problems.append("not listening")
        if not all(worker.alive for worker in workers):
            problems.append("not working")
        if not sender.alive:
            problems.append("not sending")
        counts: dict[str, int] = {}
        free = 0
        try:
            counts = queue.counts()
            free = queue.files.free_bytes()
            if free < settings.limits.reserve_bytes:
                problems.append("the disk is nearly full")
        except (OSError, OutputError):
            problems.append("the queue cannot be read")
        if counts.get("received", 0) + counts.get("answered", 0) >= settings.limits.waiting:
            problems.append("the queue is full")
        states = {name: counts.get(name, 0) for name in ("received", "answered", "sent", "failed")}
        health = {
            "status": "unhealthy" if problems else "ok",
            "problems": problems,
            "archive": "reachable" if sender.reachable else "unreachable",
            "instances": states,
        }
        gauges: dict[str, dict[str, float]] = {
            "instances": {**states},
            "associations": {"": receiver.associations},
            "archive_reachable": {"": int(sender.reachable)},
            "disk_free_bytes": {"": free},
        }
        return not problems, health, counters.prometheus(gauges)

    return state


@contextmanager
def _only_node(folder: Path) -> Iterator[None]:
    """Hold the lock of a queue, which ends with this process however it ends."""
    with output_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputError(
                    f"Another node works on the queue {folder}: end it, or name another --queue."
                ) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM and Control-C set ``stop``."""
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quiet_libraries() -> None:
    """Keep the libraries from logging: they quote data sets and their values."""

    def died(args: threading.ExceptHookArgs) -> None:
        name = "a thread" if args.thread is None else args.thread.name
        _LOG.error("unexpected %s in %s", args.exc_type.__name__, name)

    threading.excepthook = died
    from pynetdicom import _config

    _config.LOG_HANDLER_LEVEL = "none"
    for name in ("pynetdicom", "pydicom"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
