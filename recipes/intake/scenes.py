"""Non-hands that are made: noise, empty films, patterns, pages of text, plots, plain shapes.

Every function takes a generator of random numbers and gives a grey uint8 picture.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
LETTERS = "abcdefghijklmnopqrstuvwxyz      ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-()%"


def size_of(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a picture: any common shape, near the sizes of the radiographs."""
    side = int(rng.integers(100, 180))
    other = round(side * float(rng.uniform(0.6, 1)))
    return (side, other) if rng.random() < 0.75 else (other, side)


def to_bytes(values: NDArray[np.float32]) -> Picture:
    """Scale whatever was computed to 0..255."""
    low, high = float(values.min()), float(values.max())
    return (255 * (values - low) / max(high - low, 1e-6)).astype(np.uint8)


def spectral_noise(rng: np.random.Generator) -> Picture:
    """Noise whose power falls with frequency: from white to clouds, now and then stretched."""
    height, width = size_of(rng)
    down = np.fft.fftfreq(height)[:, None] * float(rng.choice([1, 1, 3, 8]))
    across = np.fft.rfftfreq(width)[None] * float(rng.choice([1, 1, 3, 8]))
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    spectrum *= frequency ** -float(rng.uniform(0, 2.5))
    spectrum[0, 0] = 0
    return to_bytes(np.fft.irfft2(spectrum, (height, width)).astype(np.float32))


def blocky_noise(rng: np.random.Generator) -> Picture:
    """Noise of another distribution, on a coarser grid."""
    height, width = size_of(rng)
    grid = int(rng.choice([1, 2, 3, 5, 8, 14]))
    shape = (height // grid + 1, width // grid + 1)
    kind = rng.integers(4)
    if kind == 0:
        values = (rng.random(shape) < np.exp(rng.uniform(-9, -0.7))).astype(np.float32)
    elif kind == 1:
        values = rng.poisson(rng.uniform(0.5, 20), shape).astype(np.float32)
    elif kind == 2:
        values = rng.exponential(1, shape).astype(np.float32)
    else:
        values = rng.random(shape, dtype=np.float32)
    method = cv2.INTER_NEAREST if rng.random() < 0.5 else cv2.INTER_CUBIC
    return to_bytes(cv2.resize(values, (width, height), interpolation=method))


def empty_film(rng: np.random.Generator) -> Picture:
    """A film without a hand: a level or gradient, faint noise, perhaps a letter and a frame."""
    height, width = size_of(rng)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    steep = float(rng.choice([0, 0.2, 1]))
    image = steep * (rng.normal() * x / width + rng.normal() * y / height)
    if rng.random() < 0.4:
        middle = np.hypot(x - width * rng.uniform(0.2, 0.8), y - height * rng.uniform(0.2, 0.8)) / (
            height * rng.uniform(0.2, 1)
        )
        image = image + rng.normal() * np.exp(-(middle**2))
    image = image + float(rng.uniform(0.001, 0.1)) * rng.standard_normal((height, width))
    picture = (to_bytes(image.astype(np.float32)) * rng.uniform(0.2, 1)).astype(np.uint8)
    if rng.random() < 0.5:
        picture = frame(picture, rng)
    if rng.random() < 0.5:
        letters(picture, rng)
    return picture


def open_field(rng: np.random.Generator) -> Picture:
    """A collimated field in which nothing lies: a bright rectangle, tilted or not."""
    height, width = size_of(rng)
    image = np.full((height, width), float(rng.uniform(0, 0.3)), np.float32)
    sides = (width * rng.uniform(0.2, 0.95), height * rng.uniform(0.2, 0.95))
    middle = (width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6))
    corners = cv2.boxPoints((middle, sides, float(rng.choice([0, rng.uniform(0, 90)]))))
    cv2.fillPoly(image, [np.round(corners).astype(np.int32)], float(rng.uniform(0.4, 1)))
    image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 6)))
    image += float(rng.uniform(0, 0.1)) * rng.standard_normal(image.shape, dtype=np.float32)
    picture = (255 * np.clip(image, 0, 1)).astype(np.uint8)
    if rng.random() < 0.5:
        letters(picture, rng)
    return picture


def waves(rng: np.random.Generator) -> Picture:
    """Stripes, gratings, checks, rings."""
    height, width = size_of(rng)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = float(rng.uniform(0, np.pi)), float(rng.uniform(4, 80))
    along = x * np.cos(angle) + y * np.sin(angle)
    aside = y * np.cos(angle) - x * np.sin(angle)
    kind = rng.integers(4)
    if kind == 0:
        values = np.sin(2 * np.pi * along / period)
    elif kind == 1:
        values = np.sign(np.sin(2 * np.pi * along / period) * np.sin(2 * np.pi * aside / period))
    elif kind == 2:
        values = np.sin(
            2 * np.pi * np.hypot(x - width * rng.random(), y - height * rng.random()) / period
        )
    else:
        share = rng.uniform(0.1, 0.9)
        values = ((along / period) % 1 < share) * (1 + 0.5 * np.sin(aside / period))
    values = values + rng.uniform(0, 0.5) * rng.standard_normal((height, width))
    return to_bytes(values.astype(np.float32))


