"""Checks on the ages that are to be compared."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from boneage.errors import InputError, NoInputError
from boneage.radiographs.radiograph import Sex

__all__ = ["checked_ages", "checked_sexes"]

# Squares of anything that a float32 network can put out still fit into float64.
_LARGEST = float(np.finfo(np.float32).max)


def checked_ages(
    true_months: ArrayLike, **predicted_months: ArrayLike
) -> tuple[NDArray[np.float64], ...]:
    """Turn ages into float64 arrays of one length, or say what is wrong with which.

    Args:
        true_months: The readers' bone ages in months, shape (n,), n at least 1, 0 or more.
        **predicted_months: Further arrays of the same shape, by the name to use in a message.

    Returns:
        The arrays, ``true_months`` first.

    Raises:
        NoInputError: There is no case.
        InputError: The arrays differ in length, are not one-dimensional numbers, or hold a
            value that is not finite or a negative true age.
    """
    true = _numbers("true_months", true_months)
    if len(true) == 0:
        raise NoInputError("There is no case to evaluate: true_months is empty.")
    if np.any(true < 0):
        case = int(np.argmax(true < 0))
        raise InputError(
            f"true_months holds {true[case]:g} at position {case}: a bone age is 0 months or more. "
            "Correct the label."
        )
    arrays = [true]
    for name, values in predicted_months.items():
        array = _numbers(name, values)
        if len(array) != len(true):
            raise InputError(
                f"{name} has {len(array)} values but true_months has {len(true)}: "
                "give one of each for every case."
            )
        arrays.append(array)
    return tuple(arrays)


def checked_sexes(sexes: Sequence[Sex | str], count: int) -> tuple[Sex, ...]:
    """Read one sex a case.

    Args:
        sexes: ``Sex`` members or words for them.
        count: Number of cases.

    Returns:
        The sexes.

    Raises:
        InputError: There are more or fewer than ``count``, or a word is not understood.
    """
    if len(sexes) != count:
        raise InputError(
            f"sexes has {len(sexes)} values but true_months has {count}: "
            "give one of each for every case."
        )
    return tuple(Sex.parse(sex) for sex in sexes)


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers (months): {error}.") from error
    if array.ndim != 1:
        raise InputError(f"{name} must have one value a case, not the shape {array.shape}.")
    wrong = ~(np.abs(array) <= _LARGEST)
    if np.any(wrong):
        case = int(np.argmax(wrong))
        raise InputError(
            f"{name} holds {array[case]:g} at position {case} ({int(wrong.sum())} such in all): "
            "every age must be a finite number of months. Leave such cases out, and say so."
        )
    return array
