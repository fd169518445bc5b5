"""What decided: how much each part of a radiograph adds to its bone age, as the network says it.

``docs/explanation/heat-maps.md`` says how the numbers come about, how faithful they are and what
they do not say.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.radiographs.placement import Placement

__all__ = ["HeatMap"]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """How much older or younger each part of a radiograph makes the bone age.

    Attributes:
        values_months: What each cell of a square grid over the prepared image adds to the bone
            age in months, shape (H, W), float32: above 0 it makes the child older.
        placement: Where the prepared image lies in the radiograph.
    """

    values_months: NDArray[np.float32]
    placement: Placement

    def on_radiograph(self) -> NDArray[np.float32]:
        """The values in the radiograph's own pixels, whatever was cropped, padded or turned.

        Returns:
            Shape (height_px, width_px) of the radiograph, float32, in months a cell: linear
            between the centres of the cells, and 0 where the prepared image does not reach.
        """
        placement = self.placement
        size = (placement.width_px, placement.height_px)
        matrix = placement.matrix(self.values_months.shape[-1])
        flags = cv2.WARP_INVERSE_MAP
        spread = cv2.warpAffine(
            self.values_months, matrix, size, flags=flags | cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        inside = cv2.warpAffine(
            np.ones(self.values_months.shape, np.uint8), matrix, size,
            flags=flags | cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0,
        )  # fmt: skip
        return np.where(inside > 0, np.asarray(spread, np.float32), np.float32(0))
