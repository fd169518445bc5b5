"""Views of a radiograph, and how what is found in one goes back into the radiograph's frame."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["View", "shares_along", "zoomed"]


class View(NamedTuple):
    """One way of showing an image to a network.

    Attributes:
        zoom: 1 or larger; see :func:`zoomed`.
        mirrored: Whether it is then mirrored, left to right.
    """

    zoom: float
    mirrored: bool

    def of(self, image: Tensor) -> Tensor:
        """The view of images of shape (N, 1, S, S): the same shape."""
        view = zoomed(image, self.zoom)
        return torch.flip(view, dims=(3,)) if self.mirrored else view

    def shares(self, side_px: int, places: int, cells: int) -> tuple[Tensor, Tensor]:
        """How the places of a map of this view share out over equal cells of the whole image.

        A place stands for its part of the view. What is found there is spread evenly over that
        part of the image, so that sums stay what they are; cells that the view does not show get
        nothing.

        Args:
            side_px: S, the side of the view and of the image.
            places: Places along a side of the map.
            cells: Cells along a side of the image.

        Returns:
            Share of every place in every cell, each of shape (cells, places): down, and across.
            A map M becomes ``down @ M @ across.T``.
        """
        large = round(side_px * self.zoom)
        start = (large - side_px) // 2
        down = shares_along(start, side_px, large, places, cells)
        return down, down.flip(1) if self.mirrored else down


def shares_along(start_px: int, part_px: int, side_px: int, places: int, cells: int) -> Tensor:
    """How equal places along a part of a side share out over equal cells along the whole of it.

    Args:
        start_px: Where the part begins.
        part_px: Its length.
        side_px: Length of the side.
        places: Places along the part.
        cells: Cells along the side.

    Returns:
        Share of every place in every cell, shape (cells, places).
    """
    ends = (torch.arange(places + 1) * (part_px / places) + start_px) * (cells / side_px)
    low, high = ends[:-1], ends[1:]
    at = torch.arange(cells)[:, None]
    inside = torch.minimum(high, at + 1) - torch.maximum(low, at)
    return inside.clamp(min=0) / (high - low)


def zoomed(image: Tensor, zoom: float) -> Tensor:
    """The middle of images, enlarged by bilinear interpolation to their own size.

    Args:
        image: Shape (N, 1, S, S).
        zoom: 1 or larger; 1 leaves them as they are.

    Returns:
        The same shape.
    """
    side = image.shape[-1]
    large = round(side * zoom)
    if large == side:
        return image
    enlarged = functional.interpolate(
        image, size=(large, large), mode="bilinear", align_corners=False
    )
    start = (large - side) // 2
    return enlarged[:, :, start : start + side, start : start + side]
