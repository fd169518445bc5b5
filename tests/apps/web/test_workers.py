"""Worker processes that die or hang, and a server that is ended while it works."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest
from api_tools import ApiServer, problem, rows, wait_for
from tiny_models import hand_pixels


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, explaining: Path) -> Iterator[ApiServer]:
    """A server with one worker that may take 2 s."""
    options = ["--model", str(explaining), "--workers", "1", "--work-timeout", "2"]
    running = ApiServer(tmp_path_factory.mktemp("hasty") / "server", *options)
    yield running
    running.close()


@pytest.fixture
def patient(tmp_path: Path, explaining: Path) -> Iterator[ApiServer]:
    """A server with two workers, to be ended."""
    running = ApiServer(tmp_path / "server", "--model", str(explaining), "--workers", "2")
    yield running
    running.close()


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only its exit status."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def begun(server: ApiServer) -> float:
    return server.metric("boneage_waiting_seconds_count")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A radiograph that takes a second or so."""
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    path.write_bytes(cv2.imencode(".jpg", cv2.resize(hand_pixels(), (5000, 6600)))[1].tobytes())
    return path


def work_ticks(pid: int) -> int:
    """Processor time of a process, in hundredths of a second as a rule."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_worker_that_is_killed_costs_one_row(hasty: ApiServer, large: Path, hand: Path) -> None:
    (pid,) = hasty.workers()
    deaths, ticks = hasty.metric("boneage_worker_deaths_total"), work_ticks(pid)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(hasty.predict, large, hand)
        wait_for(lambda: work_ticks(pid) > ticks + 10)
        os.kill(pid, signal.SIGKILL)
        first, second = rows(answer.result())
    assert first["status"] == "failed"
    assert first["message"].startswith("Cannot read large.jpg: the process that worked on it died.")
    assert second["status"] == "ok"
    assert hasty.metric("boneage_worker_deaths_total") == deaths + 1
    assert "worker process died" in hasty.log
    assert hasty.http.get("/health").json()["status"] == "ok"


def test_a_worker_that_dies_before_it_begins_costs_none(hasty: ApiServer, hand: Path) -> None:
    before = begun(hasty)
    with ThreadPoolExecutor(1) as pool:
        with hasty.stopped_worker() as pid:
            answer = pool.submit(hasty.predict, hand, hand)
            wait_for(lambda: begun(hasty) > before)
            os.kill(pid, signal.SIGKILL)
        assert [row["status"] for row in rows(answer.result())] == ["ok", "ok"]


def test_a_worker_that_dies_while_it_waits_costs_none(hasty: ApiServer, hand: Path) -> None:
    assert rows(hasty.predict(hand))[0]["status"] == "ok"
    (pid,) = hasty.workers()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))
    assert rows(hasty.predict(hand))[0]["status"] == "ok"


def test_a_radiograph_that_takes_too_long_costs_one_row(hasty: ApiServer, hand: Path) -> None:
    with hasty.stopped_worker():
        first, second = rows(hasty.predict(hand, hand))
    assert first["status"] == "failed"
    assert "took longer than 2 s" in first["message"]
    assert second["status"] == "ok"


@pytest.fixture(scope="module")
def bereft(tmp_path_factory: pytest.TempPathFactory, explaining: Path) -> Iterator[ApiServer]:
    """A server with one worker and a model of its own beside its folder."""
    folder = tmp_path_factory.mktemp("bereft")
    shutil.copytree(explaining, folder / "model")
    options = ["--model", str(folder / "model"), "--workers", "1"]
    running = ApiServer(folder / "server", *options)
    yield running
    running.close()


@contextlib.contextmanager
def no_model(server: ApiServer) -> Iterator[None]:
    model = server.folder.parents[1] / "model"
    moved = model.rename(model.with_name("away"))
    yield
    moved.rename(model)


@contextlib.contextmanager
def no_descriptors(server: ApiServer) -> Iterator[None]:
    """Nothing can be opened by the server any more."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (5, limits[1]))
    yield
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("without", [no_model, no_descriptors])
def test_a_worker_that_cannot_be_replaced_is_told_and_made_up_for(
    bereft: ApiServer, hand: Path, without: Any
) -> None:
    assert bereft.http.get("/health").json()["status"] == "ok"  # by a connection that stays
    (pid,) = bereft.workers()
    with without(bereft):
        os.kill(pid, signal.SIGKILL)  # while it has nothing to do
        wait_for(lambda: bereft.http.get("/health").status_code == 503)
        said = bereft.http.get("/health").json()["problems"]
        assert said == ["1 of 1 workers cannot be started"]
        refused = bereft.predict(hand)
        assert refused.headers["retry-after"] == "10"
        problem(refused, 503)
    wait_for(lambda: bereft.http.get("/health").status_code == 200)
    assert rows(bereft.predict(hand))[0]["status"] == "ok"
    assert "Traceback" not in bereft.log


