from pathlib import Path

import pytest

from boneage.dataset.labels import LabelTable, read_labels
from boneage.errors import InputError, LabelsError, SettingsError
from boneage.growth.sds import Norm
from boneage.inference.inputs import InputFile
from boneage.reports.child_request import Facts, report_request

ONE = [InputFile("scans/a.png", "a")]
TWO = [*ONE, InputFile("scans/b.png", "b")]
GOOD = "id,sex,child,age_months,height_cm\na,F,Jo,100,120\nb,F,Jo,112,\nc,M,Max,90,\n"


def labels(folder: Path, text: str = GOOD) -> LabelTable:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return read_labels(path, need_bone_age=False)


def test_no_report_no_request() -> None:
    assert report_request(None, TWO) is None


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"age_months": 100.0}, "--age-months"),
        ({"height_cm": 100.0}, "--height-cm"),
        ({"norm": "brush"}, "--norm"),
    ],
)
def test_options_of_the_report_need_one(options: dict[str, float], flag: str) -> None:
    with pytest.raises(SettingsError, match=rf"{flag} is for the report: add --report"):
        report_request(None, ONE, **options)  # type: ignore[arg-type]


def test_one_radiograph() -> None:
    request = report_request("r.html", ONE, age_months=100.0, height_cm=120.0, norm="Stanford")
    assert request is not None
    assert (request.path, request.title, request.norm) == (Path("r.html"), "a", Norm.STANFORD)
    assert request.facts == {"a": Facts(100.0, 120.0)}


def test_what_is_not_given_comes_from_the_table(tmp_path: Path) -> None:
    table = labels(tmp_path)
    request = report_request(tmp_path / "r.html", ONE, labels=table)
    assert request is not None
    assert (request.title, request.norm) == ("Jo", Norm.BRUSH)
    assert request.facts == {"a": Facts(100.0, 120.0)}
    request = report_request(tmp_path / "r.html", ONE, labels=table, age_months=101.0)
    assert request is not None
    assert request.facts == {"a": Facts(101.0, 120.0)}


def test_several_radiographs_of_one_child(tmp_path: Path) -> None:
    request = report_request(tmp_path / "r.html", TWO, labels=labels(tmp_path))
    assert request is not None
    assert request.title == "Jo"
    assert request.facts == {"a": Facts(100.0, 120.0), "b": Facts(112.0, None)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"age_months": -1.0}, "--age-months must be within 0 to 300 months, not -1"),
        ({"age_months": 301.0}, "--age-months"),
        ({"age_months": float("nan")}, "--age-months"),
        ({"age_months": 100.0, "height_cm": 0.0}, "--height-cm must be within 40 to 230 cm, not 0"),
        ({"age_months": 100.0, "height_cm": 1.2}, "--height-cm"),
        ({"height_cm": 120.0}, "--height-cm needs --age-months"),
        ({"norm": "tanner"}, "--norm must be brush or stanford, not 'tanner'"),
    ],
)
def test_options_out_of_range(options: dict[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        report_request("r.html", ONE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "said"),
    [("r.pdf", r"must end in \.html"), ("scans/a.png", r"must end"), ("o.html", "place of")],
)
def test_places_where_the_page_cannot_be(place: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        report_request(place, ONE, out="o.html")


def test_several_radiographs_without_a_table() -> None:
    with pytest.raises(InputError, match="about one child, and there are 2 radiographs"):
        report_request("r.html", TWO)


@pytest.mark.parametrize("option", ["age_months", "height_cm"])
def test_one_age_does_not_fit_several_visits(tmp_path: Path, option: str) -> None:
    with pytest.raises(SettingsError, match=r"is for one radiograph, and there are 2"):
        report_request("r.html", TWO, labels=labels(tmp_path), **{option: 100.0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,sex,child,age_months\na,F,Jo,100\nb,F,Max,110\n", "these are of 2: Jo, Max"),
        ("id,sex,age_months\na,F,100\nb,F,110\n", "whose radiograph a, b is"),
        ("id,sex,child,age_months\na,F,Jo,100\n", "whose radiograph b is"),
        ("id,sex,child,age_months\na,F,Jo,100\nb,F,Jo,\n", "no chronological age for b"),
        ("id,sex,child,age_months\na,F,Jo,100\nb,M,Jo,110\n", "gives the child Jo two sexes"),
        ("id,sex,child,age_months\na,F,Jo,-1\nb,F,Jo,110\n", "line 2: the chronological age"),
        ("id,sex,child,age_months,height_cm\na,F,Jo,1,0\nb,F,Jo,2,\n", "line 2: height_cm"),
    ],
)
def test_tables_that_do_not_describe_one_child(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        report_request(tmp_path / "r.html", TWO, labels=labels(tmp_path, text))


def test_a_column_that_is_wrong_is_the_tables_fault(tmp_path: Path) -> None:
    table = labels(tmp_path, "id,sex,age_months\na,F,old\n")
    with pytest.raises(LabelsError, match="not a number"):
        report_request(tmp_path / "r.html", ONE, labels=table)
