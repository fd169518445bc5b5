import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import InputError, OutsideTableError, SettingsError
from boneage.growth.references import Curve
from boneage.growth.sds import Norm, sd_curve, sd_score
from boneage.radiographs.radiograph import Sex

SEXES, NORMS = st.sampled_from(list(Sex)), st.sampled_from(list(Norm))
REACH = {
    (Sex.MALE, Norm.BRUSH): (3, 204),
    (Sex.FEMALE, Norm.BRUSH): (3, 192),
    (Sex.MALE, Norm.STANFORD): (12, 204),
    (Sex.FEMALE, Norm.STANFORD): (12, 180),
}


@pytest.mark.parametrize(
    ("sex", "norm", "age", "sd_months"),
    [
        ("male", "brush", 3, 0.69),
        ("male", "brush", 120, 9.79),
        ("male", "brush", 204, 13.05),
        ("female", "brush", 60, 11.65),
        ("female", "brush", 192, 7.31),
        ("male", "stanford", 12, 2.1),
        ("female", "stanford", 156, 14.6),
        ("female", "stanford", 180, 11.2),
        ("male", "brush", 126, (9.79 + 10.09) / 2),  # half way between two ages of the table
        ("female", "brush", 51, (8.98 + 10.73) / 2),
    ],
)
def test_the_standard_deviations_are_those_of_the_atlas(
    sex: str, norm: str, age: float, sd_months: float
) -> None:
    found = sd_score(age + 10, age, sex, norm=norm)
    assert found.sd_months == pytest.approx(sd_months)
    assert found.score == pytest.approx(10 / sd_months)
    assert found.normal_months == pytest.approx((age - 2 * sd_months, age + 2 * sd_months))


@pytest.mark.parametrize("key", REACH)
def test_there_is_no_score_outside_the_table(key: tuple[Sex, Norm]) -> None:
    sex, norm = key
    first, last = REACH[key]
    for age in (first, last):
        assert sd_score(age, age, sex, norm=norm).score == 0
    for age in (math.nextafter(first, 0), math.nextafter(last, 999)):
        with pytest.raises(OutsideTableError, match=rf"from {first} to {last} months"):
            sd_score(100, age, sex, norm=norm)


def test_brush_is_the_norm_unless_another_is_asked_for() -> None:
    assert sd_score(120, 110, "F") == sd_score(120, 110, "F", norm="Brush")
    assert sd_score(120, 110, "F").norm is Norm.BRUSH


@given(st.data(), SEXES, NORMS)
def test_a_score_rises_with_the_bone_age_and_lies_within_its_own_interval(
    data: st.DataObject, sex: Sex, norm: Norm
) -> None:
    low, high = REACH[sex, norm]
    age = data.draw(st.floats(low, high))
    lower, months, upper = sorted(
        data.draw(st.lists(st.floats(0, 240), min_size=3, max_size=3, unique=True))
    )
    found = sd_score(months, age, sex, norm=norm, interval_months=(lower, upper))
    assert found.lower_score is not None
    assert found.upper_score is not None
    assert found.lower_score <= found.score <= found.upper_score
    assert sd_score(lower, age, sex, norm=norm).score == found.lower_score
    # Back from the score to the bone age.
    assert age + found.score * found.sd_months == pytest.approx(months)


@given(st.data(), SEXES, NORMS)
def test_between_two_ages_the_spread_is_between_theirs(
    data: st.DataObject, sex: Sex, norm: Norm
) -> None:
    curve = sd_curve(sex, norm)
    at = data.draw(st.integers(1, len(curve.points) - 1))
    (first, one), (last, other) = curve.points[at - 1 : at + 1]
    found = curve.at(data.draw(st.floats(first, last)))
    assert min(one, other) <= found <= max(one, other) or found == pytest.approx(one)


@pytest.mark.parametrize(
    ("ahead_months", "interval", "verdict", "certain"),
    [
        (0, (-10, 10), "within", True),
        (0, (-25, 10), "within", False),
        (25, (22, 30), "ahead of", True),
        (25, (5, 45), "ahead of", False),
        (-25, (-30, -22), "behind", True),
        (0, None, "within", False),
    ],
)
def test_what_the_interval_leaves_open(
    ahead_months: float, interval: tuple[float, float] | None, verdict: str, certain: bool
) -> None:
    # 10.09 months are a standard deviation of boys of 132 months.
    limits = None if interval is None else (132 + interval[0], 132 + interval[1])
    found = sd_score(132 + ahead_months, 132, "male", interval_months=limits)
    assert (found.verdict, found.certain) == (verdict, certain)


@pytest.mark.parametrize("age", [-1, 301, math.nan, math.inf])
def test_ages_that_are_none_are_refused(age: float) -> None:
    with pytest.raises(SettingsError, match="chronological_age_months must be within 0 to 300"):
        sd_score(100, age, "female")
    with pytest.raises(SettingsError, match="bone_age_months must be within 0 to 300"):
        sd_score(age, 100, "female")


def test_words_that_are_none_are_refused() -> None:
    with pytest.raises(SettingsError, match="--norm must be brush or stanford, not 'tanner'"):
        sd_score(100, 100, "female", norm="tanner")
    with pytest.raises(InputError, match="is not a sex"):
        sd_score(100, 100, "x")
    with pytest.raises(SettingsError, match="between its limits"):
        sd_score(100, 100, "female", interval_months=(101, 120))


@pytest.mark.parametrize("ages", [(), (5,), (5, 5), (6, 5)])
def test_a_curve_ascends(ages: tuple[float, ...]) -> None:
    with pytest.raises(SettingsError, match="must ascend"):
        Curve("table", "age", tuple((age, 1.0) for age in ages))
