import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import OutsideTableError, SettingsError
from boneage.growth.adult_height import maturity_of, percentage_curve, predict_adult_height
from boneage.radiographs.radiograph import Sex

SEXES = st.sampled_from(list(Sex))
REACH = {
    ("male", "average"): (84, 222),
    ("male", "accelerated"): (84, 204),
    ("male", "retarded"): (72, 156),
    ("female", "average"): (72, 216),
    ("female", "accelerated"): (84, 210),
    ("female", "retarded"): (72, 204),
}


def inches(years: int, months: int, age_years: int, sex: str, height: float) -> tuple[float, str]:
    """Predicted height in inches, as the paper counts, and the table that was used."""
    found = predict_adult_height(height * 2.54, 12 * years + months, 12 * age_years, sex)
    return round(found.height_cm / 2.54, 1), found.maturity


def test_the_examples_that_the_paper_works_through() -> None:
    assert inches(13, 3, 13, "male", 60) == (67.4, "average")
    assert inches(13, 3, 13, "male", 51.5) == (57.9, "average")
    assert inches(15, 6, 14, "male", 67.5) == (69.5, "accelerated")
    assert inches(10, 3, 12, "female", 55) == (62.2, "retarded")


@pytest.mark.parametrize(
    ("sex", "maturity", "bone_age", "percentage"),
    [
        ("male", "average", 84, 69.5),
        ("male", "average", 153, 86.3),
        ("male", "average", 156, 87.6),
        ("male", "average", 154.5, (86.3 + 87.6) / 2),  # across the seam of tables IIA and IIB
        ("male", "accelerated", 204, 99.0),
        ("male", "retarded", 72, 68.0),
        ("female", "average", 80, 73.8 + (75.1 - 73.8) / 2),  # girls' tables skip some months
        ("female", "accelerated", 210, 99.95),
        ("female", "retarded", 204, 100.0),
    ],
)
def test_percentages(sex: str, maturity: str, bone_age: float, percentage: float) -> None:
    assert percentage_curve(Sex(sex), maturity).at(bone_age) == pytest.approx(percentage)


def test_every_table_has_its_range_and_rises() -> None:
    for (sex, maturity), reach in REACH.items():
        curve = percentage_curve(Sex(sex), maturity)
        assert curve.range_months == reach
        percentages = [value for _, value in curve.points]
        assert percentages == sorted(percentages)
        assert percentages[-1] <= 100


@pytest.mark.parametrize(
    ("ahead", "maturity"),
    [
        (0, "average"),
        (11.99, "average"),
        (-11.99, "average"),
        (12, "accelerated"),
        (-12, "retarded"),
    ],
)
def test_a_year_makes_the_difference(ahead: float, maturity: str) -> None:
    assert maturity_of(120 + ahead, 120) == maturity


@pytest.mark.parametrize(
    ("bone_age", "age", "sex", "said"),
    [
        (71, 96, "male", "male, retarded.*from 72 to 156 months"),
        (157, 180, "male", "male, retarded.*from 72 to 156 months"),
        (211, 198, "female", "female, accelerated.*from 84 to 210 months"),
        (223, 216, "male", "male, average.*from 84 to 222 months"),
        (95, 95, "female", "table of errors.*chronological age of 95.0.*from 96 to 216"),
        (216, 217, "female", "table of errors.*from 96 to 216"),
    ],
)
def test_there_is_no_prediction_outside_a_table(
    bone_age: float, age: float, sex: str, said: str
) -> None:
    with pytest.raises(OutsideTableError, match=said):
        predict_adult_height(140, bone_age, age, sex)


def test_the_interval_without_one_of_the_bone_age_is_the_papers_error() -> None:
    found = predict_adult_height(100, 120, 120, "female", level=0.9)
    mean_cm, sd_cm = -0.49 * 2.54, 1.37 * 2.54
    assert (found.mean_error_cm, found.sd_error_cm) == pytest.approx((mean_cm, sd_cm))
    half_cm = 1.6448536 * math.hypot(mean_cm, sd_cm)
    assert found.upper_cm - found.height_cm == pytest.approx(half_cm)
    assert found.height_cm - found.lower_cm == pytest.approx(half_cm)
    assert not found.with_bone_age_interval


