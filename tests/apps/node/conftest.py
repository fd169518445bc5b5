"""What the tests of the node share; see node_tools.py."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from node_tools import Archive, Instances, Node


@pytest.fixture
def instances(tmp_path: Path) -> Instances:
    """Makes instances of drawn hands."""
    return Instances(tmp_path / "instances")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive that is not running yet."""
    made = Archive(tmp_path / "archive")
    yield made
    made.stop()


@pytest.fixture
def node(tmp_path: Path, bundle: Path, archive: Archive) -> Iterator[Node]:
    """A node that is not running yet and sends to the archive."""
    made = Node(tmp_path / "queue", bundle, archive)
    yield made
    made.kill()
