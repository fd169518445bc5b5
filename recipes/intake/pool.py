"""What the intake network is trained from: small grey copies of hands, phantoms and pictures."""

import csv
import gzip
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from boneage.radiographs.crop import Box, crop
from boneage.radiographs.intensity import normalise
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Sex

HAND_PX = 200
PICTURE_PX = 256
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif"}
OLDEST_MONTHS = 228


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand on a film, fingers up as far as the data set has them up.

    Attributes:
        image: Grey picture, uint8, longer side at most HAND_PX.
        box: Where the hand is.
        infant: Under 30 months: there are few, so that they are drawn more often.
    """

    image: NDArray[np.uint8]
    box: Box
    infant: bool


def read_hands(data: Path, *, split: str) -> tuple[list[Hand], list[str]]:
    """The real radiographs of one part of ``split.csv``, and their ids, in the order of ids."""
    folder = data / "rsna-100px"
    with (folder / "split.csv").open(newline="") as file:
        ids = sorted(row["id"] for row in csv.DictReader(file) if row["split"] == split)
    with (folder / "boneage-training-dataset.csv").open(newline="") as file:
        months = {row["id"]: float(row["boneage"]) for row in csv.DictReader(file)}
    hands = []
    for name in ids:
        pixels = cv2.imread(
            str(folder / "boneage-training-dataset" / f"{name}.png"), cv2.IMREAD_GRAYSCALE
        )
        hands.append(_hand(pixels, infant=months[name] < 30))
    return hands, ids


def draw_hands(count: int, rng: np.random.Generator) -> list[Hand]:
    """Phantoms of all ages and both sexes."""
    hands = []
    for number in range(count):
        months = float(rng.uniform(0, OLDEST_MONTHS))
        sex = (Sex.FEMALE, Sex.MALE)[number % 2]
        pixels = draw_phantom(months, sex, rng=rng, height_px=int(rng.integers(140, 300))).pixels
        hands.append(_hand(pixels, infant=months < 30))
    return hands


def read_pictures(folders: list[Path]) -> list[NDArray[np.uint8]]:
    """Every image file below some folders, grey and reduced; transparent parts become white."""
    paths = sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.is_symlink()
    )
    pictures = []
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.dtype != np.uint8 or min(image.shape[:2]) < 32:
            continue
        pictures.append(_reduced(_grey(image), PICTURE_PX))
    return pictures


def read_volumes(paths: list[Path]) -> list[NDArray[np.uint8]]:
    """Slices and projections of NIfTI head volumes (``.nii.gz``), grey and reduced."""
    pictures = []
    for path in paths:
        raw = gzip.decompress(path.read_bytes())
        width, height, depth = np.frombuffer(raw[42:48], "<i2")
        kind = {2: np.uint8, 4: np.int16, 512: np.uint16, 16: np.float32}[
            int(np.frombuffer(raw[70:72], "<i2")[0])
        ]
        start = int(np.frombuffer(raw[108:112], "<f4")[0])
        count = int(width) * int(height) * int(depth)
        values = np.frombuffer(raw, kind, count=count, offset=start)
        volume = values.reshape(depth, height, width).astype(np.float32)
        for axis in range(3):
            size = volume.shape[axis]
            planes = [np.take(volume, int(k * size), axis) for k in np.linspace(0.25, 0.75, 12)]
            planes += [volume.mean(axis), volume.max(axis)]
            pictures.extend(_eight_bits(plane[::-1]) for plane in planes)
    return pictures


def _hand(pixels: NDArray[Any], *, infant: bool) -> Hand:
    image = _reduced(pixels, HAND_PX)
    return Hand(image, crop(normalise(image).image).box, infant)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim == 2:
        return image
    if image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.float32) / 255
        image = (image[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if image.shape[2] != 3:
        return np.ascontiguousarray(image[..., 0])
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _eight_bits(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    black, white = np.percentile(image, (0.5, 99.8))
    scaled = 255 * (image - black) / max(float(white - black), 1e-6)
    return _reduced(np.clip(scaled, 0, 255).astype(np.uint8), PICTURE_PX)


def _reduced(image: NDArray[np.uint8], long_side_px: int) -> NDArray[np.uint8]:
    factor = long_side_px / max(image.shape)
    if factor >= 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
