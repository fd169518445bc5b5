"""Regions of a prepared radiograph that a network looks at enlarged: the wrist, say."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from boneage.network.views import shares_along

__all__ = ["WHOLE", "Region"]


class Region(NamedTuple):
    """A square part of the prepared image. Left, top and side are shares of the image's side.

    Attributes:
        left: Where it begins across, 0 to below 1.
        top: Where it begins down, 0 to below 1.
        side: Its side, above 0 to 1.
        zoom: How much it is enlarged (bilinear), above 0; 1 keeps its pixels.
        mirrored: Whether it is then mirrored, left to right.
    """

    left: float
    top: float
    side: float
    zoom: float = 1.0
    mirrored: bool = False

    def side_px(self, side_px: int) -> int:
        """Side of what the network gets of an image with this side, both in pixels."""
        return round(round(self.side * side_px) * self.zoom)

    def of(self, image: Tensor) -> Tensor:
        """The region of images of shape (N, 1, S, S): (N, 1, s, s), s as :meth:`side_px` says."""
        side = image.shape[-1]
        left, top, taken = (round(share * side) for share in self[:3])
        if taken < side:
            image = image[:, :, top : top + taken, left : left + taken]
        wanted = self.side_px(side)
        if wanted != taken:
            image = functional.interpolate(
                image, size=(wanted, wanted), mode="bilinear", align_corners=False
            )
        return torch.flip(image, dims=(3,)) if self.mirrored else image

    def shares(self, side_px: int, places: int, cells: int) -> tuple[Tensor, Tensor]:
        """How the places of a map of this region share out over equal cells of the whole image.

        As :meth:`boneage.network.views.View.shares`: what is found at a place is spread evenly
        over its part of the image, so that sums stay what they are.

        Args:
            side_px: S, the side of the image.
            places: Places along a side of the map.
            cells: Cells along a side of the image.

        Returns:
            Share of every place in every cell, each of shape (cells, places): down, and across.
            A map M becomes ``down @ M @ across.T``.
        """
        left, top, taken = (round(share * side_px) for share in self[:3])
        down, across = (shares_along(start, taken, side_px, places, cells) for start in (top, left))
        return down, across.flip(1) if self.mirrored else across

    def in_frame(self, values: Tensor, side_px: int, cells: int | None = None) -> Tensor:
        """Maps of this region put into the frame of the image: shape (N, cells, cells).

        Args:
            values: A number a place, shape (N, places, places).
            side_px: S, the side of the image.
            cells: Cells along a side of the image; None for cells as large as the places are.
        """
        places = values.shape[-1]
        shares = self.shares(side_px, places, cells or round(places / self.side))
        down, across = (side.to(values.device) for side in shares)
        return down @ values @ across.T


WHOLE = Region(0.0, 0.0, 1.0)
"""All of the image, as it is."""
