"""The radiograph as it was read: pixels, and what is known of the child."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import InputError, SettingsError

__all__ = ["Radiograph", "Sex"]

_SEX_WORDS = {
    "female": "female", "f": "female", "girl": "female", "woman": "female",
    "male": "male", "m": "male", "boy": "male", "man": "male",
}  # fmt: skip


class Sex(StrEnum):
    """Sex of the child, as the growth references distinguish it. It is never assumed."""

    FEMALE = "female"
    MALE = "male"

    @classmethod
    def parse(cls, value: object) -> "Sex":
        """Read a sex from a word or letter in any case (``F``, ``male``, ``girl``).

        Columns named ``male`` with True/False or 1/0 are the label reader's business, because
        such a value alone does not say which sex it means.

        Args:
            value: A ``Sex`` or a word.

        Returns:
            The sex.

        Raises:
            InputError: The word is not understood.
        """
        word = _SEX_WORDS.get(str(value).strip().lower())
        if word is None:
            raise InputError(f"{value!r} is not a sex: say 'female' or 'male' (F and M will do).")
        return cls(word)


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One radiograph, unchanged from its file except for orientation.

    Attributes:
        pixels: Grey values, shape (height_px, width_px), dtype uint8, uint16 or float32.
            Row 0 is the top of the picture.
        spacing_mm: Distance between pixel centres (down, across) in mm, or None if unknown.
        sex: Sex of the child, or None if unknown.
        chronological_age_months: Age when the radiograph was taken, in months (0 to 300), or
            None if unknown.
        source: A name for messages, usually the file's.
        body_part: What it shows according to the file (DICOM Body Part Examined), in capitals, or
            None.
        laterality: ``left`` or ``right`` according to the file, or None.
        view: View position according to the file, such as ``PA``, or None.
    """

    pixels: NDArray[Any]
    spacing_mm: tuple[float, float] | None = None
    sex: Sex | None = None
    chronological_age_months: float | None = None
    source: str = "radiograph"
    body_part: str | None = None
    laterality: str | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.size == 0:
            raise SettingsError(
                f"{self.source}: pixels must be a grey image of shape (height, width), "
                f"not {self.pixels.shape}."
            )
        if self.pixels.dtype not in (np.uint8, np.uint16, np.float32):
            raise SettingsError(
                f"{self.source}: pixels must be uint8, uint16 or float32, not {self.pixels.dtype}."
            )
        if self.spacing_mm is not None and min(self.spacing_mm) <= 0:
            raise SettingsError(f"{self.source}: spacing_mm must be positive.")
        age = self.chronological_age_months
        if age is not None and not 0 <= age <= 300:
            raise SettingsError(
                f"{self.source}: chronological_age_months must be within 0 to 300, not {age}."
            )

    @property
    def height_px(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width_px(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])
