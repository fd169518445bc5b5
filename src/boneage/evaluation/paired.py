"""Which of two models is better on the same cases, and whether that is more than chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from boneage.evaluation.bootstrap import Interval, percentile_intervals, resample
from boneage.evaluation.cases import checked_ages

__all__ = ["PairedDifference", "paired_difference"]


@dataclass(frozen=True)
class PairedDifference:
    """MAE of model A minus MAE of model B on the same cases; below 0 when A is better.

    Attributes:
        count: Number of cases.
        mae_a_months: Mean absolute error of A.
        mae_b_months: Mean absolute error of B.
        difference_months: ``mae_a_months - mae_b_months``.
        difference_ci95_months: Its 95 % bootstrap interval, or None for a single case.
    """

    count: int
    mae_a_months: float
    mae_b_months: float
    difference_months: float
    difference_ci95_months: Interval | None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0, so that the sign of the difference is settled."""
        interval = self.difference_ci95_months
        return interval is not None and not interval[0] <= 0 <= interval[1]

    def summary(self) -> str:
        """Give the difference in one line."""
        interval = ""
        if self.difference_ci95_months is not None:
            low, high = self.difference_ci95_months
            interval = f" (95 % interval {low:+.2f} to {high:+.2f})"
        return (
            f"MAE {self.mae_a_months:.2f} - {self.mae_b_months:.2f} = "
            f"{self.difference_months:+.2f} months{interval}, n = {self.count:,}"
        )


def paired_difference(
    true_months: ArrayLike,
    predicted_a_months: ArrayLike,
    predicted_b_months: ArrayLike,
    *,
    bootstrap: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Compare the MAE of two models case by case.

    The cases are resampled with both their predictions, so what makes a radiograph hard for both
    models cancels out: the interval is much narrower than those of the two MAEs suggest.

    Args:
        true_months: The readers' bone ages in months, shape (n,).
        predicted_a_months: Predictions of model A in months, shape (n,), same order.
        predicted_b_months: Predictions of model B in months, shape (n,), same order.
        bootstrap: Number of resamples, at least 1.
        seed: Seed of the resampling, 0 or more.

    Returns:
        The difference and its interval.

    Raises:
        NoInputError: There is no case.
        InputError: The arrays do not fit together or hold something other than finite ages.
        SettingsError: ``bootstrap`` or ``seed`` is out of range.
    """
    true, predicted_a, predicted_b = checked_ages(
        true_months, predicted_a_months=predicted_a_months, predicted_b_months=predicted_b_months
    )
    error_a, error_b = np.abs(predicted_a - true), np.abs(predicted_b - true)
    figures = resample(error_a - error_b, _means, bootstrap=bootstrap, seed=seed)
    return PairedDifference(
        count=len(true),
        mae_a_months=float(error_a.mean()),
        mae_b_months=float(error_b.mean()),
        difference_months=float((error_a - error_b).mean()),
        difference_ci95_months=percentile_intervals(figures)[0] if len(true) > 1 else None,
    )


def _means(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([differences.mean(axis=1)], axis=1)
