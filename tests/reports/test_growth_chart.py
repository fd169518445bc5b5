import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import SettingsError
from boneage.growth.sds import Norm
from boneage.radiographs.radiograph import Sex
from boneage.reports.growth_chart import ChartPoint, growth_chart_svg


def drawn(points: list[ChartPoint], sex: Sex = Sex.MALE) -> ElementTree.Element:
    return ElementTree.fromstring(growth_chart_svg(points, sex, Norm.BRUSH))


def named(chart: ElementTree.Element, css_class: str) -> list[ElementTree.Element]:
    return [item for item in chart.iter() if css_class in item.get("class", "").split()]


def test_a_course_of_three_visits() -> None:
    points = [ChartPoint(60, 60, 50, 70), ChartPoint(96, 130), ChartPoint(120, 100, 90, 110)]
    chart = drawn(points)
    assert len(named(chart, "point")) == 3
    assert len(named(chart, "last")) == 1
    assert len(named(chart, "whisker")) == 2
    (course,) = named(chart, "course")
    assert len((course.get("points") or "").split()) == 3
    # In words as well: 130 months at 96 are far outside, the others are not.
    text = chart.findtext("desc") or ""
    assert "At 5.0 years the bone age is 5.0 years (4.2 to 5.8), inside the band." in text
    assert "At 8.0 years the bone age is 10.8 years, outside the band." in text
    assert chart.get("role") == "img"
    assert chart.get("aria-labelledby") == "chart-title chart-text"
    assert {item.get("id") for item in chart.iter()} >= {"chart-title", "chart-text"}


def test_a_single_visit_has_no_course() -> None:
    assert named(drawn([ChartPoint(60, 60)]), "course") == []


def test_the_estimate_of_a_child_on_the_mean_lies_on_the_dashed_line() -> None:
    chart = drawn([ChartPoint(3, 3)])
    (point,) = named(chart, "point")
    (line,) = named(chart, "equal")
    first = (line.get("points") or "").split()[0]
    assert f"{point.get('cx')},{point.get('cy')}" == first


@given(st.data(), st.sampled_from(list(Sex)), st.sampled_from(list(Norm)))
def test_everything_lies_within_the_drawing(data: st.DataObject, sex: Sex, norm: Norm) -> None:
    ages = sorted(data.draw(st.lists(st.floats(0, 300), min_size=1, max_size=5)))
    points = []
    for age in ages:
        lower, months, upper = sorted(data.draw(st.tuples(*[st.floats(0, 400)] * 3)))
        points.append(ChartPoint(age, months, lower, upper))
    chart = ElementTree.fromstring(growth_chart_svg(points, sex, norm))
    _, _, width, height = map(float, (chart.get("viewBox") or "").split())
    for item in chart.iter():
        across = [item.get(name) for name in ("cx", "x1", "x2", "x")]
        down = [item.get(name) for name in ("cy", "y1", "y2", "y")]
        for pair in re.findall(r"([-\d.]+),([-\d.]+)", item.get("points") or ""):
            across.append(pair[0])
            down.append(pair[1])
        assert all(0 <= float(value) <= width for value in across if value)
        assert all(0 <= float(value) <= height for value in down if value)


@pytest.mark.parametrize("points", [[], [ChartPoint(60, 60), ChartPoint(50, 50)]])
def test_points_come_in_the_order_of_their_ages(points: list[ChartPoint]) -> None:
    with pytest.raises(SettingsError, match="order of their ages"):
        drawn(points)
