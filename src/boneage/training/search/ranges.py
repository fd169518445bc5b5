"""The values that one searched setting may take: a list, or a range."""

import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from boneage.errors import SettingsError

__all__ = ["Choice", "Range", "read_axis"]

_RANGE_KEYS = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Choice:
    """A list of values.

    Attributes:
        values: At least one, none twice; lists of numbers are tuples.
    """

    values: tuple[Any, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.values)

    def all(self) -> list[Any]:
        """Every value, as Optuna keeps it: lists as text, because it knows single values only."""
        return [json.dumps(item) if isinstance(item, tuple) else item for item in self.values]

    def ends(self) -> list[Any]:
        """The values to check: all of them."""
        return self.all()

    def decode(self, kept: Any) -> Any:
        """The value that Optuna keeps as ``kept``."""
        return self.values[self.all().index(kept)]

    def to_json(self) -> list[Any]:
        """The values as JSON has them."""
        return [list(item) if isinstance(item, tuple) else item for item in self.values]


@dataclass(frozen=True)
class Range:
    """All numbers from ``low`` to ``high``, both included.

    Attributes:
        low: Smallest value.
        high: Largest value, above ``low``.
        log: Small values are tried as often as large ones; ``low`` must be above 0.
        step: Distance of the values, or None for any (of whole numbers: 1).
        whole: Whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def size(self) -> int | None:
        """How many values there are; None if any number of the range is one."""
        if self.step is None and not self.whole:
            return None
        low, high, step = self._decimals()
        return int((high - low) // step) + 1

    def all(self) -> list[Any]:
        """Every value of a range that has a size."""
        low, _, step = self._decimals()
        kind = int if self.whole else float
        return [kind(low + index * step) for index in range(self.size or 0)]

    def _decimals(self) -> tuple[Decimal, Decimal, Decimal]:
        """Low, high and step as they were written: 0.3 is three steps of 0.1, not a little less."""
        step = 1 if self.step is None else self.step
        return Decimal(str(self.low)), Decimal(str(self.high)), Decimal(str(step))

    def ends(self) -> list[Any]:
        """The values to check: settings refuse what lies beyond an end, never what lies between."""
        return [self.low, self.high]

    def decode(self, kept: Any) -> Any:
        """The value that Optuna keeps as ``kept``: the same."""
        return kept

    def to_json(self) -> dict[str, Any]:
        """The range as a space file has it."""
        values: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            values["log"] = True
        if self.step is not None:
            values["step"] = self.step
        return values


def read_axis(name: str, kind: Any, given: Any) -> Choice | Range:
    """Read what a space says of one setting.

    Args:
        name: The setting.
        kind: Its type.
        given: A list of values, or the dictionary of a range.

    Raises:
        SettingsError: It is neither, or not of the setting's kind.
    """
    if isinstance(given, Choice | Range):
        return given
    if isinstance(given, Mapping):
        return _read_range(name, kind, given)
    if not isinstance(given, list | tuple):
        raise SettingsError(
            f"{name} must be a list of values or a range {{low = ..., high = ...}}, not {given!r}."
        )
    if not given:
        raise SettingsError(f"{_flag(name)} needs at least one value; the list is empty.")
    values = tuple(_read_value(name, kind, item) for item in given)
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise SettingsError(f"{_flag(name)} names {twice[0]} more than once.")
    return Choice(values)


def _read_range(name: str, kind: Any, given: Mapping[str, Any]) -> Range:
    if kind not in (int, float):
        raise SettingsError(f"{name} is no number: give a list of values, not a range.")
    unknown = sorted(set(given) - set(_RANGE_KEYS))
    if unknown or not {"low", "high"} <= set(given):
        raise SettingsError(
            f"{name}: a range has low and high, and log or step if wanted"
            + (f"; {unknown[0]!r} is none of them." if unknown else ".")
        )
    low, high = (_read_value(name, kind, given[end]) for end in ("low", "high"))
    step = None if given.get("step") is None else _read_value(name, kind, given["step"])
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise SettingsError(f"{name}: log is true or false, not {log!r}.")
    if not low < high:
        raise SettingsError(f"{name}: low must be below high, not {low} and {high}.")
    if log and (low <= 0 or step is not None):
        raise SettingsError(f"{name}: with log, low must be above 0, and there is no step.")
    if step is not None and not 0 < step <= high - low:
        raise SettingsError(f"{name}: step must be above 0 and fit into the range, not {step}.")
    return Range(low, high, log=log, step=step, whole=kind is int)


def _read_value(name: str, kind: Any, value: Any) -> Any:
    """A value as the setting's type has it."""
    origin = typing.get_origin(kind)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number and math.isfinite(value):
        return float(value)
    if kind is int and number and float(value).is_integer():
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(kind)[0]
        return tuple(_read_value(name, inner, item) for item in value)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    raise SettingsError(f"{_flag(name)}: {value!r} is not {words.get(kind, 'a list of numbers')}.")


def _flag(name: str) -> str:
    """A setting as the command line names it."""
    return "--" + name.replace("_", "-")
