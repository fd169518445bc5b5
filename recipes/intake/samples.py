"""Training samples: a picture of some class, laid at some angle, exposed, as the gate sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

import bodies
import cv2
import numpy as np
import parts
import scenes
from numpy.typing import NDArray
from pool import Hand

from boneage.inference.intake import intake_image

CLASSES = ("hand", "two", "cut", "body", "picture", "noise")
SHARES = (0.41, 0.08, 0.17, 0.16, 0.11, 0.07)
"""How often each class is drawn."""

LEAST_CONTRAST = 0.025
NO_ANGLE = float("nan")


@dataclass(frozen=True, eq=False)
class Pools:
    """Where samples come from.

    Attributes:
        hands: Real radiographs.
        phantoms: Synthetic ones.
        pictures: Photographs, drawings and other images.
        medical: Slices and projections of other parts of the body.
    """

    hands: Sequence[Hand]
    phantoms: Sequence[Hand]
    pictures: Sequence[NDArray[np.uint8]]
    medical: Sequence[NDArray[np.uint8]]

    def hand(self, rng: np.random.Generator) -> Hand:
        """Any hand; one in eight is a phantom, and infants are drawn four times as often."""
        pool = self.phantoms if rng.random() < 0.125 else self.hands
        for _ in range(4):
            hand = pool[int(rng.integers(len(pool)))]
            if hand.infant:
                break
            if rng.random() < 0.25:
                break
        return hand


@dataclass(frozen=True, eq=False)
class Sample:
    """What the network learns from.

    Attributes:
        image: Shape (S, S), float32 in 0..1.
        label: Index into CLASSES.
        angle_deg: How far the fingers point to the left of up, or NaN where that is no question.
    """

    image: NDArray[np.float32]
    label: int
    angle_deg: float


def draw_sample(pools: Pools, size_px: int, rng: np.random.Generator) -> Sample:
    """One sample of a random class, in which something can be seen."""
    label = int(rng.choice(len(CLASSES), p=SHARES))
    kind = CLASSES[label]
    while True:
        picture = _picture(kind, pools, rng)
        if kind != "noise" and rng.random() < 0.3:
            picture = _resampled(picture, rng)
        picture, angle = lay(picture, rng)
        image = intake_image(expose(picture, rng), size_px)
        # The darkest real film has 0.039. Darker hands would teach that nothing may be a hand.
        if kind == "noise" or float(image.std()) >= LEAST_CONTRAST:
            return Sample(image, label, angle if kind == "hand" else NO_ANGLE)


def _picture(kind: str, pools: Pools, rng: np.random.Generator) -> NDArray[np.uint8]:
    if kind == "hand":
        return parts.whole(pools.hand(rng), rng)
    if kind == "two":
        return parts.pair(pools.hand(rng), pools.hand(rng), rng)
    if kind == "cut":
        return parts.CUTS[int(rng.integers(len(parts.CUTS)))](pools.hand(rng), rng)
    if kind == "noise":
        return scenes.NOISES[int(rng.integers(len(scenes.NOISES)))](rng)
    if kind == "body":
        draw = rng.random()
        if draw < 0.5:
            return parts.WRECKS[int(rng.integers(len(parts.WRECKS)))](pools.hand(rng), rng)
        if draw < 0.65 and pools.medical:
            return _excerpt(pools.medical[int(rng.integers(len(pools.medical)))], rng)
        return bodies.BODIES[int(rng.integers(len(bodies.BODIES)))](rng)
    if rng.random() < 0.3 or not pools.pictures:
        return scenes.DRAWINGS[int(rng.integers(len(scenes.DRAWINGS)))](rng)
    return _excerpt(pools.pictures[int(rng.integers(len(pools.pictures)))], rng)


def _excerpt(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A window of a picture, of any shape, reduced to the size of the radiographs."""
    height, width = picture.shape
    share = float(rng.uniform(0.35, 1))
    tall = max(24, int(height * min(1, share * rng.uniform(0.8, 1.25))))
    wide = max(24, int(width * min(1, share * rng.uniform(0.8, 1.25))))
    top, left = (int(rng.integers(0, max(1, n))) for n in (height - tall + 1, width - wide + 1))
    window = picture[top : top + tall, left : left + wide]
    factor = float(rng.uniform(100, 160)) / max(window.shape)
    size = (max(8, round(window.shape[1] * factor)), max(8, round(window.shape[0] * factor)))
    method = cv2.INTER_AREA if rng.random() < 0.6 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(window, size, interpolation=method), np.uint8)


