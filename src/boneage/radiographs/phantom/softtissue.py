"""The soft tissue of the hand, as the thickness that each ray meets."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.radiographs.phantom.shapes import Floats
from boneage.radiographs.phantom.skeleton import Skeleton

__all__ = ["Capsule", "soft_tissue_capsules", "soft_tissue_thickness"]

#: Half the thickness of a finger, and the full thickness of the hand's root, in mm.
_FINGER_RADIUS_MM = 7.8
_HAND_THICKNESS_MM = 29.0
#: Radius with which neighbouring parts flow into each other: the webs.
_WEB_MM = 1.6


@dataclass(frozen=True)
class Capsule:
    """A limb segment: two circles and what lies between them.

    Attributes:
        start_mm: Centre of the first circle (x, y).
        end_mm: Centre of the second.
        start_radius_mm: Radius of the first.
        end_radius_mm: Radius of the second.
    """

    start_mm: tuple[float, float]
    end_mm: tuple[float, float]
    start_radius_mm: float
    end_radius_mm: float


def soft_tissue_capsules(skeleton: Skeleton, padding: float) -> tuple[Capsule, ...]:
    """The envelope of a skeleton.

    Args:
        skeleton: The bones.
        padding: Soft tissue over that of the average child.

    Returns:
        Capsules; their union is the outline of the hand and forearm.
    """
    plump = padding * (1 + 0.30 * skeleton.infancy)
    capsules = []

    def add(
        start: tuple[float, float], end: tuple[float, float], radius: float, radius_end: float
    ) -> None:
        capsules.append(Capsule(start, end, radius * plump, radius_end * plump))

    for number, bones in enumerate(skeleton.digits):
        slim = (1.08, 1.0, 1.0, 0.95, 0.85)[number]
        metacarpal, *phalanges = bones
        base, head = (metacarpal.placement.along(metacarpal.length_mm * f) for f in (0.0, 0.98))
        add(base, head, 14.5 if number else 12.5, 12.0 if number else 11.5)
        radii = (11.0, 9.6, 8.6, 7.6) if number else (11.0, 9.8, 8.2)
        for bone, near, far in zip(phalanges, radii, radii[1:], strict=False):
            # The pulp reaches beyond the last bone.
            reach = bone.length_mm - (2.5 if bone is phalanges[-1] else 0.0)
            add(bone.placement.along(0.0), bone.placement.along(reach), near * slim, far * slim)
    thumb, index, little = (skeleton.digits[n][0] for n in (0, 1, 4))
    # Ball of the thumb, the fold between it and the index finger, ball of the little finger.
    add((8.0, 12.0), thumb.placement.along(thumb.length_mm * 0.55), 17.0, 14.0)
    add(thumb.placement.along(14.0), index.placement.along(18.0), 14.0, 14.0)
    add(thumb.placement.along(30.0), index.placement.along(36.0), 10.0, 10.0)
    add((-13.0, 10.0), little.placement.along(little.length_mm * 0.5), 15.5, 14.0)
    radius, ulna = skeleton.forearm
    for bone, thick in ((radius, 17.0), (ulna, 14.5)):
        add(bone.placement.along(bone.length_mm - 4), bone.placement.along(0.0), thick, thick * 1.5)
    return tuple(capsules)


def soft_tissue_thickness(
    capsules: tuple[Capsule, ...],
    padding: float,
    from_pixels: NDArray[np.float64],
    size: tuple[int, int],
) -> Floats:
    """Thickness of soft tissue along each ray.

    The distance to the outline is smooth, so it is computed on a coarse grid and enlarged.

    Args:
        capsules: The envelope.
        padding: Soft tissue over that of the average child, for the thickness.
        from_pixels: Affine matrix (2, 3) from (column, row, 1) to the hand in mm.
        size: Width and height of the result in pixels.

    Returns:
        Millimetres of soft tissue, shape (height_px, width_px).
    """
    width, height = size
    step = max(1.0, height / 100)
    columns, rows = int(np.ceil(width / step)), int(np.ceil(height / step))
    # Centres of the coarse pixels, as cv2.resize understands them.
    x = (np.arange(columns) + 0.5) * (width / columns) - 0.5
    y = (np.arange(rows) + 0.5) * (height / rows) - 0.5
    points = (
        from_pixels[:, 0, None, None] * x[None, None, :]
        + from_pixels[:, 1, None, None] * y[None, :, None]
        + from_pixels[:, 2, None, None]
    ).astype(np.float32)
    nearness = np.zeros((rows, columns), np.float32)
    for capsule in capsules:
        nearness += np.exp(np.minimum(_depth(points, capsule) / _WEB_MM, 60.0))
    depth = np.float32(_WEB_MM) * np.log(np.maximum(nearness, np.float32(1e-6)))
    # Parts that overlap leave furrows between them: inside, the distance to the common outline.
    inside = cv2.distanceTransform((depth > 0).astype(np.uint8), cv2.DIST_L2, 3)
    pitch = np.float32(np.hypot(from_pixels[0, 0], from_pixels[1, 0]) * step)
    common = cv2.GaussianBlur(inside, (0, 0), 1.0) * pitch - pitch
    depth = np.maximum(depth, common)
    fine = cv2.resize(depth, (width, height), interpolation=cv2.INTER_CUBIC)
    return _thickness(fine.astype(np.float32, copy=False), padding)


def _depth(points: Floats, capsule: Capsule) -> Floats:
    """Distance inwards from the outline of a capsule at each point, shape of one coordinate."""
    (x0, y0), (x1, y1) = capsule.start_mm, capsule.end_mm
    dx, dy = x1 - x0, y1 - y0
    px, py = points[0] - np.float32(x0), points[1] - np.float32(y0)
    t = np.clip((px * np.float32(dx) + py * np.float32(dy)) / np.float32(dx * dx + dy * dy), 0, 1)
    px -= t * np.float32(dx)
    py -= t * np.float32(dy)
    radius = capsule.start_radius_mm + t * np.float32(
        capsule.end_radius_mm - capsule.start_radius_mm
    )
    depth: Floats = radius - np.sqrt(px * px + py * py)
    return depth


def _thickness(depth: Floats, padding: float) -> Floats:
    """A finger is round; the palm goes on thickening, more slowly, to its own thickness."""
    radius = np.float32(_FINGER_RADIUS_MM * padding)
    inside = np.clip(depth, 0, radius)
    finger = 2 * np.sqrt(inside * (2 * radius - inside))
    deeper = np.maximum(depth - radius, 0)
    palm = (_HAND_THICKNESS_MM * padding - 2 * radius) * (1 - np.exp(-deeper / 11.0))
    thickness: Floats = finger + palm
    return thickness
