"""Augmentation of whole batches: a draw, and a deterministic twin that applies it.

:func:`draw_augmentation` draws the parameters of every image of a batch; :func:`augment` applies
them. The draw can be kept and replayed.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from boneage.errors import SettingsError
from boneage.training.recompression import recompress

__all__ = ["AugmentationDraw", "AugmentationSettings", "augment", "draw_augmentation"]

_JPEG_QUALITY = (20.0, 90.0)
# Below 20 the blocks hide what a reader looks for; above 90 there is nothing to learn from.
_JPEG_SPAN = (0.1, 0.8)
# Share of the grey scale between the 2nd and the 98th percentile of the RSNA radiographs: 0.11 in
# 1 of 20, 0.63 in the middle, 0.78 in 19 of 20 (every 60th of 11,611).

# Settings that say how a change is made, and not how far it goes.
_MANNERS = frozenset({"jpeg_side"})


@dataclass(frozen=True)
class AugmentationSettings:
    """How far a training image may be changed; 0 switches a change off.

    Attributes:
        flip: Probability of mirroring left and right, 0 to 1. A right hand is a mirrored left one.
        rotation_deg: Largest turn either way, in degrees, 0 to 180.
        scale: Largest change of size, as a share, 0 to 0.9 (0.15: 0.85 to 1.15 times).
        shift: Largest shift along each axis as a share of the side, 0 to 0.5.
        gamma: Largest change of the exponent, as a power of two, 0 to 3 (0.5: 0.71 to 1.41).
        contrast: Largest change of contrast about black, as a share, 0 to 0.9. Black stays black.
        brightness: Largest change of brightness, in units of the full range, 0 to 0.5.
        blur: Largest standard deviation of a Gaussian blur as a share of the side, 0 to 0.02. A
            radiograph that was reduced without antialiasing is sharper than one with it, and a
            network is to read both.
        jpeg: Probability of a passage through a JPEG file of low quality, 0 to 1.
        jpeg_side: Side of that file as a share of the prepared side, 0.1 to 1: a hand on 100 px,
            prepared at 128 px, is compressed at 0.78.
    """

    flip: float = 0.5
    rotation_deg: float = 20.0
    scale: float = 0.15
    shift: float = 0.08
    gamma: float = 0.4
    contrast: float = 0.2
    brightness: float = 0.05
    blur: float = 0.0
    jpeg: float = 0.0
    jpeg_side: float = 0.78

    def __post_init__(self) -> None:
        for name, high in (
            ("flip", 1.0),
            ("rotation_deg", 180.0),
            ("scale", 0.9),
            ("shift", 0.5),
            ("gamma", 3.0),
            ("contrast", 0.9),
            ("brightness", 0.5),
            ("blur", 0.02),
            ("jpeg", 1.0),
        ):
            value = getattr(self, name)
            if not 0 <= value <= high:
                raise SettingsError(
                    f"augmentation.{name} must be within 0 to {high:g}, not {value}."
                )
        if not 0.1 <= self.jpeg_side <= 1:
            raise SettingsError(
                f"augmentation.jpeg_side must be within 0.1 to 1, not {self.jpeg_side}."
            )

    @classmethod
    def off(cls) -> "AugmentationSettings":
        """Settings that change nothing."""
        return cls(**{name: 0.0 for name in cls().to_dict() if name not in _MANNERS})

    @property
    def is_off(self) -> bool:
        """Whether every change is switched off."""
        return not any(value for name, value in asdict(self).items() if name not in _MANNERS)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "AugmentationSettings":
        """Read what :meth:`to_dict` wrote.

        Raises:
            SettingsError: A key is unknown or a value out of range.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise SettingsError(f"Unknown augmentation settings: {', '.join(unknown)}.")
        return cls(**values)


@dataclass(frozen=True)
class AugmentationDraw:
    """What happens to each image of one batch; every tensor is float32 of shape (N,).

    Attributes:
        flip: -1 to mirror left and right, 1 to leave.
        angle_rad: Turn in radians, counter-clockwise as seen.
        scale: Factor of size; above 1 the hand grows.
        shift_x: Shift to the right as a share of the side.
        shift_y: Shift downwards as a share of the side.
        gamma: Exponent of the grey values.
        contrast: Factor of the grey values.
        brightness: What is added to the grey values.
        blur: Standard deviation of the blur as a share of the side, or None for no blur at all.
        quality: JPEG quality, 0 for no JPEG, or None for none at all.
        span: Share of the file's grey scale that the hand took when the JPEG was made, or None.
        jpeg_side: Side of the JPEG as a share of the prepared side; a number, not a tensor.
    """

    flip: Tensor
    angle_rad: Tensor
    scale: Tensor
    shift_x: Tensor
    shift_y: Tensor
    gamma: Tensor
    contrast: Tensor
    brightness: Tensor
    blur: Tensor | None = None
    quality: Tensor | None = None
    span: Tensor | None = None
    jpeg_side: float = 0.78


