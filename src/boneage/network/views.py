"""Views of a radiograph, and how what is found in one goes back into the radiograph's frame."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["View", "zoomed"]


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

    def shares(
        self, centres: tuple[float, float], side_px: int, places: int, cells: int
    ) -> tuple[Tensor, Tensor]:
        """How the places of a map of this view share out over equal cells of the whole image.

        A place stands for a stretch as long as the distance between places, about its centre and
        cut off at the view's rim. What is found there is spread evenly over that stretch, so that
        sums stay what they are. Cells that the view does not show get nothing.

        Args:
            centres: Pixel of the first place's centre in the view, and distance between places.
            side_px: S, the side of the view and of the image.
            places: Places along a side of the map.
            cells: Cells along a side of the image.

        Returns:
            Share of every place in every cell, each of shape (cells, places): down, and across.
            A map M becomes ``down @ M @ across.T``.
        """
        first, step = centres
        middles = first + 0.5 + step * torch.arange(places)
        ends = torch.stack([middles - step / 2, middles + step / 2]).clamp(0, side_px)
        down = self._overlap(ends, side_px, cells)
        return down, self._overlap(
            side_px - ends.flip(0), side_px, cells
        ) if self.mirrored else down

    def _overlap(self, ends: Tensor, side_px: int, cells: int) -> Tensor:
        """Share of stretches between ``ends``, shape (2, places), that lies in each cell."""
        large = round(side_px * self.zoom)
        start = (large - side_px) // 2
        low, high = (ends + start) * (cells / large)  # from here on in cells of the image
        at = torch.arange(cells)[:, None]
        inside = torch.minimum(high, at + 1) - torch.maximum(low, at)
        shares: Tensor = inside.clamp(min=0) / (high - low)
        return shares


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
