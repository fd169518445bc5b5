"""Conformal prediction intervals: widths that hold as often as they say, and the check of it.

Split conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116), with errors
divided by the error expected of each case where that is known (Papadopoulos et al. 2008, normalised
nonconformity). Nothing is assumed of the shape of the errors; that new cases come from the same
source is.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError

__all__ = ["LEVELS", "SMALLEST_CALIBRATION", "conformal_widths", "coverage"]

LEVELS = tuple(round(0.5 + 0.01 * step, 2) for step in range(50))
"""Levels that a card is given widths for: 0.50, 0.51 to 0.99."""

SMALLEST_CALIBRATION = 20
"""With fewer errors there is no interval worth the name."""


def conformal_widths(
    errors_months: NDArray[np.floating],
    expected_months: NDArray[np.floating] | None = None,
    levels: Sequence[float] = LEVELS,
) -> tuple[tuple[float, float], ...]:
    """Half width of the interval for each level.

    Args:
        errors_months: Absolute errors on cases that the model did not learn from, shape (N,).
        expected_months: The errors that were expected of them, shape (N,), above 0; the widths are
            multiples of it then, otherwise months.
        levels: Wanted levels, ascending, above 0 and below 1.

    Returns:
        Pairs of level and half width, the levels that N cases cannot vouch for left out: with n
        cases a level up to n / (n + 1) is possible. Empty with fewer than 20 cases.

    Raises:
        SettingsError: Lengths differ, or a number is impossible.
    """
    errors = np.asarray(errors_months, float)
    if expected_months is not None:
        expected = np.asarray(expected_months, float)
        if expected.shape != errors.shape or not (expected > 0).all():
            raise SettingsError("Each error needs the error that was expected of it, above 0.")
        errors = errors / expected
    if not all(0 < level < 1 for level in levels):
        raise SettingsError("Levels must be above 0 and below 1.")
    if not np.isfinite(errors).all() or (errors < 0).any():
        raise SettingsError("Errors must be finite and 0 or more.")
    count = len(errors)
    if count < SMALLEST_CALIBRATION:
        return ()
    ordered = np.sort(errors)
    pairs = []
    for level in levels:
        # Guards against 0.9 * 1000 being a hair above 900.
        rank = max(1, math.ceil((count + 1) * level - 1e-9))
        if rank <= count:
            pairs.append((level, max(float(ordered[rank - 1]), 1e-3)))
    return tuple(pairs)


def coverage(
    true_months: NDArray[np.floating],
    lower_months: NDArray[np.floating],
    upper_months: NDArray[np.floating],
    sexes: Sequence[str],
) -> dict[str, float]:
    """Share of cases whose true bone age lies within its interval, whole and by group.

    Args:
        true_months: Shape (N,), N at least 3.
        lower_months: Lower ends, shape (N,).
        upper_months: Upper ends, shape (N,).
        sexes: ``female`` or ``male`` for each case.

    Returns:
        Shares under ``overall``, ``female``, ``male`` and the thirds of true bone age
        ``youngest_third``, ``middle_third`` and ``oldest_third``. Groups without a case are
        left out.
    """
    true = np.asarray(true_months, float)
    inside = (true >= lower_months) & (true <= upper_months)
    words = np.array([str(sex) for sex in sexes])
    first, second = np.quantile(true, [1 / 3, 2 / 3])
    groups = {
        "overall": np.ones(len(true), bool),
        "female": words == "female",
        "male": words == "male",
        "youngest_third": true <= first,
        "middle_third": (true > first) & (true <= second),
        "oldest_third": true > second,
    }
    return {name: float(inside[rows].mean()) for name, rows in groups.items() if rows.any()}
