"""The space of a search: which settings are tried, over which values."""

import itertools
import math
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from boneage.errors import SettingsError
from boneage.network.build import build_network
from boneage.network.settings import NetworkSettings
from boneage.training.augmentation import AugmentationSettings
from boneage.training.search.ranges import Choice, Range, read_axis
from boneage.training.settings import TrainingSettings

__all__ = ["HYPERMODEL_LISTS", "Space", "combine_spaces", "read_space"]

HYPERMODEL_LISTS: Mapping[str, Sequence[float]] = {
    "conv_layers": (3, 4, 5),
    "conv_filters": (8, 16, 32),
    "dense_depth": (1, 2, 3),
    "dropout": (0.1, 0.2, 0.3),
}
"""What is searched where nothing else is said: the four hyperparameters of the hypermodel."""

LARGEST_CHECK = 100_000
_TABLES = {"network": NetworkSettings, "augmentation": AugmentationSettings}
_NOT_SEARCHED = {
    "size_px": "the data is prepared at one size; search at each size by itself",
    "validation_fraction": "trials are compared on the same validation part",
    "seed": "trials are compared on the same validation part, and a lucky seed is no setting",
    "device": "it changes nothing that is learned",
    "threads": "it changes nothing that is learned",
    "zooms": "training does not use it",
}


@dataclass(frozen=True)
class Space:
    """Settings by name, each with the values that it may take.

    Attributes:
        axes: A list of values or a range for each setting, sorted by name.
    """

    axes: Mapping[str, Choice | Range]

    def __post_init__(self) -> None:
        if not self.axes:
            raise SettingsError("There is nothing to search: give at least one setting.")
        object.__setattr__(self, "axes", dict(sorted(self.axes.items())))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Space":
        """Read a space as a space file or ``config.json`` has it.

        Args:
            values: For each setting a list of values, or a range ``{"low": ..., "high": ...}``
                with ``"log": true`` or ``"step": ...`` if wanted. Settings of the network and of
                the augmentation may stand in dictionaries of that name.

        Raises:
            SettingsError: A setting is unknown or cannot be searched, or its values are not of
                its kind.
        """
        axes: dict[str, Choice | Range] = {}
        for name, value in values.items():
            record = _TABLES.get(name)
            inner = value if record and isinstance(value, Mapping) else {name: value}
            known = typing.get_type_hints(record) if record else _settings()
            for setting, given in inner.items():
                if setting not in known:
                    where = f"[{name}]" if record else "the training settings"
                    raise SettingsError(f"There is no setting {setting!r} among {where}.")
                if setting in _NOT_SEARCHED:
                    raise SettingsError(f"{setting} cannot be searched: {_NOT_SEARCHED[setting]}.")
                axes[setting] = read_axis(setting, known[setting], given)
        return cls(axes)

    def to_dict(self) -> dict[str, Any]:
        """The space as JSON-ready values."""
        return {name: axis.to_json() for name, axis in self.axes.items()}

    @property
    def size(self) -> int | None:
        """Number of combinations; None where a range is continuous."""
        counts = [axis.size for axis in self.axes.values()]
        return None if None in counts else math.prod(count for count in counts if count)

    def trials_for(self, *, trials: int | None, fraction: float | None) -> int | None:
        """How many trials are asked for; None where neither says so.

        Args:
            trials: Number of trials, 1 or more.
            fraction: Share of all combinations, above 0 to 1; rounded up.

        Raises:
            SettingsError: Both are given, one is out of its range, or the space has no number of
                combinations.
        """
        if trials is not None and fraction is not None:
            raise SettingsError("--trials and --fraction contradict each other: give one of them.")
        size = self.size
        if trials is not None:
            if trials < 1 or (size is not None and trials > size):
                high = "" if size is None else f" to {size}, the combinations of the space"
                raise SettingsError(
                    f"--trials must be within 1{high or ' and more'}, not {trials}."
                )
            return trials
        if fraction is None:
            return None
        if not 0 < fraction <= 1:
            raise SettingsError(f"--fraction must be above 0 and at most 1, not {fraction}.")
        if size is None:
            names = ", ".join(name for name, axis in self.axes.items() if axis.size is None)
            raise SettingsError(
                f"--fraction needs a space with a number of combinations, and {names} can take any "
                "value of a range: give --trials, or a step."
            )
        # Not 13 of 120 trials where floats make 0.1 * 120 a little more than 12.
        return math.ceil(round(fraction * size, 9))

    def distributions(self) -> dict[str, BaseDistribution]:
        """The space in Optuna's words."""
        return {name: _distribution(axis) for name, axis in self.axes.items()}

    def settings_at(self, base: TrainingSettings, params: Mapping[str, Any]) -> TrainingSettings:
        """The settings of one trial.

        Args:
            base: Settings that are not searched.
            params: A value for each setting, as Optuna keeps them.

        Raises:
            SettingsError: A value is out of its range.
        """
        return base.updated(**self.values_of(params))

    def values_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What Optuna keeps as the settings' own values: lists, not their text."""
        return {
            name: axis.decode(params[name]) for name, axis in self.axes.items() if name in params
        }

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Every combination of a finite space, as Optuna keeps them."""
        return self._products({name: axis.all() for name, axis in self.axes.items()})

    def check(self, base: TrainingSettings) -> None:
        """Make sure that every combination can be trained; ranges are checked at their ends.

        Raises:
            SettingsError: A value is out of its range, or does not go with another one.
        """
        ends = {name: axis.ends() for name, axis in self.axes.items()}
        if math.prod(len(values) for values in ends.values()) > LARGEST_CHECK:
            raise SettingsError(
                f"The lists of the space make more than {LARGEST_CHECK:,} combinations. Give "
                "ranges instead of long lists, or fewer settings."
            )
        seen: set[NetworkSettings] = set()
        for combination in self._products(ends):
            settings = self.settings_at(base, combination)
            if settings.network not in seen:
                seen.add(settings.network)
                with torch.device("meta"):  # shapes only: no memory, no time
                    build_network(settings.network, size_px=settings.size_px)

    def _products(self, values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
        for combination in itertools.product(*values.values()):
            yield dict(zip(values, combination, strict=True))


def read_space(path: Path) -> dict[str, Any]:
    """Read a space file.

    Args:
        path: TOML: a setting a line, ``batch_size = [16, 32]`` or
            ``learning_rate = {low = 1e-4, high = 1e-2, log = true}``; those of the network under
            ``[network]``, those of the augmentation under ``[augmentation]``.

    Returns:
        What :meth:`Space.from_dict` takes, checked.

    Raises:
        SettingsError: It cannot be read, or names what cannot be searched.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"--space {path} cannot be read as TOML: {error}.") from error
    try:
        return Space.from_dict(values).to_dict()
    except SettingsError as error:
        raise SettingsError(f"--space {path}: {error}") from error


