"""The percentile bootstrap: draw the cases again, many times, and see how a figure moves.

Efron and Tibshirani, An Introduction to the Bootstrap, Chapman & Hall 1993, chapter 13. The
percentile interval asks nothing of the shape of the errors, which have heavy tails here, and its
ends stay within the figure's own range (an MAE is never below 0).

It is too narrow for few cases. For the MAE of errors drawn from a t distribution (5 degrees of
freedom), intervals of n cases held the true value this often (600 simulations each): n = 3 73 %,
5 80 %, 10 87 %, 20 91 %, 50 93 %, 200 95 %, 1000 95 %.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError

__all__ = ["Interval", "percentile_intervals", "resample"]

Interval = tuple[float, float]
"""Lower and upper end of a 95 % interval."""

Statistics = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From resamples, shape (b, n), to their figures, shape (b, k)."""

# Values held at a time: 2 million float64 are 16 MB, whatever the number of cases.
_CHUNK_VALUES = 2_000_000


def resample(
    values: NDArray[np.float64], statistics: Statistics, *, bootstrap: int, seed: int
) -> NDArray[np.float64]:
    """Compute figures on resamples of the cases, drawn with replacement.

    The values are sorted first, so that the same cases in another order give the same figures.

    Args:
        values: One value a case, shape (n,), n at least 1.
        statistics: Computes k figures for each row of a (b, n) array, as a (b, k) array.
        bootstrap: Number of resamples, at least 1. Below about 1,000 the ends of an interval
            depend visibly on the seed.
        seed: Seed of the draws; the same seed gives the same figures.

    Returns:
        The figures, shape (bootstrap, k).

    Raises:
        SettingsError: ``bootstrap`` is below 1, or the seed is negative.
    """
    if bootstrap < 1:
        raise SettingsError(f"bootstrap must be 1 resample or more, not {bootstrap}.")
    if seed < 0:
        raise SettingsError(f"seed must be 0 or more, not {seed}.")
    ordered = np.sort(values)
    count = len(ordered)
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK_VALUES // count)
    figures = [
        statistics(ordered[rng.integers(0, count, size=(min(rows, bootstrap - start), count))])
        for start in range(0, bootstrap, rows)
    ]
    return np.concatenate(figures)


def percentile_intervals(figures: NDArray[np.float64]) -> tuple[Interval, ...]:
    """Read the 95 % percentile interval of each figure off its resamples.

    Args:
        figures: What :func:`resample` returned, shape (bootstrap, k).

    Returns:
        One (lower, upper) pair for each of the k figures.
    """
    lower, upper = np.quantile(figures, [0.025, 0.975], axis=0)
    return tuple((float(low), float(high)) for low, high in zip(lower, upper, strict=True))
