"""Small data folders made of real files."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

DrawImage = Callable[..., Path]
MakeFolder = Callable[..., Path]


def _draw(path: Path, seed: int, height_px: int = 48, width_px: int = 40) -> Path:
    """A picture that differs with the seed: a bright blob with noise on dark ground."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    centre = rng.uniform(0.35, 0.65, 2) * (height_px, width_px)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    values = 200 * np.exp(-((distance / 15) ** 2)) + rng.uniform(0, 40, (height_px, width_px))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), values.astype(np.uint8))
    return path


@pytest.fixture(scope="session")
def draw_image() -> DrawImage:
    """``draw_image(path, seed, height_px, width_px)`` writes a picture."""
    return _draw


@pytest.fixture(scope="session")
def make_data() -> MakeFolder:
    """``make_data(folder, ids)`` writes ``images/ID.png`` and ``labels.csv``."""

    def make(folder: Path, ids: Iterable[str]) -> Path:
        lines = ["id,boneage,male"]
        for number, name in enumerate(ids):
            _draw(folder / "images" / f"{name}.png", number)
            lines.append(f"{name},{10 + number % 200},{number % 2 == 0}")
        (folder / "labels.csv").write_text("\n".join(lines) + "\n")
        return folder

    return make
