"""The node is killed, its worker dies, its disk is full, its peers break off: nothing is lost."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from node_tools import Archive, Instances, Node, children_of, has_ps, needs_dcmtk, wait_for

pytestmark = needs_dcmtk


def uids_of(paths: list[Path]) -> list[str]:
    return sorted(
        str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths
    )


def test_a_node_that_is_killed_while_it_receives(
    node: Node, archive: Archive, instances: Instances
) -> None:
    # The sender goes on with what was not acknowledged, as every modality does.
    made = instances.make(30, rows=600)
    acknowledged: set[Path] = set()

    def send_all() -> None:
        for _ in range(400):
            left = [path for path in made if path not in acknowledged]
            if not left:
                return
            sent = node.send(left[0])
            if sent.returncode == 0:
                acknowledged.add(left[0])
            else:
                time.sleep(0.05)

    node.start()
    sender = threading.Thread(target=send_all)
    sender.start()
    for count in (5, 12, 20):
        wait_for(lambda count=count: len(acknowledged) >= count)  # type: ignore[misc]
        node.kill()
        node.start()
    sender.join()
    assert len(acknowledged) == 30
    archive.start()
    wait_for(lambda: archive.count() == 30 and not node.left(), 120)
    assert archive.sources() == uids_of(made)


def test_a_node_that_is_killed_while_it_works_and_sends(
    node: Node, archive: Archive, instances: Instances
) -> None:
    archive.start()
    node.start()
    made = instances.make(24)
    assert node.send(*made).returncode == 0
    for count in (2, 6, 12):
        wait_for(lambda count=count: archive.count() >= count)  # type: ignore[misc]
        node.kill()
        node.start()
    wait_for(lambda: archive.count() == 24 and not node.left(), 120)
    assert archive.sources() == uids_of(made)


def test_a_node_that_ends_gives_its_work_back(
    node: Node, archive: Archive, instances: Instances
) -> None:
    archive.start()
    node.start()
    made = instances.make(12)
    assert node.send(*made).returncode == 0
    assert node.end() == 0
    assert not any(name.startswith(("work/", "incoming/")) for name in node.left())
    node.start()
    wait_for(lambda: archive.count() == 12 and not node.left(), 120)
    assert archive.sources() == uids_of(made)


@pytest.mark.skipif(not has_ps, reason="needs ps")
def test_an_instance_that_kills_its_worker_costs_itself_alone(
    node: Node, archive: Archive, instances: Instances
) -> None:
    node.start()
    assert node.process is not None
    (large,) = instances.make(rows=8000)  # takes long enough to be met at work
    small = instances.make(2)
    assert node.send(large).returncode == 0
    for deaths in (1, 2):
        wait_for(lambda: any(node.queue.glob("work/*")))
        (worker,) = children_of(node.process.pid)
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda deaths=deaths: node.log.count("worker process died") == deaths)  # type: ignore[misc]
    archive.start()
    assert node.send(*small).returncode == 0
    wait_for(lambda: archive.count() == 2 and not node.left())
    assert archive.sources() == uids_of(small)
    assert "given up" in node.log


@pytest.mark.skipif(not has_ps, reason="needs ps")
def test_a_worker_that_takes_too_long_is_ended(
    node: Node, archive: Archive, instances: Instances
) -> None:
    node.start("--work-timeout", "3")
    assert node.process is not None
    (worker,) = children_of(node.process.pid)
    os.kill(worker, signal.SIGSTOP)
    archive.start()
    assert node.send(*instances.make()).returncode == 0
    wait_for(lambda: archive.count() == 1 and not node.left())
    assert node.log.count("worker process died") == 1


@pytest.mark.skipif(not has_ps, reason="needs ps")
def test_no_process_outlives_a_node_that_is_killed(node: Node) -> None:
    node.start()
    assert node.process is not None
    (worker,) = children_of(node.process.pid)
    node.kill()
    wait_for(lambda: not Path(f"/proc/{worker}").exists())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB, or a skip where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "boneage-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_and_loses_nothing(
    node: Node, archive: Archive, instances: Instances, small_disk: Path
) -> None:
    node.queue = small_disk / "queue"
    node.start()
    made = instances.make(12, rows=400)  # 0.12 MB each
    acknowledged = [path for path in made if node.send(path).returncode == 0]
    assert 0 < len(acknowledged) < 12
    assert not any(name.startswith("incoming/") for name in node.left())
    node.kill()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    archive.start()
    node.start()
    wait_for(lambda: archive.count() == len(acknowledged) and not node.left())
    assert archive.sources() == uids_of(acknowledged)
    rest = [path for path in made if path not in acknowledged]
    assert node.send(*rest).returncode == 0
    wait_for(lambda: archive.count() == 12 and not node.left())
    assert archive.sources() == uids_of(made)


def test_a_transfer_that_breaks_off_leaves_nothing(node: Node, instances: Instances) -> None:
    node.start()
    (large,) = instances.make(rows=2000)
    with _Cut(node.port, 500_000) as cut:
        assert node.send(large, port=cut.port).returncode != 0
    wait_for(lambda: "broken" in node.log)
    assert node.left() == []
    assert node.send(large).returncode == 0


def test_nonsense_on_the_port_costs_a_connection(node: Node, instances: Instances) -> None:
    node.start("--timeout", "2", "--max-associations", "2")
    silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(3)]
    for nonsense in (b"GET / HTTP/1.0\r\n\r\n", b"\x01\x00\xff\xff\xff\xff" + b"\0" * 100_000):
        with socket.create_connection(("127.0.0.1", node.port)) as connection:
            connection.settimeout(60)
            try:
                connection.sendall(nonsense)
                while connection.recv(4096):
                    pass
            except ConnectionError:
                pass
    wait_for(lambda: node.echo() == 0)
    for connection in silent:
        connection.close()
    assert node.send(*instances.make()).returncode == 0


def test_a_peer_that_stops_in_the_middle_does_not_keep_the_node_from_ending(node: Node) -> None:
    node.start()
    with socket.create_connection(("127.0.0.1", node.port)) as connection:
        connection.sendall(b"\x01\x00\x00\x00\x01\x00half of an A-ASSOCIATE-RQ")
        wait_for(lambda: node.echo() == 0)
        assert node.end() == 0


class _Cut:
    """A wire to a port that is cut after so many bytes."""

    def __init__(self, port: int, after: int) -> None:
        self._to, self._after = port, after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> "_Cut":
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _run(self) -> None:
        here, _ = self._listening.accept()
        there = socket.create_connection(("127.0.0.1", self._to))
        threading.Thread(target=self._back, args=(there, here), daemon=True).start()
        passed = 0
        while passed < self._after and (data := here.recv(4096)):
            there.sendall(data)
            passed += len(data)
        for wire in (here, there):
            wire.shutdown(socket.SHUT_RDWR)  # closing alone waits for the thread that reads
            wire.close()

    @staticmethod
    def _back(there: socket.socket, here: socket.socket) -> None:
        try:
            while data := there.recv(4096):
                here.sendall(data)
        except OSError:
            return
