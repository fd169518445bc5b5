"""Other parts of the body, drawn as sums of soft tissue and bones with dense rims.

They are crude on purpose: what matters is that no long, jointed rays spread from a palm. Each
function takes a generator of random numbers and gives a grey uint8 picture.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scenes import Picture, frame, letters, size_of, to_bytes

Layer = NDArray[np.float32]
Point = tuple[float, float]


class Film:
    """A film that is painted on in shares of its width and height."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.height, self.width = size_of(rng)
        self.total = np.zeros((self.height, self.width), np.float32)

    def add(self, layer: Layer, value: float, soft_px: float) -> None:
        """Add a mask, blurred."""
        self.total += value * cv2.GaussianBlur(layer, (0, 0), max(0.3, soft_px))

    def ellipse(
        self, at: Point, axes: Point, angle: float, value: float, *, soft: float = 1.5
    ) -> None:
        """A filled ellipse; centre and half axes are shares of width and height."""
        self.add(self._ellipse(at, axes, angle, -1), value, soft)

    def ring(
        self, at: Point, axes: Point, angle: float, value: float, *, thick: int = 2,
        arc: tuple[float, float] = (0, 360),
    ) -> None:  # fmt: skip
        """The rim of an ellipse, or an arc of it."""
        self.add(self._ellipse(at, axes, angle, thick, arc), value, 0.6)

    def bone(self, first: Point, second: Point, breadth: float, value: float = 1.0) -> None:
        """A long bone: a shaft with dense walls, flaring ends, a thin gap of growth plate."""
        (x0, y0), (x1, y1) = self._px(first), self._px(second)
        half = max(1.0, breadth * min(self.width, self.height) / 2)
        length = max(1.0, float(np.hypot(x1 - x0, y1 - y0)))
        along = np.array([x1 - x0, y1 - y0]) / length
        aside = np.array([-along[1], along[0]])
        steps = np.linspace(0, 1, 14)
        flare = 1 + float(self.rng.uniform(0.1, 0.7)) * (2 * np.abs(steps - 0.5)) ** 4
        spine = np.array([x0, y0]) + steps[:, None] * length * along
        sides = half * flare[:, None] * aside
        outline = np.concatenate([spine + sides, (spine - sides)[::-1]])
        solid, hollow = (np.zeros_like(self.total) for _ in range(2))
        cv2.fillPoly(solid, [np.round(outline).astype(np.int32)], 1.0, cv2.LINE_AA)
        wall = float(self.rng.uniform(0.4, 0.75))
        inner = np.concatenate([spine + wall * sides, (spine - wall * sides)[::-1]])
        cv2.fillPoly(hollow, [np.round(inner).astype(np.int32)], 1.0, cv2.LINE_AA)
        self.add(solid - 0.5 * hollow, value, 0.5)

    def limb(self, points: list[Point], breadths: list[float], value: float) -> None:
        """Soft tissue along a line of points."""
        layer = np.zeros_like(self.total)
        side = min(self.width, self.height)
        for k in range(len(points) - 1):
            for share in np.linspace(0, 1, 16):
                x = points[k][0] * (1 - share) + points[k + 1][0] * share
                y = points[k][1] * (1 - share) + points[k + 1][1] * share
                radius = breadths[k] * (1 - share) + breadths[k + 1] * share
                place = tuple(round(v) for v in self._px((x, y)))
                cv2.circle(layer, place, max(1, round(radius * side / 2)), 1.0, -1, cv2.LINE_AA)
        self.add(layer, value, float(self.rng.uniform(1, 4)))

    def develop(self) -> Picture:
        """The picture, with a film's noise, frame and letters."""
        rng = self.rng
        image = self.total + 0.02 * rng.standard_normal(self.total.shape).astype(np.float32)
        clouds = cv2.resize(
            rng.standard_normal((9, 9)).astype(np.float32), (self.width, self.height),
            interpolation=cv2.INTER_CUBIC,
        )  # fmt: skip
        image = image * (1 + float(rng.uniform(0, 0.25)) * clouds)
        picture = to_bytes(np.clip(image, 0, None).astype(np.float32))
        if rng.random() < 0.4:
            picture = frame(picture, rng)
        if rng.random() < 0.5:
            letters(picture, rng)
        return picture

    def _px(self, at: Point) -> tuple[float, float]:
        return at[0] * self.width, at[1] * self.height

    def _ellipse(
        self, at: Point, axes: Point, angle: float, thick: int,
        arc: tuple[float, float] = (0, 360),
    ) -> Layer:  # fmt: skip
        layer = np.zeros_like(self.total)
        place = tuple(round(v) for v in self._px(at))
        size = (max(1, round(axes[0] * self.width)), max(1, round(axes[1] * self.height)))
        cv2.ellipse(layer, place, size, angle, arc[0], arc[1], 1.0, thick, cv2.LINE_AA)
        return layer


