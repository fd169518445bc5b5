"""Archives that say no: what is asked again, and what counts as taken."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from node_tools import Archive, Instances, Node, needs_dcmtk, wait_for
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage

pytestmark = needs_dcmtk

Fussy = Callable[..., Path]


@pytest.fixture
def fussy(archive: Archive, tmp_path: Path) -> Iterator[Fussy]:
    """Starts an archive that answers with certain statuses; gives what it prints."""
    running: list[subprocess.Popen[bytes]] = []

    def start(storage: str, *statuses: int) -> Path:
        for one in running:
            one.kill()
            one.wait()
        program = Path(__file__).parent / "fussy_archive.py"
        command = [sys.executable, str(program), str(archive.port), storage, *map(str, statuses)]
        printed = tmp_path / f"fussy-{len(running)}.txt"
        with open(printed, "w") as stream:
            running.append(subprocess.Popen(command, stdout=stream))
        return printed

    yield start
    for one in running:
        one.kill()
        one.wait()


def test_a_failure_is_asked_again_and_a_warning_is_taken(
    node: Node, instances: Instances, fussy: Fussy
) -> None:
    printed = fussy(ComprehensiveSRStorage, 0xA700, 0x0110, 0xC000, 0xB000)
    node.start()
    assert node.send(*instances.make()).returncode == 0
    wait_for(lambda: not node.left())
    lines = [line.split() for line in printed.read_text().splitlines()]
    assert [status for _, status in lines] == ["0xA700", "0x0110", "0xC000", "0xB000"]
    assert len({uid for uid, _ in lines}) == 1  # always the same result
    assert node.end() == 0
    assert "sent 1, failed_sends 3" in node.log


def test_others_go_on_while_one_is_refused(node: Node, instances: Instances, fussy: Fussy) -> None:
    printed = fussy(ComprehensiveSRStorage, 0xA700)
    node.start("--retry-first", "5", "--retry-most", "5")
    assert node.send(*instances.make(3)).returncode == 0
    wait_for(lambda: not node.left())
    lines = [line.split() for line in printed.read_text().splitlines()]
    refused = lines[0][0]
    assert [uid for uid, _ in lines].index(refused, 1) == 3  # after the two others
    assert len({uid for uid, _ in lines}) == 3


def test_an_archive_that_does_not_take_reports_is_asked_again(
    node: Node, instances: Instances, fussy: Fussy
) -> None:
    fussy(CTImageStorage)
    node.start()
    assert node.send(*instances.make()).returncode == 0
    wait_for(lambda: "not accept" in node.log)
    assert len(node.left()) == 3
    fussy(ComprehensiveSRStorage)
    wait_for(lambda: not node.left())