def test_the_bone_ages_interval_widens_it_by_the_tables_that_it_calls_for() -> None:
    alone = predict_adult_height(140, 132, 132, "male")
    found = predict_adult_height(140, 132, 132, "male", interval_months=(114, 150))
    # At 114 months the child would be retarded (80.0 %), at 150 accelerated (82.8 %); the average
    # table spans from 78.4 (at 120) to 83.4 (at 144).
    error_cm = alone.upper_cm - alone.height_cm
    predicted_cm = 140 / 0.804
    assert found.height_cm == pytest.approx(predicted_cm)
    assert found.upper_cm - predicted_cm == pytest.approx(
        math.hypot(error_cm, 140 / 0.784 - predicted_cm)
    )
    assert predicted_cm - found.lower_cm == pytest.approx(
        math.hypot(error_cm, predicted_cm - 140 / 0.834)
    )


def test_an_interval_that_leaves_the_tables_upwards_ends_at_the_height_now() -> None:
    found = predict_adult_height(170, 150, 192, "male", interval_months=(140, 170), level=0.99)
    assert found.maturity == "retarded"
    assert found.lower_cm >= 170


def test_an_interval_that_leaves_the_tables_downwards_has_no_upper_limit() -> None:
    with pytest.raises(OutsideTableError, match=r"reaches down to 60\.0"):
        predict_adult_height(120, 96, 100, "male", interval_months=(60, 130))


@given(st.data(), SEXES, st.floats(60, 200), st.floats(0.5, 0.99))
def test_the_interval_holds_the_prediction_and_grows_with_level_and_bone_age_interval(
    data: st.DataObject, sex: Sex, height: float, level: float
) -> None:
    age = data.draw(st.floats(96, 210))
    bone_age = data.draw(st.floats(max(84, age - 11), min(200, age + 11)))
    reach = data.draw(st.floats(0, 12))
    limits = (max(bone_age - reach, 84), bone_age + reach)
    narrow = predict_adult_height(height, bone_age, age, sex, level=level)
    wide = predict_adult_height(height, bone_age, age, sex, level=level, interval_months=limits)
    wider = predict_adult_height(height, bone_age, age, sex, level=0.995, interval_months=limits)
    assert narrow.height_cm == wide.height_cm >= height
    for found in (narrow, wide, wider):
        assert height <= found.lower_cm <= found.height_cm <= found.upper_cm
    assert wide.lower_cm <= narrow.lower_cm
    assert wide.upper_cm >= narrow.upper_cm
    assert wider.lower_cm <= wide.lower_cm
    assert wider.upper_cm >= wide.upper_cm


@given(st.data(), SEXES)
def test_within_a_table_an_older_bone_age_leaves_less_to_grow(
    data: st.DataObject, sex: Sex
) -> None:
    younger, older = sorted(data.draw(st.tuples(st.floats(145, 167), st.floats(145, 167))))
    heights = [predict_adult_height(150, age, 156, sex).height_cm for age in (younger, older)]
    assert heights[0] >= heights[1]


@pytest.mark.parametrize(
    ("height", "level", "said"),
    [
        (0, 0.9, "height_cm must be within 40 to 230 cm, not 0"),
        (-150, 0.9, "height_cm"),
        (1.5, 0.9, "height_cm"),
        (math.nan, 0.9, "height_cm"),
        (150, 1, "level"),
        (150, math.nan, "level"),
    ],
)
def test_impossible_values_are_refused(height: float, level: float, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        predict_adult_height(height, 140, 140, "male", level=level)
    with pytest.raises(SettingsError, match="between its limits"):
        predict_adult_height(150, 140, 140, "male", interval_months=(150, 160))
