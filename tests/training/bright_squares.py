"""Images that a network learns in a few steps, and the course that it took."""

import csv
from pathlib import Path

import numpy as np

from boneage.dataset.prepared import PreparedData

SETTINGS = {
    "size_px": 32, "epochs": 4, "batch_size": 16, "width": 8, "blocks": [1, 1],
    "threads": 1, "precision": "float32", "device": "cpu", "seed": 3,
}  # fmt: skip


def bright_squares(count: int, seed: int) -> PreparedData:
    """Images whose age is the side of a bright square: learnable in a few steps."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 30, (count, 32, 32), dtype=np.uint8)
    ages = rng.uniform(20, 220, count).astype(np.float32)
    for image, age in zip(images, ages, strict=True):
        side = int(age / 8)
        image[2 : 2 + side, 2 : 2 + side] = 200
    return PreparedData(
        images=images,
        ids=tuple(f"{i:04d}" for i in range(count)),
        sexes=rng.integers(0, 2, count).astype(np.float32),
        bone_ages_months=ages,
    )


def course(folder: Path) -> list[list[float]]:
    """``metrics.csv`` without the seconds."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [[float(value) for value in row[:-1]] for row in list(csv.reader(file))[1:]]
