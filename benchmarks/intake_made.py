"""Non-hands made for measuring the intake gate, by other means than its training used.

Bodies are sums of chord lengths through ellipsoids (training drew outlines), documents use
TrueType fonts through Pillow (training used OpenCV's strokes), textures are other processes.
Each function takes a generator of random numbers and gives a grey uint8 picture.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
WORDS = (
    "patient name", "date of birth", "referral", "findings", "no evidence of fracture",
    "impression normal", "film left", "examination", "and of with", "bone report", "clinic",
    "please see attached", "invoice", "total amount due", "quantity", "unit price",
)  # fmt: skip


def eight_bits(values: NDArray[Any]) -> Picture:
    low, high = np.percentile(values, (0.2, 99.9))
    return (255 * np.clip((values - low) / max(float(high - low), 1e-9), 0, 1)).astype(np.uint8)


class Projection:
    """X-rays through ellipsoids: each adds its density times the length of the ray in it."""

    def __init__(self, rng: np.random.Generator, aspect: float) -> None:
        self.rng = rng
        height = int(rng.integers(140, 700))
        shape = (height, max(60, round(height * aspect)))
        self.y, self.x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / height
        self.path = np.zeros(shape, np.float32)
        self.wide = float(self.x.max())

    def ball(
        self, x: float, y: float, a: float, b: float, deg: float, thick: float, dense: float
    ) -> None:
        """An ellipsoid: centre, half axes in the film's plane, turn, half depth, density."""
        c, s = np.cos(np.radians(deg)), np.sin(np.radians(deg))
        u = ((self.x - x) * c + (self.y - y) * s) / a
        v = ((self.y - y) * c - (self.x - x) * s) / b
        self.path += dense * thick * np.sqrt(np.maximum(0, 1 - u * u - v * v))

    def shell(self, x: float, y: float, a: float, b: float, deg: float, wall: float) -> None:
        """A dense wall around a lighter filling."""
        self.ball(x, y, a, b, deg, a, 2.0)
        self.ball(x, y, a - wall, b - wall, deg, a - wall, -1.7)

    def rod(self, x0: float, y0: float, x1: float, y1: float, r: float) -> None:
        """A long bone with thickened ends."""
        deg = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
        half = float(np.hypot(x1 - x0, y1 - y0)) / 2
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        self.shell(*middle, half, r, deg, min(0.35 * r, 0.02))
        for x, y in ((x0, y0), (x1, y1)):
            self.ball(x, y, 1.25 * r, 1.25 * r, 0, r, 1.2)

    def film(self) -> Picture:
        """What the rays leave behind, with a film's noise and blur."""
        rng = self.rng
        if rng.random() < 0.5:
            image = 1 - np.exp(-self.path * float(rng.uniform(1, 4)))
        else:
            image = self.path.copy()
        image += float(rng.uniform(0, 0.02)) * rng.standard_normal(image.shape) * image.max()
        return eight_bits(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 2))))


def chest(rng: np.random.Generator) -> Picture:
    p = Projection(rng, float(rng.uniform(0.85, 1.15)))
    m = p.wide / 2
    p.ball(m, 0.6, 0.46 * p.wide, 0.62, 0, 0.3, 1.0)
    p.ball(m, 0.02, 0.1, 0.16, 0, 0.12, 1.0)
    for side in (-1, 1):
        p.ball(m + side * 0.2, 0.45, 0.14, 0.3, side * 5, 0.22, -0.9)
        for k in range(9):
            p.ball(m + side * 0.2, 0.18 + 0.065 * k, 0.19, 0.012, side * (25 - 4 * k), 0.02, 3)
        p.rod(m + side * 0.03, 0.14, m + side * 0.33, 0.09, 0.012)
        p.ball(m + side * 0.42, 0.25, 0.05, 0.12, side * -20, 0.05, 1.4)
    for k in range(12):
        p.ball(m, 0.05 + 0.08 * k, 0.04, 0.032, 0, 0.04, 2)
    p.ball(m + 0.05, 0.55, 0.14, 0.12, 30, 0.12, 1)
    return p.film()


def skull(rng: np.random.Generator) -> Picture:
    p = Projection(rng, float(rng.uniform(0.75, 1.0)))
    m = p.wide / 2
    a = float(rng.uniform(0.28, 0.38))
    p.shell(m, 0.4, a, 0.34, float(rng.normal(0, 6)), float(rng.uniform(0.015, 0.03)))
    p.ball(m, 0.75, 0.2, 0.17, 0, 0.2, 0.9)
    for side in (-1, 1):
        p.ball(m + side * 0.12, 0.52, 0.07, 0.06, 0, 0.1, -0.8)
        p.rod(m + side * 0.18, 0.62, m + side * 0.1, 0.88, 0.03)
    for k in range(10):
        p.ball(m - 0.11 + 0.025 * k, 0.75, 0.01, 0.03, 0, 0.03, 3)
    for k in range(5):
        p.ball(m, 0.85 + 0.05 * k, 0.05, 0.02, 0, 0.05, 1.5)
    return p.film()


