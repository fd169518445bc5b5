"""Limits of agreement between predicted and true bone age.

Bland and Altman, Statistical methods for assessing agreement between two methods of clinical
measurement, Lancet 1986;327:307-310; Measuring agreement in method comparison studies, Stat
Methods Med Res 1999;8:135-160. The limits are bias ± 1.96 standard deviations of the differences.
Their intervals are bootstrapped, since the published formula (1986, p. 309) takes the differences
for normal, which errors of bone age are not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from boneage.errors import InputError
from boneage.evaluation.bootstrap import Interval, percentile_intervals, resample
from boneage.evaluation.cases import checked_ages

__all__ = ["Agreement", "limits_of_agreement"]

# Bland and Altman 1999, section 2: 95 % of a normal distribution.
_Z = 1.96


@dataclass(frozen=True)
class Agreement:
    """Bias and 95 % limits of agreement, in months; differences are predicted - true.

    Attributes:
        count: Number of cases, 2 or more.
        bias_months: Mean difference.
        bias_ci95_months: Its 95 % interval.
        sd_months: Standard deviation of the differences (n - 1 in the denominator).
        lower_limit_months: bias - 1.96 sd.
        lower_limit_ci95_months: Its 95 % interval.
        upper_limit_months: bias + 1.96 sd.
        upper_limit_ci95_months: Its 95 % interval.
    """

    count: int
    bias_months: float
    bias_ci95_months: Interval
    sd_months: float
    lower_limit_months: float
    lower_limit_ci95_months: Interval
    upper_limit_months: float
    upper_limit_ci95_months: Interval


def limits_of_agreement(
    true_months: ArrayLike, predicted_months: ArrayLike, *, bootstrap: int = 2000, seed: int = 0
) -> Agreement:
    """Compute bias and 95 % limits of agreement with bootstrap intervals.

    Args:
        true_months: The readers' bone ages in months, shape (n,), n at least 2.
        predicted_months: The predicted bone ages in months, shape (n,).
        bootstrap: Number of resamples, at least 1.
        seed: Seed of the resampling, 0 or more.

    Returns:
        The bias and the limits.

    Raises:
        InputError: The arrays do not fit together, or there are fewer than two cases.
        SettingsError: ``bootstrap`` or ``seed`` is out of range.
    """
    true, predicted = checked_ages(true_months, predicted_months=predicted_months)
    if len(true) < 2:
        raise InputError("Limits of agreement need two cases or more: there is only one.")
    differences = predicted - true
    bias, lower, upper = (float(value) for value in _bias_and_limits(differences[np.newaxis])[0])
    figures = resample(differences, _bias_and_limits, bootstrap=bootstrap, seed=seed)
    bias_ci, lower_ci, upper_ci = percentile_intervals(figures)
    return Agreement(
        count=len(true),
        bias_months=bias,
        bias_ci95_months=bias_ci,
        sd_months=float(np.std(differences, ddof=1)),
        lower_limit_months=lower,
        lower_limit_ci95_months=lower_ci,
        upper_limit_months=upper,
        upper_limit_ci95_months=upper_ci,
    )


def _bias_and_limits(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """From differences, shape (b, n), to bias, lower and upper limit, shape (b, 3)."""
    bias = differences.mean(axis=1)
    spread = _Z * differences.std(axis=1, ddof=1)
    return np.stack([bias, bias - spread, bias + spread], axis=1)
