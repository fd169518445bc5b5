"""Answers are pulled to the standards that readers give."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from boneage.errors import SettingsError
from boneage.evaluation.standards import LARGEST_MONTHS, learn_pulls
from boneage.network.standards import Standards

Values = NDArray[np.float64]


def read_by_plates(rng: np.random.Generator, count: int) -> tuple[Values, Values, Values]:
    """Answers, readings and sexes: readers name the nearest plate, of twelve months for girls."""
    sexes = rng.integers(0, 2, count).astype(float)
    ages = rng.uniform(60, 180, count)
    plates = np.where(sexes == 1, 18.0, 12.0)
    readings = np.round((ages + rng.normal(0, 2, count)) / plates) * plates
    return ages + rng.normal(0, 2, count), readings, sexes


def pulled(answers: Values, sexes: Values, pulls: NDArray[np.float32]) -> Values:
    pull = Standards(torch.from_numpy(pulls))
    return pull(torch.from_numpy(answers), torch.from_numpy(sexes)).numpy()


def mae(answers: Values, readings: Values) -> float:
    return float(np.abs(answers - readings).mean())


def test_new_answers_come_nearer_to_the_readings() -> None:
    rng = np.random.default_rng(1)
    pulls = learn_pulls(*read_by_plates(rng, 4000))
    answers, readings, sexes = read_by_plates(rng, 2000)
    for sex in (0, 1):
        of = sexes == sex
        moved = pulled(answers[of], sexes[of], pulls)
        assert mae(moved, readings[of]) < 0.8 * mae(answers[of], readings[of])
    assert mae(pulled(answers, 1 - sexes, pulls), readings) > mae(answers, readings)


def test_an_answer_is_pulled_to_the_nearer_plate() -> None:
    pulls = learn_pulls(*read_by_plates(np.random.default_rng(2), 20_000))
    girls = pulls[0]
    assert np.abs(girls[[84, 96, 108, 120, 132]]).max() < 1
    assert np.abs(girls[[90, 102, 114, 126]]).max() < 2
    assert girls[[93, 105, 117]].min() > 2
    assert girls[[87, 99, 111]].max() < -2


def test_readings_of_any_age_pull_nowhere() -> None:
    rng = np.random.default_rng(3)
    answers = rng.uniform(60, 180, 40_000)
    readings = answers + rng.laplace(0, 5, len(answers))
    pulls = learn_pulls(answers, readings, rng.integers(0, 2, len(answers)))
    assert np.abs(pulls[:, 75:165]).max() < 1.5


@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_the_order_of_answers_is_kept(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    answers, readings = rng.uniform(0, 240, (2, count))
    readings = np.round(readings / 12) * 12
    pulls = learn_pulls(answers, readings, rng.integers(0, 2, count))
    assert pulls.shape == (2, LARGEST_MONTHS + 1)
    asked = np.linspace(-20, 300, 1000)
    for sex in (0, 1):
        moved = pulled(asked, np.full(1000, float(sex)), pulls)
        assert np.diff(moved).min() > -1e-3


def test_few_answers_and_a_sex_without_any_pull_nowhere() -> None:
    rng = np.random.default_rng(4)
    answers, readings, _ = read_by_plates(rng, 2000)
    pulls = learn_pulls(answers, readings, np.ones(2000))
    assert not pulls[0].any()
    assert pulls[1].any()
    assert not learn_pulls(np.full(19, 100.0), np.full(19, 90.0), np.zeros(19)).any()
    assert np.allclose(
        learn_pulls(np.full(21, 100.0), np.full(21, 90.0), np.zeros(21))[0, 100], -10
    )


@pytest.mark.parametrize(
    ("answers", "readings"), [([1.0, 2.0], [1.0]), ([1.0, np.nan], [1.0, 2.0])]
)
def test_what_cannot_be_learned_from_is_refused(
    answers: list[float], readings: list[float]
) -> None:
    with pytest.raises(SettingsError, match=r"reading|finite"):
        learn_pulls(np.array(answers), np.array(readings), np.zeros(2))
