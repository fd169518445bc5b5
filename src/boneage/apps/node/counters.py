"""What a node has done since it was started, as numbers."""

import threading
import time
from collections import Counter
from collections.abc import Mapping

__all__ = ["Counters"]

_KINDS = {
    "received": "Instances that were received and are on the disk.",
    "duplicates": "Instances that were there already, with the same content.",
    "conflicts": "Instances with another content under a UID that was there already; not kept.",
    "returned": "Results of this node that were sent to it; not kept.",
    "refused_receipts": "C-STORE requests that were answered with a failure.",
    "rejected_associations": "Associations that were rejected.",
    "broken_associations": "Associations that ended without a release.",
    "answered": "Instances whose results were written.",
    "judged_refused": "Instances that no bone age should be put on; their results say so.",
    "judged_failed": "Instances that could not be read, or took their worker down.",
    "worker_deaths": "Worker processes that died or took too long.",
    "sent": "Instances whose results the archive has taken.",
    "failed_sends": "Instances whose results the archive did not take in one try.",
    "failed_connections": "Associations that the archive did not accept or did not keep.",
    "disk_errors": "Times that the queue could not be written.",
}


class Counters:
    """Counts since the start. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._started = time.time()

    def add(self, kind: str) -> None:
        """Count one more of a kind."""
        if kind not in _KINDS:
            raise KeyError(kind)
        with self._lock:
            self._counts[kind] += 1

    def values(self) -> dict[str, int]:
        """The counts by kind, all kinds."""
        with self._lock:
            return {kind: self._counts[kind] for kind in _KINDS}

    def line(self) -> str:
        """The counts that are not zero, in a line."""
        named = (f"{kind} {count}" for kind, count in self.values().items() if count)
        return ", ".join(named) or "nothing"

    def prometheus(self, gauges: Mapping[str, Mapping[str, float]]) -> str:
        """Counts and gauges in the text format of Prometheus, version 0.0.4.

        Args:
            gauges: Name to value by state; a gauge without states has the one state "".
        """
        lines = []
        for kind, count in self.values().items():
            name = f"boneage_node_{kind}_total"
            lines += [f"# HELP {name} {_KINDS[kind]}", f"# TYPE {name} counter", f"{name} {count}"]
        for gauge, values in {"start_time_seconds": {"": self._started}, **gauges}.items():
            name = f"boneage_node_{gauge}"
            lines.append(f"# TYPE {name} gauge")
            for state, value in values.items():
                label = f'{{state="{state}"}}' if state else ""
                lines.append(f"{name}{label} {value}")
        return "\n".join(lines) + "\n"
