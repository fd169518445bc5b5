"""A PostgreSQL server for a test: in a temporary folder, on the loopback, on a free port."""

import contextlib
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PASSWORD", "find_programs", "running_server"]

PASSWORD = "only-for-this-test"


def find_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: on the PATH or where Debian puts them."""
    found = shutil.which("initdb")
    if found is not None and shutil.which("pg_ctl") is not None:
        return Path(found).parent
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return Path(folders[-1]) if folders else None


def _server_user() -> str | None:
    """Who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return name
    return None


@contextlib.contextmanager
def running_server(programs: Path) -> Iterator[str]:
    """Run a server; gives the URL of its database."""
    user = _server_user()
    # Not under pytest's folder, which only the user who runs the tests may enter.
    folder = Path(tempfile.mkdtemp(prefix="boneage-postgres-"))
    (folder / "password").write_text(PASSWORD)
    if user is not None:
        for path in (folder, folder / "password"):
            shutil.chown(path, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        # The server inherits what it is given: with a pipe, this would wait until it ends.
        log = folder.parent / f"{folder.name}.log"
        with log.open("w") as output:
            done = subprocess.run(
                [programs / program, "-D", folder / "data", *arguments],
                user=user,
                extra_groups=None if user is None else [],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=120,
            )
        text = log.read_text()
        log.unlink()
        assert done.returncode == 0, text

    try:
        run("initdb", "-U", "tester", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}",
            "--no-sync", "--locale=C", "--encoding=UTF8")  # fmt: skip
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -F"
        run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql+psycopg://tester:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
