"""A real ``boneage serve`` and what programs send to it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[3]
FIELDS = {"sex": "female"}

File = tuple[str, bytes]


class ApiServer:
    """``boneage serve`` in a process of its own, with a folder of its own to work in.

    Attributes:
        folder: Its working folder.
        temporary: What it may take for temporary files.
        http: A client that knows its address.
        process: The process.
    """

    def __init__(self, folder: Path, *options: str, token: str = "") -> None:
        self.folder, self.temporary = folder / "cwd", folder / "tmp"
        self.folder.mkdir(parents=True)
        self.temporary.mkdir()
        self._log = folder / "log"
        environment = {k: v for k, v in os.environ.items() if k != "BONEAGE_TOKEN"}
        environment |= {"PYTHONPATH": str(REPOSITORY / "src"), "TMPDIR": str(self.temporary)}
        environment |= {"BONEAGE_TOKEN": token} if token else {}
        with open(self._log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "boneage", "serve", "--port", "0", *options],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        with self.process.stdout as said:
            found = re.fullmatch(r"Serving on (http://127.0.0.1:\d+)/\n", said.readline())
        assert found, self.log
        self.http = httpx.Client(base_url=found[1], timeout=60)

    @property
    def log(self) -> str:
        """All that it has said on standard error."""
        return self._log.read_text()

    def predict(
        self,
        *files: File | Path,
        headers: dict[str, str] | None = None,
        **fields: object,
    ) -> httpx.Response:
        """POST files, for a girl unless fields say otherwise."""
        said = {name: str(value) for name, value in {**FIELDS, **fields}.items() if value}
        return self.http.post(
            "/api/v1/predictions", files=parts(files), data=said, headers=headers or {}
        )

    def workers(self) -> list[int]:
        """The processes that predict."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for path in tasks for pid in path.read_text().split()]
        return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    @contextlib.contextmanager
    def stopped_worker(self) -> Iterator[int]:
        """Let its only worker stand still, as one does that never comes to an end."""
        (pid,) = self.workers()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def metric(self, name: str) -> float:
        """The value of a counter, given with its labels."""
        lines = self.http.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def end(self) -> int:
        """End it with SIGTERM; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        """End it, however it is."""
        self.http.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def parts(files: Sequence[File | Path]) -> list[tuple[str, Any]]:
    """Files as httpx takes them."""
    named = [(f.name, f.read_bytes()) if isinstance(f, Path) else f for f in files]
    return [("files", file) for file in named]


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    """The rows of an answer."""
    assert response.status_code == 200, response.text
    return list(response.json()["rows"])


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer is, after a look at its form (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = dict(response.json())
    assert set(body) - {"errors"} == {"type", "title", "status", "detail"}
    assert (body["type"], body["status"]) == ("about:blank", status)
    return body


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    """What it gives as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found
