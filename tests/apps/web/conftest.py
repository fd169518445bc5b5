"""What the tests of the web app share; see page_tools.py."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from api_tools import ApiServer
from page_tools import Server, serving
from tiny_models import explaining_bundle, write_hand

from chromium import open_browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with open_browser() as started:
        yield started


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server with the model that comes along, on a free port."""
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def explaining(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that gives heat maps."""
    return explaining_bundle(tmp_path_factory.mktemp("models") / "explaining")


@pytest.fixture(scope="session")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small radiograph that is taken for a hand."""
    return write_hand(tmp_path_factory.mktemp("hands") / "hand.png", seed=6)


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, explaining: Path) -> Iterator[ApiServer]:
    """A server with one worker, the tiny model and limits as they are."""
    folder = tmp_path_factory.mktemp("api")
    running = ApiServer(folder / "server", "--model", str(explaining), "--workers", "1")
    yield running
    running.close()
