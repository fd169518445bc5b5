"""What is made from hands: whole ones, pairs, cut-off ones, parts, and hands put out of order.

Every function takes a hand and a generator of random numbers and gives a grey uint8 picture in
which the fingers of the hand point up, or would.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from pool import Hand

Picture = NDArray[np.uint8]

LOST_LEAST = {"top": 0.36, "bottom": 0.45, "left": 0.40, "right": 0.40}
"""Share of the hand's box that a cut-off hand lacks at least. From the bottom more, because the
box holds the wrist and a piece of the forearm; from the sides more, because the outermost strips
hold little."""


def whole(hand: Hand, rng: np.random.Generator) -> Picture:
    """The film as it is, or cut to near the hand; up to a tenth of the hand's box may be lost."""
    if rng.random() < 0.35:
        return hand.image
    return _window(hand, rng.uniform(-0.05, 0.3, 4))


def pair(hand: Hand, other: Hand, rng: np.random.Generator) -> Picture:
    """Two hands (now and then three) side by side, one mirrored, on one film or two."""
    hands = [hand, hand if rng.random() < 0.4 else other]
    if rng.random() < 0.1:
        hands.append(other)
    tall = int(rng.integers(90, 150))
    tiles = []
    for number, one in enumerate(hands):
        tile = _window(one, rng.uniform(-0.02, 0.18, 4))
        wide = max(12, round(tall * tile.shape[1] / tile.shape[0]))
        tile = np.asarray(cv2.resize(tile, (wide, tall), interpolation=cv2.INTER_AREA), np.uint8)
        if number % 2 and rng.random() < 0.85:
            tile = np.ascontiguousarray(tile[:, ::-1])
        tiles.append(_levelled(tile) if rng.random() < 0.6 else tile)
    overlap = int(rng.integers(0, 12)) if rng.random() < 0.5 else 0
    gap = int(rng.integers(0, 25)) if not overlap else 0
    level = int(np.median([np.percentile(tile, 10) for tile in tiles]))
    width = sum(tile.shape[1] for tile in tiles) + (len(tiles) - 1) * (gap - overlap)
    shift = rng.integers(0, 20, len(tiles)) if rng.random() < 0.5 else np.zeros(len(tiles), int)
    film = np.full((tall + int(shift.max()), width), level, np.uint8)
    left = 0
    for tile, down in zip(tiles, shift, strict=True):
        place = film[down : down + tall, left : left + tile.shape[1]]
        np.maximum(place, tile, out=place)
        left += tile.shape[1] + gap - overlap
    return film


def cut(hand: Hand, rng: np.random.Generator) -> Picture:
    """A hand of which much is missing: beyond the film's edge or behind a collimator."""
    side = str(rng.choice(list(LOST_LEAST)))
    lost = float(rng.uniform(LOST_LEAST[side], 0.8))
    if rng.random() < 0.7:
        margins = rng.uniform(0, 0.3, 4)
        margins[("left", "top", "right", "bottom").index(side)] = -lost
        return _window(hand, margins)
    shut = hand.image.copy()
    box = hand.box
    level = int(rng.choice([0, np.percentile(shut, 5), 255 * (rng.random() < 0.2)]))
    if side == "top":
        shut[: box.top_px + round(lost * box.height_px)] = level
    elif side == "bottom":
        shut[box.top_px + round((1 - lost) * box.height_px) :] = level
    elif side == "left":
        shut[:, : box.left_px + round(lost * box.width_px)] = level
    else:
        shut[:, box.left_px + round((1 - lost) * box.width_px) :] = level
    return shut


def part(hand: Hand, rng: np.random.Generator) -> Picture:
    """A window on a part of a hand: some fingers, the carpus, a corner."""
    box = hand.box
    share = rng.uniform(0.2, 0.55, 2)
    height, width = max(10, int(share[0] * box.height_px)), max(10, int(share[1] * box.width_px))
    top = box.top_px + int(rng.uniform(0, 1) * max(0, box.height_px - height))
    left = box.left_px + int(rng.uniform(0, 1) * max(0, box.width_px - width))
    return _enlarged(hand.image[top : top + height, left : left + width])


