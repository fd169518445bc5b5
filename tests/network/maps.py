"""Images and bodies whose maps are known."""

import torch
from torch import Tensor

from boneage.network.efficientnet import EfficientNetLite

__all__ = ["Brightness", "middle", "spot"]


class Brightness(EfficientNetLite):
    """A body whose places are the mean brightness of their part of the image."""

    def places(self, image: Tensor, sex: Tensor) -> Tensor:  # noqa: ARG002
        pooled = torch.nn.functional.avg_pool2d(image, 8)
        return pooled.expand(len(image), self.answer.in_features, -1, -1)


def spot(side_px: int, across_px: float, down_px: float, variance: float) -> Tensor:
    """A Gaussian spot on black, shape (S, S); pixel centres are at whole numbers."""
    pixels = torch.arange(side_px)
    down, across = (
        torch.exp(-((pixels - middle_px) ** 2) / variance) for middle_px in (down_px, across_px)
    )
    return down[:, None] * across


def middle(heat: Tensor) -> tuple[float, float]:
    """Mean place of what a map holds, across and down, as shares of its side."""
    cells = (torch.arange(len(heat)) + 0.5) / len(heat)
    return float(heat.sum(dim=0) @ cells / heat.sum()), float(heat.sum(dim=1) @ cells / heat.sum())