def test_a_radiograph_whose_worker_cannot_be_replaced_is_given_up(
    bereft: ApiServer, hand: Path
) -> None:
    before = begun(bereft)
    with ThreadPoolExecutor(1) as pool, bereft.stopped_worker() as pid, no_model(bereft):
        answer = pool.submit(bereft.predict, hand, hand)
        wait_for(lambda: begun(bereft) > before)
        os.kill(pid, signal.SIGKILL)
        assert problem(answer.result(), 503)["detail"].startswith("No worker can be started.")
    assert bereft.metric("boneage_waiting") == 0


def test_sigterm_lets_what_waits_be_answered(patient: ApiServer, hand: Path) -> None:
    workers = patient.workers()
    assert len(workers) == 2
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(patient.predict, *[hand] * 6)
        wait_for(lambda: begun(patient) >= 2)
        patient.process.send_signal(signal.SIGTERM)
        wait_for(lambda: _refuses(patient))
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        assert [row["status"] for row in rows(answer.result())] == ["ok"] * 6
    assert patient.process.wait(30) == 0
    assert not any(map(is_running, workers))


def test_sigterm_ends_a_server_whose_workers_hang(patient: ApiServer, hand: Path) -> None:
    workers = patient.workers()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(patient.predict, *[hand] * 4)
        wait_for(lambda: begun(patient) >= 2)
        assert patient.end() == 0
        refused = answer.result()
    assert refused.headers["retry-after"] == "10"
    assert "is ending" in problem(refused, 503)["detail"]
    assert not any(map(is_running, workers))


def _refuses(server: ApiServer) -> bool:
    try:
        with httpx.Client(base_url=server.http.base_url) as fresh:
            fresh.get("/health")
    except httpx.HTTPError:
        return True
    return False


def test_workers_end_with_their_server(patient: ApiServer) -> None:
    workers = patient.workers()
    patient.process.kill()
    wait_for(lambda: not any(map(is_running, workers)))


def test_control_c_ends_it(patient: ApiServer) -> None:
    patient.process.send_signal(signal.SIGINT)
    assert patient.process.wait(30) == 0
    assert patient.log == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nowhere.zip"], "nowhere.zip"),
        (["--level", "0.123456"], "--level"),
        (["--host", "256.0.0.1", "--token-file", "token"], "Cannot listen on 256.0.0.1:0"),
        (["--token-file", "none"], "--token-file none cannot be read"),
        (["--keep", "/proc/none"], "/proc/none"),
    ],
)
def test_it_says_why_it_cannot_start(
    run_cli: Any, tmp_path: Path, explaining: Path, options: list[str], said: str
) -> None:
    (tmp_path / "token").write_text("0123456789abcdef0123\n")
    model = [] if "--model" in options else ["--model", explaining]
    done = run_cli("serve", "--port", "0", "--workers", "1", *model, *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken(api: ApiServer, run_cli: Any, explaining: Path) -> None:
    port = str(api.http.base_url).rpartition(":")[2].strip("/")
    done = run_cli("serve", "--port", port, "--model", explaining)
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr


def test_sigterm_ends_it_while_the_model_is_loaded(tmp_path: Path, explaining: Path) -> None:
    # A worker that is stopped as soon as it is there never loads its model.
    program = (
        "import os, signal, sys, threading, time\n"
        "from pathlib import Path\n"
        "from boneage.apps.cli import main\n"
        "def stop():\n"
        "    while True:\n"
        "        for listed in Path('/proc/self/task').glob('*/children'):\n"
        "            for pid in listed.read_text().split():\n"
        "                if b'spawn_main' in Path(f'/proc/{pid}/cmdline').read_bytes():\n"
        "                    os.kill(int(pid), signal.SIGSTOP)\n"
        "                    print('stopped', flush=True)\n"
        "                    return\n"
        "if __name__ == '__main__':\n"
        "    threading.Thread(target=stop, daemon=True).start()\n"
        "    sys.argv[1:] = ['serve', '--port', '0', '--workers', '1', '--model', sys.argv[1]]\n"
        "    main()\n"
    )
    (tmp_path / "start.py").write_text(program)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "start.py", explaining], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "stopped\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
