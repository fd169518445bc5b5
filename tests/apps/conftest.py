"""A bundle, radiographs and the tiny model of the inference tests for the command line's tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))
sys.path.insert(0, str(Path(__file__).parents[1] / "radiographs"))

from tiny_models import tiny_bundle, write_hand


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder."""
    return tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with three radiographs: 1.png, 2.jpg and below/3.tif."""
    folder = tmp_path / "scans"
    for seed, name in enumerate(["1.png", "2.jpg", "below/3.tif"]):
        write_hand(folder / name, seed)
    return folder