def joint(rng: np.random.Generator) -> Picture:
    """A knee, an elbow or a shoulder-like joint, straight or bent."""
    p = Projection(rng, float(rng.uniform(0.5, 1.1)))
    m, thick = p.wide / 2, float(rng.uniform(0.1, 0.22))
    bend = float(rng.uniform(-0.5, 0.5)) * p.wide
    middle = 0.5 + float(rng.normal(0, 0.06))
    p.ball(m, 0.1, 1.5 * thick, 0.5, 0, thick, 0.8)
    p.ball(m + bend / 2, 0.9, 1.3 * thick, 0.5, float(rng.normal(0, 10)), thick, 0.8)
    r = thick * float(rng.uniform(0.3, 0.5))
    p.rod(m, -0.1, m, middle - 0.03, r)
    p.rod(m, middle + 0.03, m + bend, 1.1, 0.9 * r)
    if rng.random() < 0.6:
        p.rod(m + 1.2 * r, middle + 0.08, m + bend + 1.5 * r, 1.1, 0.4 * r)
    if rng.random() < 0.5:
        p.ball(m, middle - 0.05, r, 1.1 * r, 0, r, 1.2)
    return p.film()


def foot(rng: np.random.Generator) -> Picture:
    p = Projection(rng, float(rng.uniform(0.45, 0.65)))
    m = p.wide / 2
    p.ball(m, 0.75, 0.32 * p.wide, 0.33, 0, 0.15, 0.8)
    p.ball(m, 0.4, 0.42 * p.wide, 0.3, 0, 0.1, 0.8)
    p.ball(m, 0.86, 0.09, 0.11, float(rng.normal(0, 8)), 0.1, 1.6)
    for _ in range(6):
        p.ball(m + float(rng.normal(0, 0.06)), 0.66 + float(rng.normal(0, 0.03)), 0.05, 0.035,
               float(rng.uniform(0, 180)), 0.05, 1.2)  # fmt: skip
    for ray in range(5):
        r = 0.03 if ray == 0 else 0.016
        x0, x1 = m + 0.05 * (ray - 2), m + 0.075 * (ray - 2)
        head = 0.28 + 0.03 * ray
        p.rod(x0, 0.6, x1, head + 0.05, r)
        p.ball(x1, head - 0.03, 1.9 * r, 0.1, 0, 2 * r, 0.7)
        p.rod(x1, head + 0.02, x1, head - 0.04, r)
        p.ball(x1, head - 0.08, r, 0.02, 0, r, 1.5)
    return p.film()


def trunk(rng: np.random.Generator) -> Picture:
    """A pelvis or an abdomen with a column of vertebrae."""
    p = Projection(rng, float(rng.uniform(0.7, 1.2)))
    m = p.wide / 2
    p.ball(m, 0.5, 0.5 * p.wide, 0.7, 0, 0.3, 0.8)
    for k in range(9):
        p.ball(m, -0.05 + 0.075 * k, 0.06, 0.03, 0, 0.06, 2.2)
    for side in (-1, 1):
        p.ball(m + side * 0.2, 0.62, 0.13, 0.15, side * 30, 0.03, 3)
        p.shell(m + side * 0.1, 0.84, 0.07, 0.06, 0, 0.025)
        p.rod(m + side * 0.26, 0.78, m + side * 0.3, 1.1, 0.04)
        p.ball(m + side * 0.25, 0.78, 0.05, 0.05, 0, 0.05, 1.5)
    return p.film()


