import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from boneage.errors import SettingsError
from boneage.evaluation.conformal import LEVELS, SMALLEST_CALIBRATION, conformal_widths, coverage

months = st.floats(0.01, 60)
errors = st.lists(st.floats(0.01, 60), min_size=SMALLEST_CALIBRATION, max_size=150)


@given(errors)
def test_the_width_is_the_error_of_the_rank_that_the_theorem_asks_for(values: list[float]) -> None:
    found = dict(conformal_widths(np.array(values)))
    for level in LEVELS:
        # In whole numbers: level is a decimal fraction, and a float of it is not quite that.
        rank = math.ceil((len(values) + 1) * Fraction(str(level)))
        assert (level in found) == (rank <= len(values))
        if level in found:
            assert sum(error <= found[level] for error in values) >= rank
            assert sum(error < found[level] for error in values) < rank
            assert found[level] in values


@given(errors, st.floats(0.5, 20))
def test_widths_grow_with_the_level_and_with_the_errors(values: list[float], factor: float) -> None:
    pairs = conformal_widths(np.array(values))
    levels, widths = zip(*pairs, strict=True)
    assert list(levels) == sorted(set(levels))
    assert list(widths) == sorted(widths)
    scaled = [width for _, width in conformal_widths(np.array(values) * factor)]
    assert scaled == pytest.approx([width * factor for width in widths])


@given(st.lists(st.tuples(months, months), min_size=SMALLEST_CALIBRATION, max_size=60))
def test_expected_errors_divide_the_errors(cases: list[tuple[float, float]]) -> None:
    made, expected = np.array(cases).T
    assert conformal_widths(made, expected) == conformal_widths(made / expected)
    assert conformal_widths(made, np.ones(len(made))) == conformal_widths(made)


def draw(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Absolute errors, and the expected ones: half of the cases are three times as hard."""
    hardness = rng.choice([3.0, 9.0], count)
    return np.abs(rng.standard_t(4, count)) * hardness, hardness


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("count", "level"), [(20, 0.9), (57, 0.8), (99, 0.5)])
def test_a_new_case_is_inside_as_often_as_the_level_says(
    scaled: bool, count: int, level: float
) -> None:
    rng = np.random.default_rng(count)
    trials, inside = 3000, 0
    for _ in range(trials):
        made, expected = draw(rng, count + 1)  # the last one is the new case
        scale = expected if scaled else np.ones(count + 1)
        ((_, width),) = conformal_widths(
            made[:-1], expected[:-1] if scaled else None, levels=(level,)
        )
        inside += made[-1] <= width * scale[-1]
    # Exchangeable cases: exactly rank / (n + 1), in every trial anew.
    share = math.ceil((count + 1) * Fraction(str(level))) / (count + 1)
    low, high = stats.binom.interval(0.9999, trials, share)
    assert low <= inside <= high
    assert share >= level


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("count", [20, 57, 200, 1234])
def test_crepes_finds_the_same_widths(scaled: bool, count: int) -> None:
    from crepes import ConformalRegressor

    made, expected = draw(np.random.default_rng(count), count)
    regressor = ConformalRegressor()
    regressor.fit(residuals=made, sigmas=expected if scaled else None)
    # Not levels at which (n + 1) * level is whole, and floats decide on which side it lies.
    levels = [level for level in LEVELS if (count + 1) * Fraction(str(level)) % 1 != 0]
    found = dict(conformal_widths(made, expected if scaled else None, levels))
    assert len(found) >= 40
    for level, width in found.items():
        ends = regressor.predict_int(
            np.array([100.0]), sigmas=np.array([2.0]) if scaled else None, confidence=level
        )
        assert (ends[0, 1] - ends[0, 0]) / 2 == pytest.approx(width * (2 if scaled else 1))


def test_a_level_that_is_whole_in_ranks_takes_that_rank() -> None:
    errors_months = np.arange(1.0, 1000.0)  # n + 1 is 1000: the rank of 0.9 is 900, not 901
    assert dict(conformal_widths(errors_months))[0.9] == 900


def test_few_cases_give_few_levels_or_none() -> None:
    assert conformal_widths(np.arange(19.0)) == ()
    levels = [level for level, _ in conformal_widths(np.arange(20.0))]
    assert levels[-1] == 0.95  # 20 / 21
    assert levels[0] == 0.5


def test_no_width_is_nothing() -> None:
    assert all(width > 0 for _, width in conformal_widths(np.zeros(50)))


@pytest.mark.parametrize(
    ("made", "expected", "levels"),
    [
        (np.full(30, np.nan), None, LEVELS),
        (np.full(30, -1.0), None, LEVELS),
        (np.full(30, np.inf), None, LEVELS),
        (np.ones(30), np.ones(29), LEVELS),
        (np.ones(30), np.zeros(30), LEVELS),
        (np.ones(30), np.full(30, np.nan), LEVELS),
        (np.ones(30), None, (0.0,)),
        (np.ones(30), None, (0.5, 1.0)),
    ],
)
def test_impossible_numbers_are_refused(
    made: NDArray[np.float64], expected: NDArray[np.float64] | None, levels: tuple[float, ...]
) -> None:
    with pytest.raises(SettingsError):
        conformal_widths(made, expected, levels)


def test_coverage_counts_by_group() -> None:
    true = np.array([10.0, 20, 30, 40, 50, 60])
    half = np.array([1.0, 5, 5, 0, 5, 5])
    middle = true + np.array([2.0, 5, -5, 0, 6, 1])  # outside, at an end twice, on it, outside, in
    sexes = ["female", "female", "male", "male", "male", "female"]
    assert coverage(true, middle - half, middle + half, sexes) == {
        "overall": pytest.approx(4 / 6),
        "female": pytest.approx(2 / 3),
        "male": pytest.approx(2 / 3),
        "youngest_third": 0.5,
        "middle_third": 1.0,
        "oldest_third": 0.5,
    }


def test_coverage_leaves_groups_without_a_case_out() -> None:
    found = coverage(np.arange(6.0), np.zeros(6), np.full(6, 9.0), ["male"] * 6)
    assert set(found) == {"overall", "male", "youngest_third", "middle_third", "oldest_third"}
    assert set(found.values()) == {1.0}