def forearm(hand: Hand, rng: np.random.Generator) -> Picture:
    """The lowest part of the film: wrist and forearm."""
    box = hand.box
    top = box.top_px + int(rng.uniform(0.62, 0.8) * box.height_px)
    strip = hand.image[top:]
    if strip.shape[0] < 15:
        return part(hand, rng)
    if rng.random() < 0.5:
        strip = np.vstack([strip, strip[::-1], strip][: int(rng.integers(2, 4))])
    return _enlarged(strip)


def shuffled(hand: Hand, rng: np.random.Generator) -> Picture:
    """A hand cut into tiles that are put together in another order, some turned."""
    count = int(rng.integers(2, 7))
    image = _window(hand, rng.uniform(0, 0.1, 4))
    side = count * max(6, 120 // count)
    image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    step = side // count
    tiles = [
        image[r * step : (r + 1) * step, c * step : (c + 1) * step]
        for r in range(count)
        for c in range(count)
    ]
    order = rng.permutation(len(tiles))
    if rng.random() < 0.5:
        tiles = [np.rot90(tile, int(rng.integers(4))) for tile in tiles]
    rows = [np.hstack([tiles[order[r * count + c]] for c in range(count)]) for r in range(count)]
    return np.ascontiguousarray(np.vstack(rows))


def melted(hand: Hand, rng: np.random.Generator) -> Picture:
    """A hand bent out of shape until no anatomy is left."""
    image = _window(hand, rng.uniform(0, 0.1, 4))
    height, width = image.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    grid, strong = int(rng.integers(4, 8)), float(rng.uniform(0.12, 0.3)) * min(height, width)
    bend = [
        cv2.resize(
            rng.normal(0, strong, (grid, grid)).astype(np.float32), (width, height),
            interpolation=cv2.INTER_CUBIC,
        )
        for _ in range(2)
    ]  # fmt: skip
    return np.asarray(
        cv2.remap(image, x + bend[0], y + bend[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT),
        np.uint8,
    )


def shadow(hand: Hand, rng: np.random.Generator) -> Picture:
    """The outline of a hand without any bone: filled flat, with a texture, or as flesh would be."""
    image = _window(hand, rng.uniform(0, 0.2, 4))
    smooth = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.8, 1.6)))
    _, mask = cv2.threshold(smooth, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(np.float32)
    grid = int(rng.integers(2, 12))
    texture = cv2.resize(
        rng.random((grid, grid), dtype=np.float32), image.shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    draw = rng.random()
    if draw < 0.35:
        fill = float(rng.uniform(0.4, 1)) + float(rng.choice([0, 0.2])) * texture
    elif draw < 0.7:
        # Means within the outline: thick parts stay brighter, no bone is left.
        sigma = float(rng.uniform(3, 9))
        weight = cv2.GaussianBlur(mask, (0, 0), sigma) + 1e-3
        fill = cv2.GaussianBlur(mask * image / 255, (0, 0), sigma) / weight
    else:
        # Thickness: bright along the middle of each finger.
        fill = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(2, 7))) ** float(
            rng.uniform(0.5, 3)
        )
    back = float(rng.uniform(0, 0.3)) + float(rng.choice([0, 0.2])) * texture[::-1, ::-1]
    mixed = cv2.GaussianBlur(mask * fill + (1 - mask) * back, (0, 0), float(rng.uniform(0.3, 1.2)))
    return np.clip(255 * mixed, 0, 255).astype(np.uint8)


