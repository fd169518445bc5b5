"""Health and counters over HTTP, for a supervisor and for Prometheus, on loopback alone."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from boneage.errors import OutputError

__all__ = ["HealthServer", "State"]

State = tuple[bool, Mapping[str, object], str]
"""Whether all is well, what ``/health`` says of it, and what ``/metrics`` says."""


class HealthServer:
    """Answers ``GET /health`` (200 or 503, JSON) and ``GET /metrics`` (text of Prometheus)."""

    def __init__(self, port: int, state: Callable[[], State]) -> None:
        """Start answering.

        Args:
            port: TCP port on 127.0.0.1; 0 takes a free one.
            state: Says how it is now.

        Raises:
            OutputError: The port cannot be opened.
        """

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                if self.path not in ("/health", "/metrics"):
                    self.send_error(404)
                    return
                healthy, health, metrics = state()
                if self.path == "/health":
                    status, kind = (200 if healthy else 503), "application/json"
                    body = json.dumps(health).encode() + b"\n"
                else:
                    status, kind = 200, "text/plain; version=0.0.4; charset=utf-8"
                    body = metrics.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: a scrape every few seconds is no news."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise OutputError(
                f"Cannot listen on 127.0.0.1:{port}: {error.strerror or error}. "
                "Choose another --health-port."
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