def page(rng: np.random.Generator) -> Picture:
    """A page of text, dark on light or light on dark, with headings and boxes."""
    height, width = size_of(rng)
    scale = 3
    canvas = np.full((height * scale, width * scale), 255, np.uint8)
    font = int(rng.choice(FONTS))
    size = float(rng.uniform(0.3, 1.6))
    step = int(30 * size) + int(rng.integers(4, 16))
    left = int(rng.uniform(0, 0.15) * canvas.shape[1])
    y = int(rng.uniform(0.03, 0.2) * canvas.shape[0]) + step
    while y < canvas.shape[0] * rng.uniform(0.8, 1):
        if rng.random() < 0.88:
            words = "".join(rng.choice(list(LETTERS), int(rng.integers(4, 70))))
            place = (left, y)
            cv2.putText(canvas, words, place, font, size, 0, int(rng.integers(1, 3)), cv2.LINE_AA)
        y += step
    for _ in range(rng.integers(0, 4)):
        first, second = _points(rng, canvas.shape, 2)
        cv2.rectangle(canvas, first, second, int(rng.integers(0, 200)), int(rng.choice([2, 5, -1])))
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def plot(rng: np.random.Generator) -> Picture:
    """Axes with curves, bars or points."""
    height, width = size_of(rng)
    canvas = np.full((height * 2, width * 2), 255, np.uint8)
    tall, wide = canvas.shape
    left, bottom = int(0.12 * wide), int(0.88 * tall)
    cv2.line(canvas, (left, 0), (left, bottom), 0, 2)
    cv2.line(canvas, (left, bottom), (wide, bottom), 0, 2)
    kind = rng.integers(3)
    xs = np.linspace(left, wide - 4, int(rng.integers(6, 40))).astype(np.int32)
    for _ in range(rng.integers(1, 4)):
        walk = np.cumsum(rng.normal(0, 1, len(xs)))
        walk = (walk - walk.min()) / max(float(np.ptp(walk)), 1e-6)
        ys = (bottom - 5 - walk * (bottom - 20)).astype(np.int32)
        shade = int(rng.integers(0, 160))
        points = [(int(x), int(y)) for x, y in zip(xs, ys, strict=True)]
        if kind == 0:
            cv2.polylines(canvas, [np.array(points, np.int32)], False, shade, 2, cv2.LINE_AA)
        for x, y in points:
            if kind == 1:
                cv2.rectangle(canvas, (x, y), (x + wide // len(xs) // 2, bottom), shade, -1)
            elif kind == 2:
                cv2.circle(canvas, (x, y), int(rng.integers(2, 6)), shade, -1, cv2.LINE_AA)
    for number in range(6):
        place = (2, int(bottom * number / 6) + 14)
        cv2.putText(canvas, str(number), place, FONTS[0], 0.4, 0, 1, cv2.LINE_AA)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def shapes(rng: np.random.Generator) -> Picture:
    """Overlapping discs, rods and polygons, sharp or soft: objects on an X-ray belt, say."""
    height, width = size_of(rng)
    total = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 25)):
        layer = np.zeros((height, width), np.float32)
        first, second = _points(rng, layer.shape, 2)
        kind, value = rng.integers(4), float(rng.uniform(0.2, 1))
        if kind == 0:
            cv2.circle(layer, first, int(rng.uniform(2, 0.3 * width)), value, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.line(layer, first, second, value, int(rng.integers(2, 20)), cv2.LINE_AA)
        elif kind == 2:
            axes = (int(rng.integers(3, width // 2)), int(rng.integers(3, width // 4)))
            cv2.ellipse(layer, first, axes, float(rng.uniform(0, 180)), 0, 360, value, -1)
        else:
            cv2.fillPoly(layer, [np.array(_points(rng, layer.shape, 4), np.int32)], value)
        if rng.random() < 0.3:
            layer -= 0.6 * cv2.erode(layer, np.ones((5, 5), np.uint8))
        if rng.random() < 0.5:
            layer = cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(0.5, 5)))
        total = total + layer if rng.random() < 0.7 else np.maximum(total, layer)
    total += rng.uniform(0, 0.15) * rng.standard_normal((height, width))
    return to_bytes(total.astype(np.float32))


def frame(picture: Picture, rng: np.random.Generator) -> Picture:
    """A collimator's frame: a strip at each side darkened or made white."""
    framed = np.full_like(picture, int(rng.choice([0, 0, 0, 20, 255])))
    height, width = picture.shape
    top, bottom = (int(height * rng.uniform(0, 0.12)) for _ in range(2))
    left, right = (int(width * rng.uniform(0, 0.12)) for _ in range(2))
    inner = (slice(top, height - bottom), slice(left, width - right))
    framed[inner] = picture[inner]
    return framed


def letters(picture: Picture, rng: np.random.Generator) -> None:
    """Draw a bright marker letter into a corner, in place."""
    height, width = picture.shape
    place = (
        int(width * rng.choice([0.06, 0.8]) + rng.integers(-3, 4)),
        int(height * rng.choice([0.15, 0.9]) + rng.integers(-3, 4)),
    )
    word = str(rng.choice(["L", "R", "L", "R", "AB", "L 12", "R PA"]))
    size = float(rng.uniform(0.3, 0.8))
    value = int(rng.integers(180, 256))
    cv2.putText(picture, word, place, FONTS[0], size, value, int(rng.integers(1, 3)), cv2.LINE_AA)


def _points(rng: np.random.Generator, shape: tuple[int, ...], count: int) -> list[tuple[int, int]]:
    return [(int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0]))) for _ in range(count)]


NOISES: tuple[Callable[[np.random.Generator], Picture], ...] = (
    spectral_noise,
    blocky_noise,
    empty_film,
    open_field,
    waves,
)
DRAWINGS: tuple[Callable[[np.random.Generator], Picture], ...] = (page, plot, shapes)