def stunted(hand: Hand, rng: np.random.Generator) -> Picture:
    """A hand with toes for fingers: its upper part squeezed, its lower part drawn out, slim."""
    image = _window(hand, rng.uniform(0, 0.06, 4))
    middle = round(float(rng.uniform(0.42, 0.52)) * len(image))
    width = round(image.shape[1] * float(rng.uniform(0.5, 0.85)))
    toes = (width, max(8, round(middle * float(rng.uniform(0.3, 0.5)))))
    sole = (width, round((len(image) - middle) * float(rng.uniform(1.2, 1.9))))
    foot = np.vstack([
        cv2.resize(image[:middle], toes, interpolation=cv2.INTER_AREA),
        cv2.resize(image[middle:], sole, interpolation=cv2.INTER_CUBIC),
    ])  # fmt: skip
    if rng.random() < 0.6:
        # A heel bone in place of the forearm.
        flesh, heel = (np.zeros(foot.shape, np.float32) for _ in range(2))
        place = (width // 2 + int(rng.normal(0, 0.05 * width)), round(len(foot) * 0.84))
        axes = (round(width * rng.uniform(0.14, 0.28)), round(len(foot) * rng.uniform(0.07, 0.13)))
        cv2.ellipse(heel, place, axes, float(rng.normal(0, 10)), 0, 360, 1.0, -1, cv2.LINE_AA)
        larger = (round(1.7 * axes[0]), round(1.5 * axes[1]))
        cv2.ellipse(flesh, place, larger, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
        below = foot.astype(np.float32)
        below[round(len(foot) * 0.75) :] *= float(rng.uniform(0.2, 0.8))
        bright = float(np.percentile(foot, 97))
        below += bright * (0.35 * flesh + float(rng.uniform(0.4, 0.9)) * heel)
        foot = np.clip(cv2.GaussianBlur(below, (0, 0), 0.8), 0, 255).astype(np.uint8)
    return foot


def doubled(hand: Hand, rng: np.random.Generator) -> Picture:
    """Half a hand and its mirror image: fingers at both ends, or two thumbs and no middle."""
    image = _window(hand, rng.uniform(0, 0.06, 4))
    if rng.random() < 0.3:
        image = np.ascontiguousarray(np.rot90(image))
    height = round(len(image) * float(rng.uniform(0.35, 0.65)))
    half = image[:height] if rng.random() < 0.6 else image[-height:]
    return np.vstack([half, half[::-1]])


def _window(hand: Hand, margins: NDArray[np.float64]) -> Picture:
    """The hand's box with margins left, top, right, bottom, as shares of its sides."""
    box = hand.box
    left = box.left_px - margins[0] * box.width_px
    top = box.top_px - margins[1] * box.height_px
    right = box.left_px + (1 + margins[2]) * box.width_px
    bottom = box.top_px + (1 + margins[3]) * box.height_px
    height, width = hand.image.shape
    rows = slice(max(0, round(top)), min(height, max(round(bottom), round(top) + 8)))
    columns = slice(max(0, round(left)), min(width, max(round(right), round(left) + 8)))
    return _enlarged(hand.image[rows, columns])


def _enlarged(image: Picture) -> Picture:
    """At least 100 px on the longer side, so that all kinds are equally sharp or blurred."""
    factor = 100 / max(image.shape)
    if factor <= 1:
        return image
    size = (max(2, round(image.shape[1] * factor)), max(2, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _levelled(tile: Picture) -> Picture:
    """The background taken to 0, so that no seam shows between two films."""
    low = float(np.percentile(tile, 12))
    return np.clip((tile.astype(np.float32) - low) * 255 / max(255 - low, 1), 0, 255).astype(
        np.uint8
    )


CUTS: tuple[Callable[[Hand, np.random.Generator], Picture], ...] = (cut, cut, cut, part, forearm)
WRECKS: tuple[Callable[[Hand, np.random.Generator], Picture], ...] = (
    shuffled, melted, shadow, shadow, stunted, stunted, doubled,
)  # fmt: skip
