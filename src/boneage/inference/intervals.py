"""The prediction interval that a model's card describes: of one width for everyone, or scaled."""

import sys
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from boneage.errors import SettingsError

__all__ = ["Interval"]


@dataclass(frozen=True)
class Interval:
    """A prediction interval at any level of a table.

    Attributes:
        level: The level that is used unless another is asked for: share of children whose true
            bone age is to lie within the interval, above 0 and below 1; 0.9 is usual.
        widths: Pairs of a level and the half width that belongs to it, both ascending, the levels
            above 0 and below 1 and the widths above 0. In months; where ``scaled``, in multiples
            of the error that the network expects of the radiograph.
        scaled: Whether a radiograph's own expected error scales the width.
        method: How the widths were found, in a few words.
    """

    level: float
    widths: tuple[tuple[float, float], ...]
    scaled: bool
    method: str

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or not self.method.strip():
            raise SettingsError("interval.method must be a non-empty text.")
        if not isinstance(self.scaled, bool):
            raise SettingsError(f"interval.scaled must be true or false, not {self.scaled!r}.")
        if not self.widths or not all(len(pair) == 2 for pair in self.widths):
            raise SettingsError("interval.widths must hold pairs of a level and a width.")
        _require_number(self.level, "interval.level")
        for number in (number for pair in self.widths for number in pair):
            _require_number(number, "interval.widths")
        levels = [level for level, _ in self.widths]
        widths = [width for _, width in self.widths]
        if sorted(set(levels)) != levels or sorted(widths) != widths or widths[0] <= 0:
            raise SettingsError("interval.widths must ascend, and every width must be above 0.")
        if not 0 < levels[0] <= self.level <= levels[-1] < 1:
            raise SettingsError(
                f"interval.level must be between 0 and 1 and within the levels of interval.widths, "
                f"not {self.level}."
            )

    @classmethod
    def constant(cls, level: float, half_width_months: float, method: str) -> "Interval":
        """An interval of one level and one width for everyone.

        Args:
            level: The level, above 0 and below 1.
            half_width_months: From the estimate to either end, in months, above 0.
            method: How the width was found.
        """
        return cls(level, ((level, half_width_months),), False, method)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Interval":
        """Read the object that :meth:`to_json` gave; its keys must be the right ones.

        Raises:
            SettingsError: A value is missing or impossible.
        """
        widths = value["widths"]
        if not isinstance(widths, list) or not all(isinstance(pair, list) for pair in widths):
            raise SettingsError("interval.widths must be a list of pairs.")
        pairs = tuple(tuple(pair) for pair in widths)
        return cls(value["level"], pairs, value["scaled"], value["method"])

    def to_json(self) -> dict[str, Any]:
        """The interval as an object of JSON values."""
        return {
            "level": self.level,
            "scaled": self.scaled,
            "method": self.method,
            "widths": [list(pair) for pair in self.widths],
        }

    def check_level(self, level: float) -> None:
        """Refuse a level that the table does not reach.

        Raises:
            SettingsError: It is outside the table; the message gives the range.
        """
        low, high = self.widths[0][0], self.widths[-1][0]
        if not low <= level <= high:
            reach = f"{low:g}" if low == high else f"within {low:g} to {high:g}"
            raise SettingsError(f"--level must be {reach} with this model, not {level:g}.")

    def half_width_months(
        self, expected_error_months: float | None, level: float | None = None
    ) -> float:
        """From the estimate to either end of the interval.

        Args:
            expected_error_months: The absolute error that the network expects, in months; needed
                where the interval is scaled.
            level: Another level than the card's; between two of the table, the width is
                interpolated.

        Returns:
            Months, above 0.

        Raises:
            SettingsError: The level is outside the table, or the expected error is missing.
        """
        level = self.level if level is None else level
        self.check_level(level)
        levels = [known for known, _ in self.widths]
        at = bisect_left(levels, level)
        width = self.widths[at][1]
        if levels[at] > level:
            (low, narrow), (high, wide) = self.widths[at - 1], self.widths[at]
            width = narrow + (wide - narrow) * (level - low) / (high - low)
        if not self.scaled:
            return width
        if expected_error_months is None:
            raise SettingsError("This interval is scaled, and the model expects no error.")
        return width * expected_error_months


def _require_number(value: object, name: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Not math.isfinite, which raises on a whole number that no float can hold.
    if not number or not abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
        raise SettingsError(f"{name} must be a finite number, not {value!r}.")