def combine_spaces(
    base: TrainingSettings, values: Mapping[str, Any], lists: Mapping[str, Any]
) -> Space:
    """The hypermodel's lists, what a space file adds, and what the command line says of either.

    Args:
        base: Settings that are not searched; only a hypermodel has lists of its own.
        values: What :func:`read_space` gave.
        lists: Values by setting, before which nothing goes; None stands for not given.

    Raises:
        SettingsError: The space cannot be searched, or there is none.
    """
    searched: dict[str, Any] = {}
    if base.network.architecture == "hypermodel":
        searched |= HYPERMODEL_LISTS
    searched |= {**values, **{name: item for name, item in lists.items() if item is not None}}
    if not searched:
        raise SettingsError(
            f"What to search of a network of the architecture {base.network.architecture}? Give a "
            "--space file, or --architecture hypermodel, which has lists of its own."
        )
    return Space.from_dict(searched)


def _settings() -> dict[str, Any]:
    """The type of every setting, by name."""
    hints = typing.get_type_hints(TrainingSettings)
    own = {name: hint for name, hint in hints.items() if name not in _TABLES}
    for record in _TABLES.values():
        own |= typing.get_type_hints(record)
    return own


def _distribution(axis: Choice | Range) -> BaseDistribution:
    if isinstance(axis, Choice):
        return CategoricalDistribution(axis.all())
    # Optuna wants the last value that a step leads to.
    high = axis.high if axis.step is None else axis.all()[-1]
    if axis.whole:
        step = 1 if axis.step is None else int(axis.step)
        return IntDistribution(int(axis.low), int(high), log=axis.log, step=step)
    return FloatDistribution(axis.low, high, log=axis.log, step=axis.step)