def chest(rng: np.random.Generator) -> Picture:
    """Two dark lungs, ribs, spine, heart, collar bones."""
    film = Film(rng)
    j = lambda spread: float(rng.normal(0, spread))  # noqa: E731
    film.ellipse((0.5, 0.55 + j(0.03)), (0.48 + j(0.05), 0.6), 0, 0.8, soft=6)
    top, tall = 0.45 + j(0.05), 0.3 + j(0.04)
    for side in (-1, 1):
        x = 0.5 + side * (0.2 + j(0.015))
        film.ellipse((x, top), (0.13 + j(0.02), tall), side * 6, -0.6, soft=4)
        for rib in range(rng.integers(6, 11)):
            y = top - tall + 0.08 + rib * tall * 0.19
            arc = (180, 350) if side > 0 else (190, 360)
            film.ring((x, y + 0.06), (0.17, 0.1 + j(0.01)), side * 12, 0.16, thick=3, arc=arc)
        film.bone((0.5 + side * 0.04, 0.17 + j(0.01)), (0.5 + side * 0.36, 0.12 + j(0.02)), 0.03)
    film.ellipse((0.5, 0.5), (0.05, 0.6), 0, 0.35, soft=3)
    film.ellipse((0.54 + j(0.03), 0.6), (0.15 + j(0.03), 0.15), 20, 0.5, soft=4)
    return film.develop()


def skull(rng: np.random.Generator) -> Picture:
    """A vault with a dense rim, orbits, teeth; from the front or the side."""
    film = Film(rng)
    side = bool(rng.random() < 0.5)
    wide = float(rng.uniform(0.36, 0.45) if side else rng.uniform(0.3, 0.38))
    film.ellipse((0.5, 0.42), (wide, 0.32), float(rng.normal(0, 8)), 0.5, soft=3)
    film.ring(
        (0.5, 0.42), (wide, 0.32), float(rng.normal(0, 8)), 0.9, thick=int(rng.integers(2, 6))
    )
    for x in (0.62, 0.7) if side else (0.37, 0.63):
        film.ellipse((x, 0.55), (0.08, 0.06), 0, -0.2, soft=2)
        film.ring((x, 0.55), (0.09, 0.07), 0, 0.5)
    film.ellipse((0.66 if side else 0.5, 0.75), (0.18, 0.14), 0, 0.45, soft=4)
    for tooth in range(8):
        x = (0.58 if side else 0.38) + 0.035 * tooth
        film.bone((x, 0.72), (x, 0.77), 0.03, 0.6)
    film.limb([(0.45, 0.8), (0.45, 1.0)], [0.25, 0.3], 0.5)
    return film.develop()


def knee(rng: np.random.Generator) -> Picture:
    """Two thick bones that meet, with or without a patella; also an elbow or an ankle."""
    film = Film(rng)
    j = lambda spread: float(rng.normal(0, spread))  # noqa: E731
    bend = j(0.15)
    joint = (0.5 + j(0.06), 0.5 + j(0.08))
    up, down = (0.5 + j(0.08), -0.02), (0.5 + bend, 1.02)
    thick = float(rng.uniform(0.3, 0.75))
    film.limb([up, joint, down], [thick, thick * rng.uniform(0.8, 1.1), thick * 0.8], 0.5)
    breadth = thick * float(rng.uniform(0.3, 0.6))
    film.bone(up, (joint[0], joint[1] - 0.02), breadth, 0.6)
    film.bone((joint[0], joint[1] + 0.02), down, breadth * 0.9, 0.6)
    if rng.random() < 0.7:
        shift = breadth * 0.8
        film.bone((joint[0] + shift, joint[1] + 0.07), (down[0] + shift, 1.02), breadth * 0.4, 0.5)
    for _ in range(rng.integers(0, 4)):
        at = (joint[0] + j(0.06), joint[1] + j(0.03))
        film.ellipse(at, (breadth * 0.4, breadth * 0.25), j(60), 0.3)
    return film.develop()


