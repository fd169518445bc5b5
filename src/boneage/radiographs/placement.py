"""Where a prepared image lies in its radiograph: all steps of the geometry as one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boneage.radiographs.preparation import PreparedGeometry
from boneage.radiographs.turning import TurnGeometry

__all__ = ["Placement"]


@dataclass(frozen=True)
class Placement:
    """How pixels of a radiograph and of the image that was prepared from it correspond.

    The radiograph was reduced, turned and then cropped, padded and resized. Each step is affine,
    so all of them are one affine map. Positions are (x, y) with pixel centres at whole numbers.

    Attributes:
        height_px: Rows of the radiograph.
        width_px: Columns of the radiograph.
        turned: From the reduced radiograph to its turned copy.
        prepared: From the turned copy to the prepared image.
        size_px: Side of the prepared image in pixels.
    """

    height_px: int
    width_px: int
    turned: TurnGeometry
    prepared: PreparedGeometry
    size_px: int

    def to_radiograph(self, x: float, y: float) -> tuple[float, float]:
        """Position in the radiograph of a position in the prepared image."""
        x, y = self.turned.to_original(*self.prepared.to_original(x, y))
        across, down = self._reduction
        return (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5

    def to_prepared(self, x: float, y: float) -> tuple[float, float]:
        """Position in the prepared image of a position in the radiograph."""
        across, down = self._reduction
        x, y = (x + 0.5) / across - 0.5, (y + 0.5) / down - 0.5
        return self.prepared.to_prepared(*self.turned.to_turned(x, y))

    def matrix(self, cells: int) -> NDArray[np.float64]:
        """Affine matrix (2, 3) from the radiograph to a grid of cells over the prepared image.

        Args:
            cells: Cells along a side of the prepared image; cell centres are at whole numbers.
        """
        factor = cells / self.size_px
        corner, right, below = (
            (np.array(self.to_prepared(x, y)) + 0.5) * factor - 0.5
            for x, y in ((0, 0), (1, 0), (0, 1))
        )
        return np.stack([right - corner, below - corner, corner], axis=1)

    @property
    def _reduction(self) -> tuple[float, float]:
        """Columns and rows of the radiograph in one pixel of the reduced radiograph."""
        return self.width_px / self.turned.width_px, self.height_px / self.turned.height_px
