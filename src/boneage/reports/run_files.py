"""Reading the tables of a RUN folder back: what is there, typed and checked."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boneage.errors import InputError
from boneage.radiographs.radiograph import Sex

__all__ = [
    "LearningCurve",
    "Population",
    "Predictions",
    "count_discarded",
    "read_learning_curve",
    "read_population",
    "read_predictions",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """One value an epoch, arrays of shape (epochs,); NaN where a value was not measured.

    Attributes:
        epoch: Number of the epoch as it was written.
        train_loss: Loss on the training part.
        train_mae_months: MAE on the training part, in months.
        validation_mae_months: MAE on the validation part, in months.
        learning_rate: Learning rate.
        seconds: Time that the epoch took.
    """

    epoch: Floats
    train_loss: Floats
    train_mae_months: Floats
    validation_mae_months: Floats
    learning_rate: Floats
    seconds: Floats


@dataclass(frozen=True, eq=False)
class Predictions:
    """Evaluated cases.

    Attributes:
        ids: One id a case.
        sexes: One sex a case.
        true_months: The readers' bone ages, shape (n,).
        predicted_months: The predicted bone ages, shape (n,).
    """

    ids: tuple[str, ...]
    sexes: tuple[Sex, ...]
    true_months: Floats
    predicted_months: Floats

    def of(self, sex: Sex) -> NDArray[np.bool_]:
        """Say which cases are of a sex."""
        return np.array([case is sex for case in self.sexes])


@dataclass(frozen=True, eq=False)
class Population:
    """The cases of a run by part.

    Attributes:
        sexes: One sex a case.
        bone_ages_months: The readers' bone ages, shape (n,).
        parts: One part a case: ``train``, ``validation`` or ``test``.
    """

    sexes: tuple[Sex, ...]
    bone_ages_months: Floats
    parts: tuple[str, ...]


def read_learning_curve(path: Path) -> LearningCurve | None:
    """Read ``metrics.csv``.

    A last line that a stopped run left half written is passed over. Where an epoch stands twice,
    as after a resumed run, the later line counts.

    Returns:
        The curve, or None if the file is missing or has no row yet.

    Raises:
        InputError: The file is damaged.
    """
    names = ("epoch", "train_loss", "train_mae_months", "validation_mae_months",
             "learning_rate", "seconds")  # fmt: skip
    rows = _read_rows(path, names, drop_half_line=True)
    by_epoch = {row.number("epoch"): row for row in rows}
    if not by_epoch:
        return None
    columns = {
        name: np.array([row.number(name, missing=math.nan) for row in by_epoch.values()])
        for name in names[1:]
    }
    epoch = np.array(list(by_epoch))
    order = np.argsort(epoch)
    return LearningCurve(epoch[order], **{name: values[order] for name, values in columns.items()})


def read_predictions(path: Path) -> Predictions | None:
    """Read ``predictions.csv``.

    Returns:
        The cases, or None if the file is missing or has no row yet.

    Raises:
        InputError: The file is damaged.
    """
    rows = _read_rows(path, ("id", "sex", "true_months", "predicted_months"))
    if not rows:
        return None
    return Predictions(
        ids=tuple(row.text("id") for row in rows),
        sexes=tuple(row.sex() for row in rows),
        true_months=np.array([row.number("true_months") for row in rows]),
        predicted_months=np.array([row.number("predicted_months") for row in rows]),
    )


def read_population(path: Path) -> Population | None:
    """Read ``data.csv``.

    Returns:
        The cases, or None if the file is missing or has no row yet.

    Raises:
        InputError: The file is damaged.
    """
    rows = _read_rows(path, ("id", "sex", "bone_age_months", "part"))
    if not rows:
        return None
    return Population(
        sexes=tuple(row.sex() for row in rows),
        bone_ages_months=np.array([row.number("bone_age_months") for row in rows]),
        parts=tuple(row.text("part") for row in rows),
    )


def count_discarded(path: Path) -> dict[str, int]:
    """Count the reasons in ``discarded.csv``, the most frequent first; empty without any.

    Raises:
        InputError: The file is damaged.
    """
    reasons = Counter(row.text("reason") for row in _read_rows(path, ("id", "reason")))
    return dict(reasons.most_common())


@dataclass(frozen=True)
class _Row:
    path: Path
    line: int
    cells: dict[str, str]

    def text(self, name: str) -> str:
        if not self.cells[name]:
            raise self.damage(f"{name} is empty")
        return self.cells[name]

    def number(self, name: str, *, missing: float | None = None) -> float:
        cell = self.cells[name]
        try:
            value = float(cell) if cell or missing is None else missing
        except ValueError:
            raise self.damage(f"{name} is {cell!r}, not a number") from None
        if math.isfinite(value):
            return value
        if missing is None:
            raise self.damage(f"{name} is {cell!r}, not a finite number")
        return missing

    def sex(self) -> Sex:
        try:
            return Sex.parse(self.cells["sex"])
        except InputError as error:
            raise self.damage(str(error).rstrip(".")) from None

    def damage(self, what: str) -> InputError:
        return _damage(self.path, f"line {self.line}: {what}")


def _read_rows(path: Path, names: Sequence[str], *, drop_half_line: bool = False) -> list[_Row]:
    """Read the named columns of a CSV file; no rows if the file is missing or empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.reader(text.splitlines(), strict=True))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _damage(path, str(error)) from error
    if drop_half_line and lines and not text.endswith("\n") and len(lines[-1]) < len(lines[0]):
        lines.pop()
    if not lines:
        return []
    header = [cell.strip() for cell in lines[0]]
    absent = [name for name in names if name not in header]
    if absent:
        raise _damage(path, f"the column {absent[0]} is missing")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise _damage(path, f"line {number} has {len(cells)} cells instead of {len(header)}")
        values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        rows.append(_Row(path, number, values))
    return rows


def _damage(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} is damaged: {what}. Restore it from a copy, or make the run again (--overwrite)."
    )
