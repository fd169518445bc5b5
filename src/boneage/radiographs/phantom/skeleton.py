"""The bones of one hand: where they lie, and how each is painted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boneage.radiographs.phantom.anatomy import (
    CARPALS,
    DIGITS,
    FOREARM,
    SESAMOID,
    Carpal,
    Kind,
    LongBone,
)
from boneage.radiographs.phantom.maturity import (
    Epiphysis,
    carpal_size,
    epiphysis,
    hand_growth,
    infancy,
)
from boneage.radiographs.phantom.parameters import PhantomChild, PhantomPose
from boneage.radiographs.phantom.shapes import (
    Floats,
    Placement,
    Tile,
    Tube,
    blob_thickness,
    paste,
    tube_thickness,
)

__all__ = ["PlacedBone", "Skeleton", "build_skeleton", "paint_skeleton"]

# Outlines: (share of the length from the near end, half width as a share of the widest).
_OUTLINES: dict[Kind, tuple[tuple[float, float], ...]] = {
    Kind.METACARPAL: (
        (0, 0.90), (0.05, 1.0), (0.12, 0.92), (0.25, 0.62), (0.45, 0.5), (0.60, 0.52),
        (0.75, 0.72), (0.86, 0.93), (0.93, 0.98), (1, 0.86),
    ),
    Kind.PROXIMAL: (
        (0, 0.95), (0.05, 1.0), (0.12, 0.93), (0.28, 0.70), (0.50, 0.53), (0.70, 0.52),
        (0.85, 0.68), (0.94, 0.74), (1, 0.68),
    ),
    Kind.MIDDLE: (
        (0, 0.95), (0.06, 1.0), (0.15, 0.92), (0.32, 0.68), (0.55, 0.55), (0.72, 0.57),
        (0.87, 0.72), (0.95, 0.76), (1, 0.70),
    ),
    Kind.DISTAL: (
        (0, 0.92), (0.08, 1.0), (0.18, 0.88), (0.35, 0.58), (0.55, 0.40), (0.68, 0.40),
        (0.82, 0.54), (0.91, 0.58), (1, 0.46),
    ),
    Kind.RADIUS: (
        (0, 0.42), (0.60, 0.43), (0.74, 0.5), (0.84, 0.66), (0.91, 0.88), (0.96, 1.0), (1, 0.98),
    ),
    Kind.ULNA: (
        (0, 0.74), (0.60, 0.64), (0.78, 0.68), (0.88, 0.84), (0.94, 0.98), (1, 1.0),
    ),
}  # fmt: skip

# (half depth of the wall at mid-shaft as a share of the half width, room for the epiphysis and
# its plate as a share of the length: in adults, in newborns).
_CORTEX = {Kind.RADIUS: 0.34, Kind.ULNA: 0.36}
_ROOM = {
    Kind.METACARPAL: (0.165, 0.21),
    Kind.PROXIMAL: (0.115, 0.145),
    Kind.MIDDLE: (0.14, 0.17),
    Kind.DISTAL: (0.15, 0.2),
    Kind.RADIUS: (0.062, 0.085),
    Kind.ULNA: (0.048, 0.075),
}


@dataclass(frozen=True)
class PlacedBone:
    """A long bone of this child, in its place.

    Attributes:
        bone: Which bone.
        placement: Its near end and direction.
        length_mm: Length with the epiphysis.
        width_mm: Width at its widest.
        state: Its epiphysis.
    """

    bone: LongBone
    placement: Placement
    length_mm: float
    width_mm: float
    state: Epiphysis


@dataclass(frozen=True)
class Skeleton:
    """All bones of one hand, in adult size: a child's hand is drawn large and then scaled.

    Attributes:
        digits: The long bones of each digit, thumb first, metacarpal to tip.
        forearm: Radius and ulna.
        carpals: Each visible round bone, its size as a share of the mature one, its place.
        infancy: 1 in newborns, 0 from puberty: how much is still cartilage.
    """

    digits: tuple[tuple[PlacedBone, ...], ...]
    forearm: tuple[PlacedBone, ...]
    carpals: tuple[tuple[Carpal, float, Placement], ...]
    infancy: float


def build_skeleton(child: PhantomChild, pose: PhantomPose) -> Skeleton:
    """Lay out the bones of a left hand, before it is turned and mirrored.

    Args:
        child: Whose hand it is.
        pose: How the fingers and the wrist are held.

    Returns:
        The skeleton.
    """
    months, sex = child.finger_months, child.sex
    growth = hand_growth(months, sex)
    young = infancy(months, sex)
    # Small hands are plump hands: widths lag behind lengths in growing.
    widening = child.stoutness * growth**-0.13
    gap_mm = 1.0 + 0.6 * young

    def place(bone: LongBone, start: tuple[float, float], degrees: float) -> PlacedBone:
        return PlacedBone(
            bone,
            Placement(*start, degrees),
            bone.length_mm,
            bone.width_mm * widening,
            epiphysis(bone.timing, months, sex),
        )

    digits = []
    for number, digit in enumerate(DIGITS):
        fan = pose.thumb_degrees if number == 0 else 0.0
        # Fanning the fingers turns the metacarpals a little, too.
        direction = digit.metacarpal_degrees + fan
        if number:
            direction += 0.12 * (pose.spread - 1) * digit.metacarpal_degrees
        turn = pose.finger_degrees[number] + digit.finger_degrees * (pose.spread if number else 1)
        # Carpal cartilage keeps the bases apart.
        apart = 1 + 0.16 * young
        start = (digit.base_mm[0] * apart, digit.base_mm[1])
        bones = []
        for index, bone in enumerate(digit.bones):
            degrees = direction + (turn if index else 0.0)
            placed = place(bone, start, degrees)
            bones.append(placed)
            start = placed.placement.along(bone.length_mm + gap_mm)
        digits.append(tuple(bones))

    forearm = []
    for bone, (x, y), lean in zip(
        FOREARM, ((7.6, 1.6), (-16.0 - 2.5 * young, -1.0)), (4.0, -3.5), strict=True
    ):
        degrees = 180 + pose.wrist_degrees + lean
        tip = _turned((x, y), pose.wrist_degrees)
        start = Placement(*tip, degrees).along(bone.length_mm)
        forearm.append(place(bone, start, degrees - 180))

    carpals = []
    for carpal in CARPALS:
        size = carpal_size(carpal, child.carpal_months, sex)
        if size > 0:
            where = Placement(*carpal.centre_mm, carpal.axis_degrees)
            carpals.append((carpal, size * min(widening, 1.12), where))
    sesamoid = carpal_size(SESAMOID, months, sex)
    if sesamoid > 0:
        across, along = SESAMOID.centre_mm
        thumb = digits[0][0].placement
        place_of_it = Placement(*thumb.along(along, across), thumb.degrees)
        carpals.append((SESAMOID, sesamoid, place_of_it))
    return Skeleton(tuple(digits), tuple(forearm), tuple(carpals), young)


def _turned(point: tuple[float, float], degrees: float) -> tuple[float, float]:
    """A point turned about the wrist, from y towards the thumb."""
    return Placement(0.0, 0.0, degrees).along(point[1], point[0])


def paint_skeleton(
    canvas: Floats,
    skeleton: Skeleton,
    scale: float,
    to_pixels: Callable[[tuple[float, float]], tuple[float, float]],
) -> None:
    """Add the millimetres of bone that each ray meets to a canvas.

    Args:
        canvas: What is added to, in place, shape (height_px, width_px).
        skeleton: The bones.
        scale: Pixels a millimetre.
        to_pixels: Maps a point of the hand in mm to (column, row).
    """
    for bones in (*skeleton.digits, skeleton.forearm):
        for placed in bones:
            tile, thickness = _long_bone(placed, skeleton.infancy, scale)
            paste(canvas, thickness, tile, placed.placement, to_pixels)
    for carpal, size, placement in skeleton.carpals:
        tile, thickness = _round_bone(carpal, size, scale)
        paste(canvas, thickness, tile, placement, to_pixels)


def _long_bone(placed: PlacedBone, young: float, scale: float) -> tuple[Tile, Floats]:
    """Paint a long bone: shaft and epiphysis apart, or grown together, or on the way."""
    kind, length, half = placed.bone.kind, placed.length_mm, placed.width_mm / 2
    state = placed.state
    forearm = kind in (Kind.RADIUS, Kind.ULNA)
    tile = Tile.spanning(0.0, length, half * 1.15, scale)
    # All bones are painted with the growth plate near 0, and those with a distal one are turned.
    from_plate_end = length - tile.along if placed.bone.plate_distal else tile.along
    local = Tile(from_plate_end, tile.across, scale)
    share = tile.along / np.float32(length)
    outline = np.array(_OUTLINES[kind], dtype=np.float32)
    widths = np.interp(share, outline[:, 0], outline[:, 1]).astype(np.float32)
    widths = half * widths ** (1 - 0.25 * young)
    mid = np.abs(2 * share - 1) if not forearm else np.maximum(0, share * 1.9 - 0.9)
    cortex = (_CORTEX.get(kind, 0.42) * 0.56 * half * (1 - 0.82 * mid**1.6)).astype(np.float32)

    adult, newborn = _ROOM[kind]
    room = length * (adult + (newborn - adult) * young)
    plate = (1.1 + 0.6 * young - 0.4 * state.cap) * (1 - 0.35 * state.fusion)
    cartilage = 0.0 if forearm else length * (0.01 + 0.05 * young)
    far_round = 0.32 * half if kind is not Kind.METACARPAL else 0.5 * half
    near_round = 0.9 * half if room > 0.9 * half else 0.35 * half
    thickness = np.zeros((tile.along.shape[0], tile.across.shape[1]), np.float32)
    if state.fusion < 1:
        shaft = Tube(room, length - cartilage, 0.16 * half, far_round)
        thickness = tube_thickness(local, shaft, widths, cortex)
        if state.width > 0:
            near = slice(None, int((room + 3) * scale) + 3)
            if placed.bone.plate_distal:
                near = slice(-near.stop, None)
            end = Tile(from_plate_end[near], tile.across, scale)
            thickness[near] += _epiphysis(end, kind, state, room - plate, half)
    if state.fusion > 0:
        whole = Tube(0.0, length - cartilage, near_round, far_round)
        if kind is Kind.RADIUS:  # its joint surface slopes up to the styloid process
            slope = from_plate_end + np.float32(0.17) * (tile.across - np.float32(half))
            local = Tile(slope, tile.across, scale)
        mature = tube_thickness(local, whole, widths, cortex)
        line = np.exp(-(((from_plate_end - room + plate / 2) / 0.55) ** 2))
        mature *= 1 + 0.35 * state.scar * line
        thickness = (1 - state.fusion) * thickness + state.fusion * mature
    return tile, thickness.astype(np.float32)


def _epiphysis(tile: Tile, kind: Kind, state: Epiphysis, room: float, half: float) -> Floats:
    """Paint an epiphysis that has ``room`` mm between the joint (0) and the growth plate."""
    head = kind is Kind.METACARPAL
    across = half * state.width * (0.96 if head else 1.0)
    # A centre is round when it appears and grows in both directions until the room is used up.
    high = max(min(room * state.height, 2 * across), 1.0)
    low = (room - high) * float(np.interp(state.height, [0.3, 0.72], [0.7, 1]))
    u = tile.across / np.float32(across)
    # The rim of a capping epiphysis hangs over the metaphysis.
    s = tile.along - (0.10 + 0.75 * state.cap) * u * u * (0.4 if head else 1.0)
    if kind is Kind.RADIUS:
        s = room - (room - s) / (1 + 0.30 * np.clip(u, -1, 1))  # higher at the styloid process
    # A metacarpal head is a half ball: round towards the joint, flat towards the plate.
    split = 0.5 + (0.16 * state.cap + 0.04 if head else 0.0)
    centre = low + high * split
    s = np.where(s < centre, (s - centre) / (high * split), (s - centre) / (high * (1 - split)))
    order = 2.0 + (0.4 if head else 1.0) * state.height
    square = (np.abs(u) ** order + np.abs(s) ** order) ** (2 / order)
    # Its end plates are half a millimetre thick: that is much of a thin disc.
    shell = min(max(1.1 / high, 0.13), 0.45)
    return blob_thickness(square, min(across, 0.85 * half), shell)


def _round_bone(carpal: Carpal, size: float, scale: float) -> tuple[Tile, Floats]:
    """Paint a carpal: a dot that takes on its own shape as it grows."""
    long, short = carpal.half_mm[0] * size, carpal.half_mm[1] * size
    reach = max(long, short) * 1.25
    tile = Tile.spanning(-reach, reach, reach, scale)
    s, u = tile.along / np.float32(long), tile.across / np.float32(short)
    square = s * s + u * u
    # cos and sin of the polar angle; those of its multiples follow by the addition theorem.
    distance = np.sqrt(np.maximum(square, np.float32(1e-6)))
    cos, sin = s / distance, u / distance
    cos_n, sin_n = cos, sin
    outline = np.ones_like(square)
    for amplitude, phase in zip(carpal.corners, carpal.phases_degrees, strict=True):
        cos_n, sin_n = cos_n * cos - sin_n * sin, sin_n * cos + cos_n * sin
        weight = amplitude * min(size, 1.0)
        turn = np.deg2rad(phase)
        outline += np.float32(weight * np.cos(turn)) * cos_n
        outline += np.float32(weight * np.sin(turn)) * sin_n
    shell = min(0.5, 0.85 / short)
    return tile, blob_thickness(square / (outline * outline), short, shell)
