"""``boneage predict --engine ray`` on real clusters of real processes, which are killed."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_models import write_hand

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")

PATIENCE_S = 300  # for machines that are busy; nothing here waits longer than it must
HEADER = b"path,id,status,sex,bone_age_months,lower_months,upper_months,message\n"
SRC = Path(__file__).parents[2] / "src"
INPUTS = 60

# A cluster in a process of its own, for several runs; it ends with that process.
CLUSTER = """
import sys, tempfile
import boneage.inference.ray_session as session
with session.ray_session(session.ClusterSettings(workers=2), 0) as ray:
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``scans/`` of 60 inputs, some of them spoilt, and ``sexes.csv``."""
    folder = tmp_path_factory.mktemp("archive")
    scans = folder / "scans"
    for seed in range(4):
        write_hand(scans / f"{seed:03d}.png", seed)
    for number in range(4, INPUTS):
        os.link(scans / f"{number % 4:03d}.png", scans / f"{number:03d}.png")
    for number in (7, 31):
        (scans / f"{number:03d}.png").unlink()
        (scans / f"{number:03d}.png").write_text("not an image")
    # A name that is no valid text, as old archives have them.
    os.link(scans / "000.png", os.fsencode(scans / "name, ") + b"\xff.png")
    ids = [number for number in range(INPUTS) if number != 11]
    lines = [f"{number:03d},{'FM'[number % 2]}" for number in ids]
    (folder / "sexes.csv").write_text("id,sex\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def arguments(bundle: Path) -> list[str | Path]:
    """The command, to be run in the archive; the input that is not there fails as well."""
    return ["predict", "scans", "gone.png", "--labels", "sexes.csv", "--model", bundle]


@pytest.fixture(scope="module")
def local_table(archive: Path, arguments: list[str], run_cli: Any) -> bytes:
    """What the engine of one process writes."""
    done = run_cli(*arguments, "--out", "local.csv", cwd=archive, timeout=PATIENCE_S)
    assert done.returncode == 1, done.stderr
    table = (archive / "local.csv").read_bytes()
    assert table.startswith(HEADER)
    for status in (b",ok,", b",failed,", b",refused,", b"\xff.png"):
        assert status in table
    return table


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A running cluster: the environment that lets a process join, with its address."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env={**os.environ, **token, "PYTHONPATH": str(SRC)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address
        yield {**token, "ADDRESS": address}
        process.communicate(timeout=PATIENCE_S)


def begin(arguments: list[str | Path], archive: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start the command and do not wait for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "boneage", *map(os.fspath, arguments)],
        cwd=archive,
        env={**os.environ, "PYTHONPATH": str(SRC), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a part is there."""
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, with their command lines (Linux)."""
    found = {}
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True)
    below = {pid}
    for line in listed.stdout.splitlines():
        child, parent, title = line.split(maxsplit=2)
        if int(parent) in below:
            below.add(int(child))
            found[int(child)] = title
    return found


def concatenated(folder: Path) -> bytes:
    tables = [path.read_bytes() for path in sorted(folder.glob("part-*.csv"))]
    assert all(table.startswith(HEADER) for table in tables)
    return HEADER + b"".join(table.removeprefix(HEADER) for table in tables)


def test_a_worker_that_is_killed_costs_nothing(
    archive: Path, arguments: list[str | Path], local_table: bytes
) -> None:
    command = [*arguments, "--engine", "ray", "--workers", "1", "--part-size", "20"]
    process = begin([*command, "--out", "ray.csv"], archive, {})
    parts = archive / "ray.csv.parts"
    wait_for(parts / "part-00000.csv", process)
    workers = [pid for pid, title in descendants(process.pid).items() if "MapWorker" in title]
    os.kill(workers[0], signal.SIGKILL)
    assert not (archive / "ray.csv").exists()
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output) == (1, ""), errors
    assert errors == "62 inputs: 57 ok, 2 refused, 3 failed. Written to ray.csv\n"
    assert (archive / "ray.csv").read_bytes() == local_table
    assert not parts.exists()


def test_a_run_that_is_stopped_goes_on(
    archive: Path,
    arguments: list[str | Path],
    local_table: bytes,
    cluster: dict[str, str],
    run_cli: Any,
) -> None:
    ray = ["--engine", "ray", "--ray-address", cluster["ADDRESS"], "--part-size", "8"]
    command = [*arguments, *ray, "--out", "parts"]
    folder = archive / "parts"
    process = begin(command, archive, cluster)
    wait_for(folder / "part-00000.csv", process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output) == (128 + signal.SIGTERM, "")
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("part-*.csv")}
    assert 1 <= len(kept) < 8
    assert errors == (
        f"Stopped: {len(kept)} of 8 parts are finished and kept in parts. "
        "The same command goes on with the others.\n"
    )

    done = run_cli(*command, cwd=archive, env=cluster, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"Going on: {len(kept)} of 8 parts are finished already",
        "62 inputs: 57 ok, 2 refused, 3 failed. Written to parts",
    ]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert concatenated(folder) == local_table
    assert sorted(path.name for path in folder.iterdir() if "part" not in path.name) == ["run.json"]

    # Nothing is left to do, so no cluster is asked for.
    again = run_cli(*arguments, *ray[:2], *ray[4:], "--out", "parts", cwd=archive)
    assert (again.returncode, again.stderr.splitlines()[0]) == (
        1,
        "Going on: 8 of 8 parts are finished already",
    )
    other = run_cli(*command, "--no-intake", cwd=archive)
    assert other.returncode == 2
    assert "what differs: intake. " in other.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "ray"], "--engine ray needs --out"),
        (["--engine", "spark"], "--engine must be local or ray"),
        (["--workers", "2"], "Only --engine ray takes --workers: "),
        (["--overwrite", "--part-size", "9"], "takes --part-size and --overwrite: "),
        (["--engine", "ray", "--out", "x", "--part-size", "0"], "--part-size must be within"),
        (["--engine", "ray", "--out", "x", "--workers", "0"], "--workers must be 1 or more"),
        (["--engine", "ray", "--out", "x", "--ray-address", ""], "--ray-address must name"),
        (["--engine", "ray", "--out", "scans"], "no run.json"),
        (["--engine", "ray", "--out", "x", "--level", "0.999"], "--level"),
    ],
)
def test_a_wrong_command_line(
    archive: Path, arguments: list[str | Path], run_cli: Any, options: list[str], said: str
) -> None:
    before = sorted(archive.rglob("*"))
    done = run_cli(*arguments, *options, cwd=archive)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert sorted(archive.rglob("*")) == before


def test_a_folder_with_the_name_of_a_table(
    tmp_path: Path, archive: Path, arguments: list[str | Path], run_cli: Any
) -> None:
    shutil.copytree(archive / "scans", tmp_path / "ages.csv")
    out = tmp_path / "ages.csv"
    done = run_cli(*arguments, "--engine", "ray", "--out", out, cwd=archive)
    assert (done.returncode, "is a folder" in done.stderr) == (2, True)
