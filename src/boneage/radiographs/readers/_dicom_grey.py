"""From stored values to what a reader sees: modality, values of interest, white on black.

The stages of the standard (PS3.4, N.2; PS3.3, C.11.1 and C.11.2) are all functions of one stored
value, so they are worked out for each value that the bits allow, 65,536 at most, and looked up.

What a header says is applied as a viewer does by default: the first VOI LUT, else the first window.
The radiographs that models learn from went through the same on their way to PNG. A straight
window would change little, because preparing stretches by percentiles; but a VOI LUT is the
characteristic curve of a film, and a window cuts off the direct exposure beside the hand, which
would else take most of the range.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GreyScale", "Lut", "Window", "to_grey"]

_Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lut:
    """A table of Modality LUT or VOI LUT (PS3.3, C.11.1.1 and C.11.2.1.1).

    Attributes:
        first: The value that the first entry is for; lower ones get it as well, and what lies
            beyond the last entry gets that.
        entries: Shape (n,), whole numbers, 0 or more.
        bits: Bits of an entry, 8 to 16.
    """

    first: int
    entries: NDArray[np.int64]
    bits: int

    def __call__(self, values: _Values) -> _Values:
        """Look values up."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        return np.asarray(self.entries[index], np.float64)

    @property
    def top(self) -> int:
        """The largest value that may come out; entries that exceed their bits are met with."""
        highest: int = self.entries.max().item()
        return max((1 << self.bits) - 1, highest)


@dataclass(frozen=True)
class Window:
    """Window Center, Width and VOI LUT Function (PS3.3, C.11.2.1.2 and C.11.2.1.3).

    Attributes:
        center: In values after the modality stage.
        width: Likewise; above 0, for ``LINEAR`` at least 1.
        function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.
    """

    center: float
    width: float
    function: str = "LINEAR"

    def __call__(self, values: _Values) -> _Values:
        """Map values to 0..1."""
        if self.function == "SIGMOID":
            # Beyond 700 the exponential overflows, and the quotient is 0 long before.
            power = np.clip(-4 * (values - self.center) / self.width, -700, 700)
            return np.asarray(1 / (1 + np.exp(power)))
        if self.function == "LINEAR_EXACT":
            return np.asarray(np.clip((values - self.center) / self.width + 0.5, 0, 1))
        if self.width == 1:
            return (values > self.center - 0.5).astype(np.float64)
        return np.clip((values - (self.center - 0.5)) / (self.width - 1) + 0.5, 0, 1)


@dataclass(frozen=True, eq=False)
class GreyScale:
    """What a header says of the meaning of stored values.

    Attributes:
        bits: Bits Stored, 1 to 16.
        signed: Whether they have a sign.
        white_is_low: Photometric Interpretation is MONOCHROME1: the least value is to be white.
        slope: Rescale Slope, not 0.
        intercept: Rescale Intercept.
        modality: Modality LUT; goes before the two.
        voi: VOI LUT, or window, or None.
        padding: Least and greatest stored value that stand for no picture (PS3.3, C.7.5.1.1.2).
    """

    bits: int
    signed: bool = False
    white_is_low: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality: Lut | None = None
    voi: Lut | Window | None = None
    padding: tuple[int, int] | None = None

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest value that can be stored."""
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1


def to_grey(stored: NDArray[np.int32], scale: GreyScale) -> NDArray[Any]:
    """Give the picture as it is to be seen: larger is brighter.

    Args:
        stored: Stored values, shape (height, width), within ``scale.range``.
        scale: What they mean.

    Returns:
        Same shape. Unsigned values without any stage stay as they are; a VOI LUT gives its
        entries; a window the range of Bits Stored, or 16 bits after a modality stage: uint8 up to
        8 bits and uint16 above. What is signed, or has a modality stage alone, is float32.
        MONOCHROME1 is mirrored within the range that there can be. Padding gets the darkest grey.

        A window or LUT in which all of the picture has one grey belongs to another picture, and
        is left out.
    """
    least, greatest = scale.range
    padded = None
    if scale.padding is not None:
        padded = (stored >= scale.padding[0]) & (stored <= scale.padding[1])
    picture = stored if padded is None or padded.all() else stored[~padded]
    shown = int(picture.min()) - least, int(picture.max()) - least + 1
    table = _table(np.arange(least, greatest + 1, dtype=np.float64), scale, shown)
    pixels = table[stored - least]
    if padded is not None and not padded.all():
        pixels[padded] = table[picture - least].min()
    return pixels


def _table(values: _Values, scale: GreyScale, shown: tuple[int, int]) -> NDArray[Any]:
    """The grey of every value that can be stored; ``shown`` are those in the picture."""
    plain = scale.modality is None and scale.slope == 1 and scale.intercept == 0
    if scale.modality is not None:
        values = scale.modality(values)
    elif not plain:
        values = values * scale.slope + scale.intercept
    top: float = 2**scale.bits - 1 if plain else 65_535
    seen = None if scale.voi is None else scale.voi(values)
    if seen is not None and np.ptp(seen[slice(*shown)]) > 0:
        if isinstance(scale.voi, Lut):
            top = scale.voi.top
        else:
            seen = np.rint(seen * top)
        return _as_integers(top - seen if scale.white_is_low else seen, top)
    if scale.white_is_low:
        values = values.min() + values.max() - values
    if plain and not scale.signed:
        return _as_integers(values, top)
    return values.astype(np.float32)


def _as_integers(values: _Values, top: float) -> NDArray[Any]:
    return values.astype(np.uint8 if top <= 255 else np.uint16)
