"""A thread of the node: if it fails, the whole node ends and says why."""

import threading

__all__ = ["NodeThread"]


class NodeThread:
    """Runs until ``stop`` is set, and sets it if it fails.

    Attributes:
        fault: What it failed with, or None.
    """

    def __init__(self, name: str, stop: threading.Event) -> None:
        """Start it; a subclass calls this when it has all that :meth:`_run` needs."""
        self._stop = stop
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end after ``stop`` was set."""
        self._thread.join()

    def _run(self) -> None:
        """What it does; a subclass says."""
        raise NotImplementedError

    def _ended(self) -> None:
        """Tidy up, after ``stop`` is set if it failed."""

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self.fault = error
            self._stop.set()
        finally:
            self._ended()
