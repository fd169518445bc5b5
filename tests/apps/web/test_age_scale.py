"""The scale of the bone age: everything is where its months are, and inside the drawing."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from boneage.apps.web.age_scale import age_scale_svg
from boneage.growth.sds import Norm
from boneage.inference.rows import Row
from boneage.reports.child import ChildVisit, assess
from boneage.reports.child_request import Facts

ages = st.floats(0, 300)


def visit(
    months: float, low: float | None, high: float | None, age_months: float | None
) -> ChildVisit:
    row = Row("a.png", "a", "ok", "female", months, low, high)
    return assess(row, Facts(age_months), Norm.BRUSH, 0.9)


@given(ages, st.floats(0, 60), st.none() | ages, st.booleans())
def test_nothing_lies_outside(
    months: float, half: float, age_months: float | None, with_interval: bool
) -> None:
    low, high = (max(months - half, 0), months + half) if with_interval else (None, None)
    drawing = ElementTree.fromstring(age_scale_svg(visit(months, low, high, age_months)))
    _, _, width, height = map(float, drawing.attrib["viewBox"].split())
    for item in drawing.iter():
        for name in ("x", "cx"):
            assert 0 <= float(item.attrib.get(name, 0)) <= width
        for name in ("y", "cy"):
            assert 0 <= float(item.attrib.get(name, 0)) <= height
        assert "style" not in item.attrib  # the policy forbids it
    point = next(item for item in drawing.iter() if item.attrib.get("class") == "point")
    years = {
        float(item.text or 0): float(item.attrib["x"])
        for item in drawing.iter()
        if re.fullmatch(r"\d+", item.text or "")
    }
    (first, at_first), *_, (last, at_last) = sorted(years.items())
    place = at_first + (months / 12 - first) / (last - first) * (at_last - at_first)
    assert abs(float(point.attrib["cx"]) - place) < 1


def test_it_says_in_words_what_it_shows() -> None:
    label = ElementTree.fromstring(age_scale_svg(visit(130, 112, 149, 120))).attrib["aria-label"]
    assert "bone age is 10\xa0y\xa010\xa0m" in label
    assert "interval 9\xa0y\xa04\xa0m to 12\xa0y\xa05\xa0m" in label
    assert "chronological age is 10\xa0y\xa00\xa0m" in label
    assert "normal range" in label


def test_without_a_bone_age_there_is_none() -> None:
    refused = ChildVisit(Row("a.png", "a", "refused", message="no hand"), Facts(120.0))
    assert age_scale_svg(refused) == ""
