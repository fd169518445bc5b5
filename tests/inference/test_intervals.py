"""The interval of a card: its table of levels, what lies between them, and what is refused."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import intervals

from boneage.errors import SettingsError
from boneage.inference.intervals import Interval

TABLE = Interval(0.9, ((0.5, 4.0), (0.8, 10.0), (0.9, 14.0), (0.99, 32.0)), False, "by hand")
SCALED = dataclasses.replace(TABLE, scaled=True)


@pytest.mark.parametrize(
    ("level", "months"),
    [(0.5, 4.0), (0.8, 10.0), (0.9, 14.0), (0.99, 32.0), (0.65, 7.0), (0.85, 12.0), (0.945, 23.0)],
)
def test_a_level_of_the_table_has_its_width_and_one_between_them_the_line(
    level: float, months: float
) -> None:
    assert TABLE.half_width_months(None, level) == pytest.approx(months)
    assert TABLE.half_width_months(7.0, level) == pytest.approx(months)
    assert SCALED.half_width_months(0.5, level) == pytest.approx(months / 2)


def test_without_a_level_it_is_that_of_the_card() -> None:
    assert TABLE.half_width_months(None) == 14
    assert SCALED.half_width_months(1.5) == 21
    between = dataclasses.replace(TABLE, level=0.85)
    assert between.half_width_months(None) == pytest.approx(12)


@given(interval=intervals, share=st.floats(0, 1), expected=st.floats(0.01, 50))
def test_any_level_within_the_table_is_that_of_numpys_interpolation(
    interval: Interval, share: float, expected: float
) -> None:
    levels, widths = zip(*interval.widths, strict=True)
    level = min(levels[0] + share * (levels[-1] - levels[0]), levels[-1])
    wanted = np.interp(level, levels, widths) * (expected if interval.scaled else 1)
    assert interval.half_width_months(expected, level) == pytest.approx(wanted)


@given(interval=intervals, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_higher_level_is_never_narrower(interval: Interval, shares: tuple[float, float]) -> None:
    low, high = interval.widths[0][0], interval.widths[-1][0]
    levels = [min(low + share * (high - low), high) for share in sorted(shares)]
    narrow, wide = (interval.half_width_months(1.0, level) for level in levels)
    assert 0 < narrow <= wide * (1 + 1e-12)


@given(interval=intervals)
def test_what_is_written_as_json_is_read_back(interval: Interval) -> None:
    assert Interval.from_json(json.loads(json.dumps(interval.to_json()))) == interval


@pytest.mark.parametrize("level", [0.49, 0.995, 0, 1, -1, 90, float("nan"), float("inf")])
def test_a_level_beyond_the_table_names_the_flag_and_the_range(level: float) -> None:
    with pytest.raises(SettingsError, match=r"--level must be within 0\.5 to 0\.99"):
        TABLE.check_level(level)
    with pytest.raises(SettingsError, match="--level"):
        TABLE.half_width_months(None, level)


def test_one_level_is_the_only_one() -> None:
    interval = Interval.constant(0.9, 12.5, "by hand")
    assert interval.half_width_months(None, 0.9) == 12.5
    with pytest.raises(SettingsError, match=r"--level must be 0\.9 with this model, not 0\.8"):
        interval.check_level(0.8)


def test_a_scaled_interval_needs_the_expected_error() -> None:
    with pytest.raises(SettingsError, match="expects no error"):
        SCALED.half_width_months(None)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"level": 0.4}, "level"),
        ({"level": 0.995}, "level"),
        ({"level": True}, "level"),
        ({"level": float("nan")}, "level"),
        ({"widths": ()}, "widths"),
        ({"widths": ((0.9,),)}, "widths"),
        ({"widths": ((0.9, 0),)}, "widths"),
        ({"widths": ((0.9, -1.0),)}, "widths"),
        ({"widths": ((0.9, float("inf")),)}, "widths"),
        ({"widths": ((0.9, "wide"),)}, "widths"),
        ({"widths": ((0.8, 5.0), (0.9, 4.0))}, "widths"),
        ({"widths": ((0.9, 4.0), (0.8, 5.0))}, "widths"),
        ({"widths": ((0.9, 4.0), (0.9, 5.0))}, "widths"),
        ({"widths": ((0, 1.0), (0.9, 4.0))}, "widths"),
        ({"widths": ((0.9, 4.0), (1, 5.0))}, "widths"),
        ({"scaled": 1}, "scaled"),
        ({"method": " "}, "method"),
    ],
)
def test_bad_values_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=rf"interval\.{named}"):
        dataclasses.replace(TABLE, **changes)


@pytest.mark.parametrize(("level", "months"), [(0, 10), (1, 10), (90, 10), (0.9, 0), (0.9, -1)])
def test_an_impossible_constant_is_refused(level: float, months: float) -> None:
    with pytest.raises(SettingsError, match="interval"):
        Interval.constant(level, months, "by hand")
