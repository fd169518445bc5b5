"""The bands of bone age by which errors are reported."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError

__all__ = ["AGE_BANDS_MONTHS", "AgeBand"]


@dataclass(frozen=True)
class AgeBand:
    """A half-open band of bone age: ``lower_months <= age < upper_months``.

    Attributes:
        lower_months: First age inside, in months, 0 or more.
        upper_months: First age above it, in months, or None for a band without an end.
    """

    lower_months: int
    upper_months: int | None

    def __post_init__(self) -> None:
        if self.lower_months < 0:
            raise SettingsError(f"lower_months must be 0 or more, not {self.lower_months}.")
        if self.upper_months is not None and self.upper_months <= self.lower_months:
            raise SettingsError(
                f"upper_months must be above lower_months ({self.lower_months}), "
                f"not {self.upper_months}."
            )

    @property
    def name(self) -> str:
        """The band's key in ``metrics.json``: ``24-60``, or ``204+`` for the last."""
        if self.upper_months is None:
            return f"{self.lower_months}+"
        return f"{self.lower_months}-{self.upper_months}"

    @property
    def label(self) -> str:
        """The band for reading, with an en dash: ``24–60``."""
        return self.name.replace("-", "–")

    def contains(self, ages_months: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which ages lie in the band.

        Args:
            ages_months: Ages in months, any shape.

        Returns:
            A boolean array of the same shape.
        """
        inside = ages_months >= self.lower_months
        if self.upper_months is not None:
            inside &= ages_months < self.upper_months
        return inside


# Equal bands of three years from two years on, the same for both sexes, so that a figure can be
# compared between bands and sexes. The two ends stand apart because reading differs there. Below
# 24 months whole ossification centres are yet to appear, and collections hold few such children
# (1.5 % of the RSNA 2017 training set). From 204 months on the phalanges have fused and only the
# distal radius and ulna still change (Greulich and Pyle, Radiographic Atlas of Skeletal
# Development of the Hand and Wrist, 2nd ed., Stanford 1959; Gilsanz and Ratib, Hand Bone Age,
# Springer 2005, whose stages of infancy and post-puberty lie about there).
AGE_BANDS_MONTHS: tuple[AgeBand, ...] = (
    AgeBand(0, 24),
    AgeBand(24, 60),
    AgeBand(60, 96),
    AgeBand(96, 132),
    AgeBand(132, 168),
    AgeBand(168, 204),
    AgeBand(204, None),
)
