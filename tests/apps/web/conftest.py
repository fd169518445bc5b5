"""What the tests of the web app share; see page_tools.py."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from page_tools import Server, serving

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
