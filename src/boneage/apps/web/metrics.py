"""Counters for Prometheus, in a registry of the server's own."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from boneage.apps.web.engine import Engine

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# A small file takes 5 ms on a core, a full-size one 50 ms; the last is the usual time limit.
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


class Metrics:
    """What is counted. No label holds a name, an address or anything of a child."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "boneage_requests", "Requests answered.", ("route", "status"), registry=registry
        )
        self.radiographs = Counter(
            "boneage_radiographs", "Radiographs answered.", ("status",), registry=registry
        )
        self.waiting_seconds = Histogram(
            "boneage_waiting_seconds",
            "Time that a radiograph waited for a worker.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.work_seconds = Histogram(
            "boneage_work_seconds",
            "Time that a radiograph took in a worker.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.deaths = Counter(
            "boneage_worker_deaths",
            "Workers that died or were ended for taking too long.",
            registry=registry,
        )
        self.keep_errors = Counter(
            "boneage_keep_errors", "Radiographs that --keep could not write.", registry=registry
        )
        self._waiting = Gauge(
            "boneage_waiting", "Radiographs that wait for a worker.", registry=registry
        )
        for status in ("ok", "refused", "failed"):
            self.radiographs.labels(status)

    def watch(self, engine: "Engine") -> None:
        """Let the length of the queue be the engine's."""
        self._waiting.set_function(lambda: engine.waiting)

    def text(self) -> bytes:
        """All counters in the format of Prometheus."""
        return generate_latest(self._registry)
