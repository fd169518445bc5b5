"""The figures of an evaluation: how far predictions lie from the readers' bone age.

An error is predicted - true, in months. Every interval is a 95 % percentile bootstrap over cases
(see :mod:`boneage.evaluation.bootstrap`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from boneage.evaluation.agebands import AGE_BANDS_MONTHS
from boneage.evaluation.bootstrap import Interval, percentile_intervals, resample
from boneage.evaluation.cases import checked_ages, checked_sexes
from boneage.evaluation.screen import metrics_lines
from boneage.radiographs.radiograph import Sex

__all__ = ["GroupMetrics", "Metrics", "evaluate"]


@dataclass(frozen=True)
class GroupMetrics:
    """Figures of one group of cases: a sex, or a band of true bone age.

    Attributes:
        count: Number of cases; with 0 every other field is None.
        mae_months: Mean absolute error.
        mae_ci95_months: Its 95 % interval, or None below two cases.
        bias_months: Mean error; above 0 when predictions are too old.
        bias_ci95_months: Its 95 % interval, or None below two cases.
        within_12_months: Share of cases with an absolute error of at most 12 months, 0 to 1.
    """

    count: int
    mae_months: float | None
    mae_ci95_months: Interval | None
    bias_months: float | None
    bias_ci95_months: Interval | None
    within_12_months: float | None


@dataclass(frozen=True)
class Metrics:
    """The figures of one evaluation; :meth:`to_dict` is the content of ``metrics.json``.

    Attributes:
        count: Number of cases, 1 or more.
        mae_months: Mean absolute error.
        mae_ci95_months: Its 95 % interval, or None for a single case.
        rmse_months: Root mean squared error.
        rmse_ci95_months: Its 95 % interval, or None for a single case.
        r2: Coefficient of determination, 1 at best and below 0 where the mean of the true ages
            would do better; None where all true ages are the same.
        bias_months: Mean error; above 0 when predictions are too old.
        bias_ci95_months: Its 95 % interval, or None for a single case.
        median_absolute_error_months: Median of the absolute errors.
        within_6_months: Share of cases with an absolute error of at most 6 months, 0 to 1.
        within_12_months: The same for 12 months.
        within_24_months: The same for 24 months.
        by_sex: Figures for ``female`` and ``male``.
        by_age_band: Figures by true bone age; keys are the names in ``AGE_BANDS_MONTHS``.
    """

    count: int
    mae_months: float
    mae_ci95_months: Interval | None
    rmse_months: float
    rmse_ci95_months: Interval | None
    r2: float | None
    bias_months: float
    bias_ci95_months: Interval | None
    median_absolute_error_months: float
    within_6_months: float
    within_12_months: float
    within_24_months: float
    by_sex: Mapping[str, GroupMetrics]
    by_age_band: Mapping[str, GroupMetrics]

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as plain values for JSON: None where undefined, never NaN."""
        values: dict[str, Any] = _with_lists(asdict(self))
        return values

    def summary(self) -> str:
        """Give the figures as a few lines of plain text for the screen."""
        return "\n".join(metrics_lines(self.to_dict()))


def evaluate(
    true_months: ArrayLike,
    predicted_months: ArrayLike,
    sexes: Sequence[Sex | str],
    *,
    bootstrap: int = 2000,
    seed: int = 0,
) -> Metrics:
    """Compare predicted with true bone ages, over all cases, by sex and by age band.

    Args:
        true_months: The readers' bone ages in months, shape (n,), n at least 1.
        predicted_months: The predicted bone ages in months, shape (n,), same order.
        sexes: One sex a case, same order: ``Sex`` members or words.
        bootstrap: Number of resamples for the intervals, at least 1.
        seed: Seed of the resampling, 0 or more.

    Returns:
        The figures. They do not depend on the order of the cases.

    Raises:
        NoInputError: There is no case.
        InputError: Lengths differ, or a value is not a finite age or not a sex.
        SettingsError: ``bootstrap`` or ``seed`` is out of range.
    """
    true, predicted = checked_ages(true_months, predicted_months=predicted_months)
    case_sexes = np.array(checked_sexes(sexes, len(true)))
    errors = predicted - true
    absolute = np.abs(errors)
    mae_ci, rmse_ci, bias_ci = _intervals(errors, bootstrap=bootstrap, seed=seed)
    return Metrics(
        count=len(true),
        mae_months=float(absolute.mean()),
        mae_ci95_months=mae_ci,
        rmse_months=float(np.sqrt(np.square(errors).mean())),
        rmse_ci95_months=rmse_ci,
        r2=_r2(true, errors),
        bias_months=float(errors.mean()),
        bias_ci95_months=bias_ci,
        median_absolute_error_months=float(np.median(absolute)),
        within_6_months=_within(absolute, 6),
        within_12_months=_within(absolute, 12),
        within_24_months=_within(absolute, 24),
        by_sex={
            sex.value: _group(errors[case_sexes == sex], bootstrap=bootstrap, seed=seed)
            for sex in Sex
        },
        by_age_band={
            band.name: _group(errors[band.contains(true)], bootstrap=bootstrap, seed=seed)
            for band in AGE_BANDS_MONTHS
        },
    )


def _group(errors: NDArray[np.float64], *, bootstrap: int, seed: int) -> GroupMetrics:
    if len(errors) == 0:
        return GroupMetrics(0, None, None, None, None, None)
    absolute = np.abs(errors)
    mae_ci, _, bias_ci = _intervals(errors, bootstrap=bootstrap, seed=seed)
    return GroupMetrics(
        count=len(errors),
        mae_months=float(absolute.mean()),
        mae_ci95_months=mae_ci,
        bias_months=float(errors.mean()),
        bias_ci95_months=bias_ci,
        within_12_months=_within(absolute, 12),
    )


def _intervals(
    errors: NDArray[np.float64], *, bootstrap: int, seed: int
) -> tuple[Interval | None, Interval | None, Interval | None]:
    """Intervals of MAE, RMSE and bias; None where one case would feign an exact figure."""
    figures = resample(errors, _mae_rmse_bias, bootstrap=bootstrap, seed=seed)
    if len(errors) < 2:
        return None, None, None
    mae, rmse, bias = percentile_intervals(figures)
    return mae, rmse, bias


def _mae_rmse_bias(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """From errors, shape (b, n), to the three figures, shape (b, 3)."""
    mae = np.abs(errors).mean(axis=1)
    rmse = np.sqrt(np.square(errors).mean(axis=1))
    return np.stack([mae, rmse, errors.mean(axis=1)], axis=1)


def _within(absolute: NDArray[np.float64], months: float) -> float:
    return float(np.mean(absolute <= months))


def _r2(true: NDArray[np.float64], errors: NDArray[np.float64]) -> float | None:
    total = float(np.square(true - true.mean()).sum())
    if np.ptp(true) == 0 or total == 0:
        return None
    value = 1 - float(np.square(errors).sum()) / total
    return value if np.isfinite(value) else None


def _with_lists(value: Any) -> Any:
    """Turn tuples into lists, as they come back from JSON."""
    if isinstance(value, Mapping):
        return {key: _with_lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
