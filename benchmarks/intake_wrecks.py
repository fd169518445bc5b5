"""Non-hands made from real hands of the validation split: pairs, remains, and disorder.

Other code than the training's, on radiographs that it has not seen. Each function takes a
radiograph's pixels, the hand's box and a generator of random numbers.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.radiographs.crop import Box, crop
from boneage.radiographs.intensity import normalise

Picture = NDArray[np.uint8]
SIDES = ("top", "bottom", "left", "right")


def box_of(pixels: Picture) -> Box:
    return crop(normalise(pixels).image).box


def side_by_side(first: Picture, second: Picture, rng: np.random.Generator) -> Picture:
    """Two films beside or above each other, in the same or opposite direction, seam or none."""
    tall = 135
    films = [
        cv2.resize(film, (round(tall * film.shape[1] / film.shape[0]), tall))
        for film in (first, second)
    ]
    if rng.random() < 0.8:
        films[1] = films[1][:, ::-1]
    if rng.random() < 0.25:
        films[1] = films[1][::-1]
    bar = np.full((tall, int(rng.integers(0, 20))), int(rng.choice([0, 40, 255])), np.uint8)
    both = np.hstack([films[0], bar, films[1]])
    return np.rot90(both, int(rng.integers(4))).copy()


def remains(pixels: Picture, side: str, lost: float, *, shutter: bool = False) -> Picture:
    """A hand that lacks ``lost`` of its box on one side: cut off, or behind a shutter."""
    box = box_of(pixels)
    height, width = pixels.shape
    rows, columns = slice(0, height), slice(0, width)
    if side == "top":
        rows = slice(box.top_px + round(lost * box.height_px), height)
    elif side == "bottom":
        rows = slice(0, box.top_px + round((1 - lost) * box.height_px))
    elif side == "left":
        columns = slice(box.left_px + round(lost * box.width_px), width)
    else:
        columns = slice(0, box.left_px + round((1 - lost) * box.width_px))
    if not shutter:
        return pixels[rows, columns].copy()
    shut = np.zeros_like(pixels)
    shut[rows, columns] = pixels[rows, columns]
    return shut


def detail(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Carpus, fingertips, or the forearm alone."""
    box = box_of(pixels)
    y0, y1 = [(0.55, 0.85), (0.0, 0.35), (0.8, 1.3), (0.1, 0.5)][int(rng.integers(4))]
    x0 = float(rng.uniform(0, 0.5))
    part = pixels[
        box.top_px + int(y0 * box.height_px) : box.top_px + int(y1 * box.height_px),
        box.left_px + int(x0 * box.width_px) : box.left_px + int((x0 + 0.5) * box.width_px),
    ]
    if min(part.shape) < 8:
        part = pixels[-max(16, pixels.shape[0] // 5) :]
    return np.asarray(cv2.resize(part, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), np.uint8)


def disorder(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Strips in another order, quadrants swapped, a kaleidoscope, a polar picture, a mosaic."""
    box = box_of(pixels)
    hand = cv2.resize(np.ascontiguousarray(pixels[box.slices]), (160, 160))
    kind = rng.integers(6)
    if kind == 0:
        strips = np.split(hand, 10, axis=int(rng.integers(2)))
        axis = 1 if strips[0].shape[0] == 160 else 0
        return np.concatenate([strips[i] for i in rng.permutation(10)], axis=axis)
    if kind == 1:
        return np.roll(hand, (80, 80), (0, 1))
    if kind == 2:
        corner = hand[:80, :80]
        half = np.hstack([corner, corner[:, ::-1]])
        return np.vstack([half, half[::-1]])
    if kind == 3:
        return np.asarray(cv2.warpPolar(hand, (160, 160), (80, 80), 80, cv2.WARP_POLAR_LINEAR))
    if kind == 4:
        small = cv2.resize(hand, (48, 48), interpolation=cv2.INTER_AREA)
        return np.tile(small, (3, 3))
    y, x = np.mgrid[0:160, 0:160].astype(np.float32) - 80
    turn = 4 * np.exp(-np.hypot(x, y) / 50)
    c, s = np.cos(turn), np.sin(turn)
    return np.asarray(cv2.remap(hand, c * x - s * y + 80, s * x + c * y + 80, cv2.INTER_LINEAR))


def outline(pixels: Picture, rng: np.random.Generator) -> Picture:
    """A hand without bones, as a glove or a photograph against the light has it."""
    value = cv2.GaussianBlur(pixels, (0, 0), 1.5)
    limit, _ = cv2.threshold(value, 0, 255, cv2.THRESH_OTSU)
    mask = (value > 0.7 * limit).astype(np.float32)
    depth = cv2.distanceTransform((mask * 255).astype(np.uint8), cv2.DIST_L2, 3)
    shade = mask * (0.5 + 0.5 * np.sqrt(depth / max(float(depth.max()), 1e-6)))
    shade = cv2.GaussianBlur(shade, (0, 0), float(rng.uniform(0.4, 1.5)))
    shade += 0.02 * rng.standard_normal(shade.shape)
    picture = (255 * np.clip(shade, 0, 1)).astype(np.uint8)
    return 255 - picture if rng.random() < 0.3 else picture


ONE_HAND: dict[str, Callable[[Picture, np.random.Generator], Any]] = {
    "hand: a detail": detail,
    "hand in disorder": disorder,
    "outline of a hand": outline,
}