def _resampled(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Enlarged smoothly, or stretched a little."""
    factors = float(rng.uniform(1, 1.6)) * rng.uniform(0.94, 1.06, 2)
    return np.asarray(
        cv2.resize(picture, None, fx=factors[0], fy=factors[1], interpolation=cv2.INTER_CUBIC),
        np.uint8,
    )


def lay(
    picture: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], float]:  # fmt: skip
    """Mirror, turn and put on a larger field, or not; gives the angle counter-clockwise too."""
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    draw = rng.random()
    quarter = int(rng.integers(4))
    angle = 90.0 * quarter
    if draw > 0.7:
        angle = float(rng.uniform(0, 360))
    elif draw > 0.45:
        angle += float(rng.normal(0, 9))
    else:
        picture = np.ascontiguousarray(np.rot90(picture, quarter))
        if rng.random() < 0.6:
            return picture, angle
    turn = 0.0 if draw <= 0.45 else angle
    height, width = picture.shape
    sine, cosine = abs(np.sin(np.radians(turn))), abs(np.cos(np.radians(turn)))
    fits = np.array([width * cosine + height * sine, height * cosine + width * sine])
    room = 1 + float(rng.choice([0, 0.1, 0.4])) * rng.random(2)
    if rng.random() < 0.08:
        room += rng.uniform(0.3, 1.2)
    canvas = np.ceil(fits * room).astype(int)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, 1.0)
    loose = (canvas - fits) / 2 * rng.uniform(-1, 1, 2)
    matrix[:, 2] += (canvas - 1) / 2 - np.array([width - 1, height - 1]) / 2 + loose
    border, value = cv2.BORDER_CONSTANT, 0.0
    draw = rng.random()
    if draw < 0.35:
        value = float(np.percentile(picture, rng.choice([2, 10, 30])))
    elif draw < 0.42:
        value = float(rng.choice([255, 128]))
    elif draw < 0.5:
        border = cv2.BORDER_REPLICATE
    laid = cv2.warpAffine(
        picture, matrix, (int(canvas[0]), int(canvas[1])), borderMode=border, borderValue=value
    )
    return np.asarray(laid, np.uint8), angle


def expose(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another exposure: gamma, contrast, shading, sharpness, noise, letters, polarity."""
    image = picture.astype(np.float32) / 255
    height, width = image.shape
    if rng.random() < 0.6:
        image **= float(np.exp(rng.uniform(np.log(0.5), np.log(2))))
    if rng.random() < 0.3:
        slope = rng.normal(0, 0.25, 2)
        y, x = np.ogrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
        image = image * (1 + slope[0] * y + slope[1] * x).astype(np.float32)
    if rng.random() < 0.3:
        image = 0.5 + (image - 0.5) * float(rng.uniform(0.25, 1)) + float(rng.uniform(-0.2, 0.2))
    draw = rng.random()
    if draw < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.6)))
    elif draw < 0.4:
        image = image + float(rng.uniform(0.3, 1.2)) * (image - cv2.GaussianBlur(image, (0, 0), 1))
    if rng.random() < 0.35:
        noise = rng.standard_normal((height, width), dtype=np.float32)
        image = image + float(rng.uniform(0.005, 0.07)) * noise
    exposed = (255 * np.clip(image, 0, 1)).astype(np.uint8)
    if rng.random() < 0.12:
        scenes.letters(exposed, rng)
    if rng.random() < 0.08:
        _rule(exposed, rng)
    if rng.random() < 0.15:
        exposed = 255 - exposed
    return exposed


def _rule(picture: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Draw the bright edge of a digitised film, in place."""
    height, width = picture.shape
    left, top, right, bottom = rng.uniform(0.01, 0.12, 4)
    corners = cv2.boxPoints((
        (width * (1 + left - right) / 2, height * (1 + top - bottom) / 2),
        (width * (1 - left - right), height * (1 - top - bottom)),
        float(rng.normal(0, 2)),
    ))  # fmt: skip
    line = [np.round(corners).astype(np.int32)]
    cv2.polylines(picture, line, True, int(rng.integers(130, 256)), int(rng.integers(1, 4)))
