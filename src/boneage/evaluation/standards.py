"""How far answers are to be pulled to the standards that readers give, learned from both.

Readers compare a hand with the plates of an atlas (Greulich and Pyle), which stand at few ages:
sixteen numbers are four fifths of all readings of the RSNA training set, for girls as for boys. The
answer that has the smallest mean absolute error is the median of the readings that such answers
get, and that lies at or near a standard. So an answer between two standards is pulled to one of
them: ``docs/explanation/standards.md``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import SettingsError

__all__ = ["LARGEST_MONTHS", "learn_pulls"]

LARGEST_MONTHS = 240
"""Pulls are learned for answers of 0, 1, 2 to so many months."""

_WINDOW_MONTHS = 3.0
"""Standard deviation of the weights of the answers about each age; 2 to 4 differ by 0.02 months."""

_BLUR_MONTHS = 1.5
"""Standard deviation of the blur, which keeps the answer continuous (``docs/experiments.md``)."""

_FEWEST = 20.0
"""Where the weights of the answers about an age add up to less, nothing is learned of it."""

Values = NDArray[Any]


def learn_pulls(answered_months: Values, read_months: Values, sexes: Values) -> Values:
    """How far an answer is to be moved, by age and sex.

    Args:
        answered_months: Bone ages that a model answered on radiographs that it did not learn from,
            shape (N,).
        read_months: What readers said of them, shape (N,).
        sexes: 1 for male, 0 for female, shape (N,).

    Returns:
        Months to add to an answer of 0, 1, ... :data:`LARGEST_MONTHS` months: one row for girls and
        one for boys, float32, shape (2, 241). The answers keep their order. A sex with too few
        answers is not moved; ages with too few are moved like the nearest that have enough.

    Raises:
        SettingsError: Lengths differ, or a number is not finite.
    """
    answered, read = np.asarray(answered_months, float), np.asarray(read_months, float)
    if not len(answered) == len(read) == len(sexes):
        raise SettingsError("Each answer needs its reading and its sex.")
    if not (np.isfinite(answered).all() and np.isfinite(read).all()):
        raise SettingsError("Answers and readings must be finite.")
    rows = [np.asarray(sexes) == sex for sex in (0, 1)]
    return np.stack([_pulls(answered[of], read[of]) for of in rows]).astype(np.float32)


def _pulls(answered: Values, read: Values) -> Values:
    """The pulls of one sex."""
    ages = np.arange(LARGEST_MONTHS + 1)
    order = np.argsort(read, kind="stable")
    distance = (answered[order] - ages[:, None]) / _WINDOW_MONTHS
    weights = np.cumsum(np.exp(-0.5 * distance**2), axis=1)
    known = weights[:, -1] >= _FEWEST if len(read) else np.zeros(len(ages), bool)
    if not known.any():
        return np.zeros(len(ages))
    half = weights[known, -1:] / 2
    medians = read[order][(weights[known] < half).sum(axis=1)]
    # Nothing that looks younger is to come out older, whatever few readings say.
    medians = np.maximum.accumulate(medians)
    pulls = np.interp(ages, ages[known], medians - ages[known])
    reach = round(4 * _BLUR_MONTHS)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _BLUR_MONTHS) ** 2)
    return np.convolve(np.pad(pulls, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
