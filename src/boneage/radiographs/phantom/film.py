"""From thicknesses to grey values: exposure, collimator, marker, noise."""

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.radiographs.phantom.parameters import PhantomFilm, PhantomMarker
from boneage.radiographs.phantom.shapes import Floats

__all__ = ["add_marker", "collimate", "expose", "finish", "trabeculae"]

# Attenuation a millimetre, chosen so that a finger's bone and soft tissue come out at the grey
# values that they have in clinical radiographs (about 0.55 and 0.25 of full scale).
_SOFT = 0.019
_BONE = 0.135
_TEXTURE_PX = 256
_TEXTURE_PITCH_MM = 0.42


@functools.cache
def _texture() -> Floats:
    """A square of band-limited noise that tiles: strands along the axis of the hand."""
    noise = np.random.default_rng(1959).standard_normal((_TEXTURE_PX, _TEXTURE_PX))
    frequency = np.fft.fftfreq(_TEXTURE_PX)
    along, across = frequency[:, None] / 0.09, frequency[None, :] / 0.20
    radius = np.sqrt(along**2 + across**2)
    spectrum = np.fft.fft2(noise) * radius * np.exp(-(radius**2))
    texture = np.fft.ifft2(spectrum).real
    tile: Floats = (texture / texture.std()).astype(np.float32)
    return tile


def trabeculae(seed: int, from_pixels: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """The pattern of spongy bone, with mean 0 and a standard deviation of at most 1.

    Args:
        seed: Which part of the pattern lies where.
        from_pixels: Affine matrix (2, 3) from (column, row, 1) to the hand in mm.
        size: Width and height of the result in pixels.

    Returns:
        The pattern, shape (height_px, width_px).
    """
    rng = np.random.default_rng(seed)
    matrix = from_pixels / _TEXTURE_PITCH_MM
    # What is finer than a pixel averages out.
    fading = min(1.0, 1.2 / float(np.hypot(matrix[0, 0], matrix[1, 0])))
    matrix[:, 2] += rng.uniform(0, 64 * _TEXTURE_PX, 2)
    pattern = cv2.warpAffine(
        _texture(),
        matrix,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.asarray(pattern * np.float32(fading), dtype=np.float32)


def expose(
    bone_mm: Floats, soft_mm: Floats, texture: Floats, mineral: float, gain: float
) -> Floats:
    """Brightness from what the rays met.

    Args:
        bone_mm: Thickness of bone.
        soft_mm: Thickness of soft tissue.
        texture: Pattern of spongy bone.
        mineral: Bone density over that of the average child.
        gain: Exposure.

    Returns:
        Brightness from 0 (air) to below 1, same shape.
    """
    # Thick bone averages its strands out.
    strands = 1 + np.float32(0.11) * texture / (1 + bone_mm / 4)
    bone = bone_mm * np.float32(mineral * _BONE) * strands
    soft = soft_mm * _SOFT * (1 + 0.012 * texture)
    return 1 - np.exp((bone + soft) * np.float32(-gain))


def collimate(
    image: Floats, film: PhantomFilm, box: tuple[float, float, float, float], degrees: float
) -> Floats:
    """Darken what lies outside the collimator's opening and brighten its edge.

    Args:
        image: Brightness.
        film: The exposure.
        box: Left, top, right and bottom of the hand in pixels.
        degrees: How the hand is turned; the collimator follows it.

    Returns:
        The picture, same shape.
    """
    height, width = image.shape
    left, top, right, bottom = (
        edge + sign * margin * height
        for edge, sign, margin in zip(box, (-1, -1, 1, 1), film.margins, strict=True)
    )
    # Beyond the lower edge of the picture the forearm goes on, and so does the opening.
    bottom = max(bottom, height * 0.97)
    centre = ((left + right) / 2, (top + bottom) / 2)
    rectangle = cv2.boxPoints(
        (centre, (right - left, bottom - top), 0.35 * degrees + film.collimator_degrees)
    )
    filled = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(filled, np.rint(rectangle * 16).astype(np.int32), 1.0, cv2.LINE_8, 4)
    opening = cv2.GaussianBlur(filled, (0, 0), max(0.6, 0.004 * height))
    inside = film.scatter + (1 - film.scatter) * image
    result = film.outside + (inside - film.outside) * opening
    if film.edge > 0:
        wide = cv2.GaussianBlur(opening, (0, 0), 0.009 * height)
        result = result + 4 * film.edge * wide * (1 - wide) * (1 - result)
    return result.astype(np.float32)


def add_marker(image: Floats, marker: PhantomMarker, letter: str) -> Floats:
    """Lay a lead letter on the picture.

    Args:
        image: Brightness.
        marker: Where and how.
        letter: ``L`` or ``R``.

    Returns:
        The picture, same shape.
    """
    height, width = image.shape
    side, big = 128, 64  # painted large, then scaled and turned
    lead = np.zeros((side, side), np.uint8)
    plate = np.zeros((side, side), np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    low = 72 if marker.initials else 96
    cv2.putText(lead, letter, (side // 2 - 22, low), font, big / 22, 255, 11, cv2.LINE_AA)
    if marker.initials:
        step = 13 * len(marker.initials)
        cv2.putText(lead, marker.initials, (side // 2 - step, 114), font, 1.3, 255, 4, cv2.LINE_AA)
    if marker.plate:
        cv2.rectangle(plate, (14, 4), (side - 14, side - 5), 255, -1)
    scale = marker.height * height / big
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), -marker.degrees, scale)
    matrix[:, 2] += (marker.x * width - side / 2, marker.y * height - side / 2)
    if scale < 1:  # warping alone would skip pixels
        blur = 0.4 / scale
        cv2.GaussianBlur(lead, (0, 0), blur, dst=lead)
        cv2.GaussianBlur(plate, (0, 0), blur, dst=plate)
    result = image.copy()
    for paint, value, weight in ((plate, 0.32, 0.5), (lead, 1.0, 1.0)):
        cover = cv2.warpAffine(paint, matrix, (width, height), flags=cv2.INTER_LINEAR)
        share = cover.astype(np.float32) * np.float32(weight / 255)
        result += share * (np.maximum(result, np.float32(value)) - result)
    return result


def finish(image: Floats, film: PhantomFilm) -> Floats:
    """Blur, tone, uneven field and quantum noise.

    Args:
        image: Brightness 0 to 1.
        film: The exposure.

    Returns:
        The picture within 0 to 1, same shape.
    """
    height, width = image.shape
    sigma = film.blur * height
    if sigma > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32, copy=False)
    image = np.clip(image, 0, 1) ** np.float32(film.gamma)
    image *= np.float32(film.contrast * (1 - film.background))
    image += np.float32(film.background)
    across = np.linspace(-film.tilt_x, film.tilt_x, width, dtype=np.float32)[None, :]
    down = np.linspace(-film.tilt_y, film.tilt_y, height, dtype=np.float32)[:, None]
    image = image + (across + down)
    if film.noise > 0:
        rng = np.random.default_rng(film.noise_seed)
        grain = rng.standard_normal((height, width), dtype=np.float32)
        # Quantum noise grows with the square root of the signal; the reader adds a floor.
        image = image + grain * (np.float32(film.noise) * np.sqrt(0.15 + np.clip(image, 0, 1)))
    return np.clip(image, 0, 1).astype(np.float32)
