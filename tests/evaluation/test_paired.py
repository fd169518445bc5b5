import numpy as np
import pytest
from scipy import stats

from boneage.errors import InputError, NoInputError, SettingsError
from boneage.evaluation import paired_difference


def hard_and_easy(count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    true = rng.uniform(0, 228, count)
    shared = rng.normal(0, 12, count)  # what is hard for both models
    return true, true + shared + rng.normal(0, 2, count), true + 1.1 * shared


def test_difference_of_the_two_maes() -> None:
    true, a, b = hard_and_easy()
    paired = paired_difference(true, a, b)
    assert paired.mae_a_months == pytest.approx(np.abs(a - true).mean())
    assert paired.mae_b_months == pytest.approx(np.abs(b - true).mean())
    assert paired.difference_months == pytest.approx(paired.mae_a_months - paired.mae_b_months)
    assert f"n = {len(true)}" in paired.summary()


def test_interval_agrees_with_scipy() -> None:
    true, a, b = hard_and_easy()
    paired = paired_difference(true, a, b, bootstrap=8000)
    reference = stats.bootstrap(
        (np.abs(a - true) - np.abs(b - true),), np.mean, n_resamples=8000, method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    assert paired.difference_ci95_months == pytest.approx(
        tuple(reference), abs=0.06 * (reference.high - reference.low)
    )


def test_swapping_the_models_turns_the_sign() -> None:
    true, a, b = hard_and_easy()
    one, other = paired_difference(true, a, b), paired_difference(true, b, a)
    assert one.difference_months == pytest.approx(-other.difference_months)
    assert one.clear
    assert other.clear


def test_equal_models_are_not_clearly_different() -> None:
    true, a, _ = hard_and_easy()
    paired = paired_difference(true, a, a)
    assert paired.difference_ci95_months == (0, 0)
    assert not paired.clear


def test_one_case_has_no_interval() -> None:
    paired = paired_difference([10], [12], [15])
    assert paired.difference_months == -3
    assert paired.difference_ci95_months is None
    assert not paired.clear
    assert "interval" not in paired.summary()


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="predicted_b_months has 1 values"):
        paired_difference([1, 2], [1, 2], [1])
    with pytest.raises(InputError, match="predicted_a_months holds nan"):
        paired_difference([1, 2], [1, np.nan], [1, 2])
    with pytest.raises(NoInputError):
        paired_difference([], [], [])
    with pytest.raises(SettingsError, match="bootstrap"):
        paired_difference([1, 2], [1, 2], [1, 2], bootstrap=0)