def foot(rng: np.random.Generator) -> Picture:
    """Five short toes on long, parallel bones and a heel; from above or from the side."""
    film = Film(rng)
    j = lambda spread: float(rng.normal(0, spread))  # noqa: E731
    if rng.random() < 0.4:
        film.limb([(0.75, -0.05), (0.72, 0.5)], [0.35, 0.35], 0.5)
        film.limb([(0.8, 0.6), (0.4, 0.68), (0.06, 0.8)], [0.32, 0.3, 0.12], 0.5)
        film.bone((0.7, -0.05), (0.7, 0.45), 0.14, 0.6)
        film.bone((0.8, -0.05), (0.8, 0.42), 0.06, 0.5)
        film.ellipse((0.82, 0.66), (0.14, 0.08), j(15), 0.6)
        film.ellipse((0.66, 0.53), (0.1, 0.06), j(15), 0.6)
        for ray in range(4):
            film.bone((0.48, 0.58 + 0.04 * ray), (0.12, 0.78 + 0.01 * ray), 0.05, 0.4)
        return film.develop()
    film.limb([(0.5, 0.95), (0.5, 0.75), (0.48, 0.3), (0.47, 0.2)], [0.3, 0.42, 0.66, 0.6], 0.45)
    film.ellipse((0.5, 0.86), (0.15, 0.1), j(10), 0.7)
    for _ in range(5):
        film.ellipse((0.5 + j(0.09), 0.68 + j(0.03)), (0.07, 0.05), j(60), 0.3)
    for ray in range(5):
        x, head = 0.28 + 0.11 * ray, 0.24 + 0.035 * abs(ray - 1)
        breadth = 0.09 if ray == 0 else 0.05
        film.bone((0.4 + 0.05 * ray, 0.62), (x, head + 0.1), breadth, 0.6)
        film.limb([(x, head + 0.1), (x + j(0.01), head - 0.05)], [1.8 * breadth, breadth], 0.3)
        film.bone((x, head + 0.08), (x, head + 0.02), breadth, 0.5)
        film.bone((x, head), (x, head - 0.04), breadth * 0.8, 0.5)
    return film.develop()


def pelvis(rng: np.random.Generator) -> Picture:
    """Two wings, a ring, two heads of femur, a spine."""
    film = Film(rng)
    film.ellipse((0.5, 0.5), (0.5, 0.6), 0, 0.6, soft=8)
    film.limb([(0.5, -0.05), (0.5, 0.4)], [0.2, 0.22], 0.4)
    for side in (-1, 1):
        film.ellipse((0.5 + side * 0.24, 0.33), (0.16, 0.2), side * 25, 0.45)
        film.ring((0.5 + side * 0.24, 0.33), (0.16, 0.2), side * 25, 0.4)
        film.ring((0.5 + side * 0.11, 0.72), (0.08, 0.09), side * 20, 0.6, thick=6)
        film.ellipse((0.5 + side * 0.28, 0.6), (0.08, 0.07), 0, 0.5)
        film.bone((0.5 + side * 0.34, 0.66), (0.5 + side * 0.36, 1.05), 0.13, 0.6)
    return film.develop()


def spine(rng: np.random.Generator) -> Picture:
    """A column of blocks in a broad shadow."""
    film = Film(rng)
    film.ellipse((0.5, 0.5), (float(rng.uniform(0.2, 0.5)), 0.7), 0, 0.5, soft=8)
    curve, breadth = float(rng.normal(0, 0.08)), float(rng.uniform(0.12, 0.3))
    count = int(rng.integers(5, 13))
    for number in range(count):
        y0, y1 = number / count + 0.01, (number + 0.8) / count
        x = 0.5 + curve * float(np.sin(np.pi * y0))
        film.bone((x, y0), (x, y1), breadth, 0.5)
    return film.develop()


BODIES: tuple[Callable[[np.random.Generator], Picture], ...] = (
    chest, skull, knee, foot, foot, pelvis, spine,
)  # fmt: skip