def draw_augmentation(
    count: int, settings: AugmentationSettings, generator: torch.Generator
) -> AugmentationDraw:
    """Draw the changes for a batch.

    Args:
        count: Number of images.
        settings: How far each change may go.
        generator: The only source of randomness, on the CPU.

    Returns:
        The draw, on the CPU.
    """

    def uniform(reach: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * reach

    return AugmentationDraw(
        flip=torch.where(torch.rand(count, generator=generator) < settings.flip, -1.0, 1.0),
        angle_rad=uniform(math.radians(settings.rotation_deg)),
        scale=1 + uniform(settings.scale),
        shift_x=uniform(settings.shift),
        shift_y=uniform(settings.shift),
        gamma=torch.exp2(uniform(settings.gamma)),
        contrast=1 + uniform(settings.contrast),
        brightness=uniform(settings.brightness),
        blur=torch.rand(count, generator=generator) * settings.blur if settings.blur else None,
        quality=_draw_quality(count, settings.jpeg, generator) if settings.jpeg else None,
        span=_draw_span(count, generator) if settings.jpeg else None,
        jpeg_side=settings.jpeg_side,
    )


def _draw_quality(count: int, share: float, generator: torch.Generator) -> Tensor:
    low, high = _JPEG_QUALITY
    chosen = torch.rand(count, generator=generator) < share
    quality = low + torch.rand(count, generator=generator) * (high - low)
    return torch.where(chosen, quality.round(), 0.0)


def _draw_span(count: int, generator: torch.Generator) -> Tensor:
    low, high = _JPEG_SPAN
    return low + torch.rand(count, generator=generator) * (high - low)


def augment(images: Tensor, draw: AugmentationDraw) -> Tensor:
    """Apply a draw.

    A JPEG comes first, as it would before anything is prepared. The geometry is one resampling
    (bilinear, black outside), so the changes do not blur the image one after the other.

    Args:
        images: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1. Not changed.
        draw: One entry per image.

    Returns:
        Changed images of the same shape, 0 to 1.
    """
    device = images.device
    if draw.quality is not None and draw.span is not None:
        images = recompress(images, draw.quality, draw.span, draw.jpeg_side)
    cosine = torch.cos(draw.angle_rad) / draw.scale
    sine = torch.sin(draw.angle_rad) / draw.scale
    # A sampling grid maps output to input, so this is the inverse of "mirror, turn, scale, shift".
    shift_x, shift_y = 2 * draw.shift_x, 2 * draw.shift_y
    across = sine * shift_y - cosine * shift_x
    rows = (
        torch.stack([cosine, -sine, across], dim=1) * draw.flip[:, None],
        torch.stack([sine, cosine, -(sine * shift_x + cosine * shift_y)], dim=1),
    )
    grid = _grid(torch.stack(rows, dim=1).to(device), images.shape[-1])
    moved = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    if draw.blur is not None:
        moved = _blurred(moved, draw.blur.to(device) * images.shape[-1])

    def column(values: Tensor) -> Tensor:
        return values.to(device)[:, None, None, None]

    # The smallest normal step keeps the power's logarithm finite on a black background.
    toned = moved.clamp_(1e-6, 1).pow_(column(draw.gamma))
    return toned.mul_(column(draw.contrast)).add_(column(draw.brightness)).clamp_(0, 1)


def _blurred(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Each image under its own Gaussian of 5 x 5 pixels; shapes (N, 1, S, S) and (N,)."""
    count = len(images)
    offsets = torch.arange(-2.0, 3.0, device=images.device)
    weights = torch.exp(-0.5 * (offsets / sigma_px.clamp(min=1e-3)[:, None]) ** 2)
    weights = (weights / weights.sum(dim=1, keepdim=True))[:, None]
    # Images as channels: a grouped convolution gives each its own kernel.
    rows = functional.conv2d(
        images.transpose(0, 1), weights[:, :, None, :], padding=(0, 2), groups=count
    )
    columns = functional.conv2d(rows, weights[:, :, :, None], padding=(2, 0), groups=count)
    return columns.transpose(0, 1).contiguous()


def _grid(theta: Tensor, size_px: int) -> Tensor:
    """Where to sample: ``affine_grid`` for squares, ten times as fast on the CPU.

    Args:
        theta: Affine maps of output to input positions (from -1 to 1), shape (N, 2, 3).
        size_px: Side of the images in pixels.

    Returns:
        Positions (x, y), shape (N, size_px, size_px, 2).
    """
    centres = (torch.arange(size_px, device=theta.device) * 2 + 1) / size_px - 1
    grid = theta.new_empty(len(theta), size_px, size_px, 2)
    for axis in (0, 1):
        along = theta[:, axis, 0, None] * centres
        down = theta[:, axis, 1, None] * centres + theta[:, axis, 2, None]
        torch.add(along[:, None, :], down[:, :, None], out=grid[..., axis])
    return grid
