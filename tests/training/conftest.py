"""What the tests of training share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# For ``import bright_squares`` and ``import maps``: test folders are no packages.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "network"))


@pytest.fixture(scope="module")
def threads_kept() -> Iterator[None]:
    """Trainings set the number of threads; after the module it is what it was."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
