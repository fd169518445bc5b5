"""Painting a phantom: from its parameters to a radiograph, without any chance."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError
from boneage.radiographs.phantom.draws import draw_parameters
from boneage.radiographs.phantom.film import add_marker, collimate, expose, finish, trabeculae
from boneage.radiographs.phantom.maturity import hand_growth
from boneage.radiographs.phantom.parameters import PhantomParameters, PhantomPose
from boneage.radiographs.phantom.skeleton import Skeleton, build_skeleton, paint_skeleton
from boneage.radiographs.phantom.softtissue import soft_tissue_capsules, soft_tissue_thickness
from boneage.radiographs.radiograph import Radiograph, Sex

__all__ = ["MAX_HEIGHT_PX", "MIN_HEIGHT_PX", "draw_phantom", "render"]

MIN_HEIGHT_PX = 64
MAX_HEIGHT_PX = 4096
# Below this height the bones are painted at twice the size: their walls are a pixel thick there.
_FINE_PX = 400
# Breadth of the girls' adult hand as a share of the boys' (both sexes are painted alike; it only
# sets the pixel spacing). About 0.92 in the tables of metacarpal and phalangeal lengths.
_FEMALE_SIZE = 0.92


@dataclass(frozen=True, eq=False)
class _View:
    """Where the hand is in the picture.

    Attributes:
        matrix: Affine matrix (2, 3) from the hand in mm to pixels.
        scale: Pixels a millimetre of the adult-size hand.
        box: Left, top, right and bottom of the hand in pixels.
    """

    matrix: NDArray[np.float64]
    scale: float
    box: tuple[float, float, float, float]

    def inverse(self) -> NDArray[np.float64]:
        """Affine matrix from pixels to the hand in mm."""
        return np.asarray(cv2.invertAffineTransform(self.matrix), dtype=np.float64)


def draw_phantom(
    bone_age_months: float,
    sex: Sex,
    *,
    rng: np.random.Generator,
    height_px: int = 512,
    bits: int = 8,
    chronological_age_months: float | None = None,
) -> Radiograph:
    """Draw a random synthetic radiograph of a left (now and then a right) hand.

    It is a device for teaching, demonstrating and testing: see
    :mod:`~boneage.radiographs.phantom.anatomy` for how far its ages may be trusted.

    Args:
        bone_age_months: Bone age, 0 to 228 months.
        sex: Sex of the child; it sets the pace of every bone.
        rng: Where chance comes from; the same state gives the same radiograph.
        height_px: Height of the picture, 64 to 4096 pixels; the width is 0.7 to 0.92 of it.
        bits: 8 for uint8, 16 for uint16.
        chronological_age_months: Passed on to the radiograph, if given (0 to 300).

    Returns:
        The radiograph, with sex, pixel spacing and source filled in.

    Raises:
        SettingsError: An argument is out of its range; the message names it.
    """
    return render(
        draw_parameters(bone_age_months, sex, rng),
        height_px=height_px,
        bits=bits,
        chronological_age_months=chronological_age_months,
    )


def render(
    parameters: PhantomParameters,
    *,
    height_px: int = 512,
    bits: int = 8,
    chronological_age_months: float | None = None,
) -> Radiograph:
    """Paint a phantom; the same parameters give the same pixels.

    Args:
        parameters: What to paint.
        height_px: Height of the picture, 64 to 4096 pixels.
        bits: 8 for uint8, 16 for uint16.
        chronological_age_months: Passed on to the radiograph, if given (0 to 300).

    Returns:
        The radiograph.

    Raises:
        SettingsError: An argument is out of its range; the message names it.
    """
    if not MIN_HEIGHT_PX <= height_px <= MAX_HEIGHT_PX:
        raise SettingsError(
            f"height_px must be within {MIN_HEIGHT_PX} to {MAX_HEIGHT_PX}, not {height_px}."
        )
    if bits not in (8, 16):
        raise SettingsError(f"bits must be 8 or 16, not {bits}.")
    child, pose, film = parameters.child, parameters.pose, parameters.film
    size = (round(height_px * pose.aspect), height_px)
    skeleton = build_skeleton(child, pose)
    view = _view(skeleton, pose, size)
    from_pixels = view.inverse()
    soft = soft_tissue_thickness(
        soft_tissue_capsules(skeleton, child.padding), child.padding, from_pixels, size
    )
    texture = trabeculae(child.texture_seed, from_pixels, size)
    # Young bone holds less mineral for its size.
    mineral = child.mineral * (1 - 0.18 * skeleton.infancy)
    image = expose(_bones(skeleton, view, size), soft, texture, mineral, film.gain)
    if film.collimated:
        turn = -pose.rotation_degrees if pose.mirrored else pose.rotation_degrees
        image = collimate(image, film, view.box, turn)
    if film.marker is not None:
        image = add_marker(image, film.marker, "R" if pose.mirrored else "L")
    image = finish(image, film)
    full = 2**bits - 1
    growth = hand_growth(child.finger_months, child.sex) * child.size
    spacing = growth * (_FEMALE_SIZE if child.sex is Sex.FEMALE else 1.0) / view.scale
    return Radiograph(
        np.rint(image * full).astype(np.uint8 if bits == 8 else np.uint16),
        spacing_mm=(spacing, spacing),
        sex=child.sex,
        chronological_age_months=chronological_age_months,
        source=f"phantom, {child.sex}, {child.bone_age_months:g} months",
    )


def _bones(skeleton: Skeleton, view: _View, size: tuple[int, int]) -> NDArray[np.float32]:
    """Millimetres of bone along each ray."""
    width, height = size
    fine = 2 if height <= _FINE_PX else 1
    canvas = np.zeros((height * fine, width * fine), np.float32)
    m = [[float(v) for v in row] for row in view.matrix]

    def to_pixels(point: tuple[float, float]) -> tuple[float, float]:
        x, y = point
        column = m[0][0] * x + m[0][1] * y + m[0][2]
        row = m[1][0] * x + m[1][1] * y + m[1][2]
        # Pixel centres are whole numbers at either size.
        return (column + 0.5) * fine - 0.5, (row + 0.5) * fine - 0.5

    paint_skeleton(canvas, skeleton, view.scale * fine, to_pixels)
    if fine == 1:
        return canvas
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _view(skeleton: Skeleton, pose: PhantomPose, size: tuple[int, int]) -> _View:
    """Turn, mirror, scale and move the hand so that fingers, wrist and some forearm are in view."""
    angle = np.deg2rad(pose.rotation_degrees)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    side = -1.0 if pose.mirrored else 1.0
    # Rows count downwards, y counts upwards.
    turn = np.array([[cos * side, sin], [sin * side, -cos]])
    tips = [b[-1].placement.along(b[-1].length_mm + 4) for b in skeleton.digits]
    radius, ulna = skeleton.forearm
    cut = [b.placement.along(b.length_mm - pose.forearm_mm) for b in (radius, ulna)]
    palm = [
        b[0].placement.along(b[0].length_mm * 0.6) for b in (skeleton.digits[0], skeleton.digits[4])
    ]
    points = np.array([*tips, *cut, *palm]) @ turn.T
    low, high = points.min(axis=0) - 10.0, points.max(axis=0) + 10.0
    high[1] -= 8.0  # the forearm goes on below the picture
    extent = high - low
    room = np.array(size, dtype=np.float64)
    scale = float(pose.fill * (room / extent).min())
    free = room - scale * extent
    corner = free * (0.5 + 0.5 * np.array([pose.shift_x, pose.shift_y]))
    # Pixel 0 reaches from 0 to 1: its centre is at a half.
    matrix = np.hstack([turn * scale, (corner - low * scale - 0.5)[:, None]])
    left, top = (float(v) for v in corner)
    right, bottom = (float(v) for v in corner + scale * extent)
    return _View(matrix, scale, (left, top, right, bottom))
