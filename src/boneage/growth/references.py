"""The published tables that come inside the package, read and interpolated.

Each is a CSV in ``tables/`` whose first lines cite the source and say how the values were checked.
Between two ages of a table values are interpolated linearly; outside there is no value.
"""

import csv
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from boneage.errors import OutsideTableError, SettingsError

__all__ = ["MAX_AGE_MONTHS", "Curve", "require_age", "table_rows"]

MAX_AGE_MONTHS = 300.0
"""Ages and bone ages above this are mistakes, not ages: growth is over long before."""


@dataclass(frozen=True)
class Curve:
    """A quantity by age, as one column of a table.

    Attributes:
        name: The table, for messages.
        age_name: What kind of age it goes by, as ``bone age``.
        points: Pairs of an age in months and a value, ages ascending, two or more.
    """

    name: str
    age_name: str
    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        ages = [age for age, _ in self.points]
        if len(ages) < 2 or sorted(set(ages)) != ages:
            raise SettingsError(f"{self.name}: points must ascend, and be two or more.")

    @property
    def range_months(self) -> tuple[float, float]:
        """First and last age of the table in months."""
        return self.points[0][0], self.points[-1][0]

    def covers(self, age_months: float) -> bool:
        """Whether the table has a value for this age."""
        low, high = self.range_months
        return low <= age_months <= high

    def at(self, age_months: float) -> float:
        """The value at an age, linear between the two ages of the table around it.

        Raises:
            OutsideTableError: The age is outside the table.
        """
        if not self.covers(age_months):
            low, high = self.range_months
            raise OutsideTableError(
                f"{self.name} has no value for a {self.age_name} of {age_months:.1f} months: it "
                f"reaches from {low:g} to {high:g} months."
            )
        upper = bisect_left(self.points, (age_months,))
        age, value = self.points[upper]
        if age == age_months:
            return value
        age_below, value_below = self.points[upper - 1]
        return value_below + (value - value_below) * (age_months - age_below) / (age - age_below)


@cache
def table_rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a table that comes inside the package, by column.

    Args:
        name: Name of the file in ``tables/``.
    """
    text = (files("boneage.growth") / "tables" / name).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(csv.DictReader(lines))


def require_age(age_months: float, name: str) -> None:
    """Refuse what is no age.

    Args:
        age_months: The age in months.
        name: What it is called in the message.

    Raises:
        SettingsError: It is not within 0 to :data:`MAX_AGE_MONTHS`.
    """
    if not 0 <= age_months <= MAX_AGE_MONTHS:
        raise SettingsError(
            f"{name} must be within 0 to {MAX_AGE_MONTHS:g} months, not {age_months:g}."
        )