def document(rng: np.random.Generator, fonts: list[Path]) -> Picture:
    """A letter, a form or a table."""
    width, height = int(rng.integers(500, 900)), int(rng.integers(600, 1200))
    image = Image.new("L", (width, height), int(rng.integers(225, 256)))
    pen = ImageDraw.Draw(image)
    size = int(rng.integers(11, 30))
    font = ImageFont.truetype(str(fonts[int(rng.integers(len(fonts)))]), size)
    kind, y = rng.integers(3), int(0.05 * height)
    while y < 0.95 * height:
        if kind == 2:
            for column in range(4):
                word = str(rng.choice(WORDS)) if rng.random() < 0.7 else f"{rng.random() * 99:.2f}"
                pen.text((20 + column * width // 4, y), word, fill=20, font=font)
            pen.line((15, y - 4, width - 15, y - 4), fill=90)
        else:
            words = " ".join(rng.choice(WORDS, int(rng.integers(3, 14))))
            pen.text((int(0.08 * width), y), words, fill=int(rng.integers(0, 70)), font=font)
            if kind == 1 and rng.random() < 0.3:
                pen.rectangle((0.08 * width, y, 0.9 * width, y + 2 * size), outline=60, width=2)
        y += int(size * rng.choice([1.3, 1.3, 1.6, 3]))
    page = np.asarray(image, np.uint8)
    return 255 - page if rng.random() < 0.2 else page


def cells(rng: np.random.Generator) -> Picture:
    """Distances to scattered points: cells, foam, cracks."""
    shape = (int(rng.integers(100, 400)), int(rng.integers(100, 400)))
    seeds = np.full(shape, 255, np.uint8)
    count = int(rng.integers(4, 200))
    seeds[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = 0
    return eight_bits(cv2.distanceTransform(seeds, cv2.DIST_L2, 5) ** float(rng.uniform(0.4, 2)))


def walks(rng: np.random.Generator) -> Picture:
    """Random walks: hairs, vessels, scribbles."""
    canvas = np.zeros((int(rng.integers(150, 400)), int(rng.integers(150, 400))), np.uint8)
    for _ in range(rng.integers(2, 40)):
        steps = rng.normal(0, rng.uniform(1, 8), (int(rng.integers(20, 200)), 2))
        path = np.cumsum(np.cumsum(steps, 0) * 0.2, 0) + rng.uniform(0, 1, 2) * canvas.shape[::-1]
        shade = int(rng.integers(60, 256))
        cv2.polylines(
            canvas, [path.astype(np.int32)], False, shade, int(rng.integers(1, 7)), cv2.LINE_AA
        )
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.3, 3))), np.uint8)


def speckle(rng: np.random.Generator) -> Picture:
    """Speckle, in a sector as ultrasound has it, or all over."""
    shape = (int(rng.integers(120, 400)), int(rng.integers(120, 400)))
    field = rng.standard_normal((2, *shape)).astype(np.float32)
    sigma = float(rng.uniform(0.6, 4))
    magnitude = np.hypot(*(cv2.GaussianBlur(part, (0, 0), sigma) for part in field))
    if rng.random() < 0.6:
        y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
        angle = np.arctan2(x - shape[1] / 2, y + 5)
        magnitude *= (np.abs(angle) < rng.uniform(0.3, 0.9)) & (
            np.hypot(x - shape[1] / 2, y) < y.max()
        )
    return eight_bits(magnitude)


def static(rng: np.random.Generator) -> Picture:
    """White noise of several distributions, rows or columns that stick, sparse spikes."""
    shape = (int(rng.integers(60, 500)), int(rng.integers(60, 500)))
    values = rng.laplace(size=shape) if rng.random() < 0.5 else rng.gamma(0.7, size=shape)
    if rng.random() < 0.4:
        values += float(rng.uniform(0.5, 4)) * rng.standard_normal((shape[0], 1))
    if rng.random() < 0.4:
        values += float(rng.uniform(0.5, 4)) * rng.standard_normal((1, shape[1]))
    if rng.random() < 0.3:
        values = (rng.random(shape) < 0.002).astype(np.float64)
    return eight_bits(values)


def blank(rng: np.random.Generator) -> Picture:
    """Nothing: one value, a wedge, a vignette, a few dead pixels, an open field."""
    shape = (int(rng.integers(64, 500)), int(rng.integers(64, 500)))
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    kind = rng.integers(5)
    level = float(rng.uniform(0, 255))
    if kind == 0:
        return np.full(shape, int(level), np.uint8)
    if kind == 1:
        return eight_bits(x * rng.normal() + y * rng.normal())
    if kind == 2:
        return eight_bits(-(np.hypot(x, y) ** rng.uniform(0.5, 4)))
    if kind == 3:
        image = np.full(shape, int(level), np.uint8)
        image[rng.integers(0, shape[0], 5), rng.integers(0, shape[1], 5)] = int(255 - level)
        return image
    field = (np.abs(x) < rng.uniform(0.3, 0.9)) & (np.abs(y) < rng.uniform(0.3, 0.9))
    return eight_bits(field + 0.02 * rng.standard_normal(shape))


BODIES: tuple[Callable[[np.random.Generator], Picture], ...] = (chest, skull, joint, foot, trunk)
TEXTURES: tuple[Callable[[np.random.Generator], Picture], ...] = (cells, walks, speckle, static)
