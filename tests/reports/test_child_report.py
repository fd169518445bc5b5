import base64
import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from html_page import Page
from tiny_models import explaining_bundle, tiny_card, write_hand

from boneage.errors import NoInputError, OutputError
from boneage.growth.sds import Norm
from boneage.inference.card import Card
from boneage.inference.prediction import Prediction
from boneage.inference.predictor import load
from boneage.inference.rows import Row
from boneage.radiographs.radiograph import Sex
from boneage.reports.child_report import write_child_report
from boneage.reports.child_request import Facts, ReportRequest

FIGURES = {
    "out_of_fold": {"count": 10, "mae_months": 1.0},
    "held_out": {
        "count": 1234,
        "mae_months": 7.25,
        "by_age_band": {"96-132": {"mae_months": 6.5, "bias_months": -1.5}},
        "interval_coverage": {"overall": 0.912},
    },
}


def card(**changes: object) -> Card:
    return tiny_card(**{"figures": FIGURES, "terms": "Ask <first>.", **changes})


def row(folder: Path, name: str = "a", **changes: object) -> Row:
    path = folder / f"{name}.png"
    if not path.exists():
        write_hand(path)
    values = {"sex": "male", "bone_age_months": 120.0, "lower_months": 110.0, "upper_months": 128.0}
    return Row(str(path), name, "ok", **{**values, **changes})  # type: ignore[arg-type]


def written(folder: Path, rows: list[Row], facts: dict[str, Facts], **changes: object) -> Page:
    request = ReportRequest(folder / "r.html", "Jo <b>", Norm.BRUSH, facts)
    options: dict[str, object] = {"level": 0.9, "card": card(), **changes}
    write_child_report(request, rows, options.pop("card"), **options)  # type: ignore[arg-type]
    return Page(folder / "r.html")


def answer(folder: Path, of: Row) -> Prediction:
    """What a model that gives heat maps says; it takes any image for a hand."""
    model = folder / "explaining"
    if not model.exists():
        explaining_bundle(model)
    return load(model, intake=False).predict(of.path, Sex.MALE)


def test_all_that_is_known_is_on_the_page(tmp_path: Path) -> None:
    page = written(tmp_path, [row(tmp_path)], {"a": Facts(126.0, 140.0)})
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for said in (
        "Bone age: Jo <b>",
        "10 y 0 m (120.0 months)",
        "110.0 to 128.0 months (9 y 2 m to 10 y 8 m)",
        "126.0 months (10 y 6 m)",
        "−6.0 months",
        "−0.6 (−1.6 to +0.2), Brush",  # 9.94 months are a standard deviation
        "106.1 to 145.9 months",
        "178.6 cm",  # 140 / 0.784
        "The bone age is within the normal range, and so is its whole interval.",
        "On 1,234 held-out radiographs the model was 7.2 months off on average; on those read as "
        "96–132 months 6.5, and 1.5 too young on the whole. Its 90 % interval held for 91.2 %.",
        "78.4 % is reached, by the table for average bone ages",
        "Tarım 2013",
        "Greulich and Pyle 1959",
        "Ask <first>.",
        "Research software, not a medical device.",
    ):
        assert said in text
    assert len(page.all("svg")) == 1


def test_the_page_is_accessible_and_needs_nothing_else(tmp_path: Path) -> None:
    rows = [row(tmp_path), row(tmp_path, "b")]
    facts = {"a": Facts(100.0, 120.0), "b": Facts(112.0, 126.0)}
    page = written(tmp_path, rows, facts, answers=[answer(tmp_path, item) for item in rows])
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "style/"}
    html = (tmp_path / "r.html").read_text()
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    assert "prefers-color-scheme: dark" in html
    assert "size: A4" in html
    images = page.all("img")
    assert len(images) == 2
    assert len({image["alt"] for image in images}) == 2
    for image in images:
        assert (image["alt"] or "").strip()
        assert (image["src"] or "").startswith("data:image/jpeg;base64,")
    (chart,) = page.all("svg")
    assert chart["role"] == "img"
    assert chart["aria-labelledby"] == "chart-title chart-text"
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert sorted(names) == ["chart-text", "chart-title"]


def test_a_page_stays_small_whatever_the_radiograph(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, (2600, 2100), np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), noise)
    shown = row(tmp_path)
    page = written(tmp_path, [shown], {}, answers=[answer(tmp_path, shown)])
    assert len(page.all("img")) == 2
    assert (tmp_path / "r.html").stat().st_size < 2_000_000


def test_the_overlay_is_that_of_the_radiograph_shown_large(tmp_path: Path) -> None:
    rows = [row(tmp_path, "late"), row(tmp_path, "early")]
    facts = {"early": Facts(100.0), "late": Facts(112.0)}
    page = written(tmp_path, rows, facts, answers=[answer(tmp_path, rows[0]), None])
    plain, overlay = (picture(image["src"] or "") for image in page.all("img"))
    assert np.ptp(plain, axis=2).max() <= 3  # grey
    coloured = np.ptp(overlay.astype(int), axis=2) > 40
    assert 0.05 < coloured.mean() < 0.95
    # The tiny model finds every bright cell to make the child older: more red than blue.
    assert (overlay[coloured][:, 2] > overlay[coloured][:, 0]).mean() > 0.95
    assert re.search(r"−(\d+)\s*\+\1(?!\d)", page.text)
    assert "orange made it older" in page.text


def test_no_overlay_without_a_heat_map_of_that_radiograph(tmp_path: Path) -> None:
    rows = [row(tmp_path, "early"), row(tmp_path, "late")]
    facts = {"early": Facts(100.0), "late": Facts(112.0)}
    page = written(tmp_path, rows, facts, answers=[answer(tmp_path, rows[0]), None])
    assert len(page.all("img")) == 1
    assert "months a cell" not in page.text


def picture(uri: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    content = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def test_visits_are_in_the_order_of_age_and_the_latest_with_a_bone_age_is_shown(
    tmp_path: Path,
) -> None:
    refused = Row(str(tmp_path / "late.png"), "late", "refused", "male", message="no hand on it")
    write_hand(tmp_path / "late.png")
    rows = [refused, row(tmp_path, "second", bone_age_months=131.0, upper_months=140.0)]
    rows.append(row(tmp_path, "first"))
    facts = {"first": Facts(110.0), "second": Facts(126.0), "late": Facts(140.0)}
    page = written(tmp_path, rows, facts)
    assert "Radiograph second, male" in page.text
    table = page.text[page.text.index("Months, by chronological age") :]
    assert table.index("first") < table.index("second") < table.index("late")
    assert "late: no hand on it" in page.text
    assert len([item for tag, item in page.tags if tag == "circle"]) == 2


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_no_bone_age_and_why(tmp_path: Path, status: str) -> None:
    path = write_hand(tmp_path / "a.png")
    if status == "failed":
        path.write_bytes(b"no image")
    answer = Row(str(path), "a", status, None, message="this is <why>")  # type: ignore[arg-type]
    page = written(tmp_path, [answer], {"a": Facts(120.0, 130.0)})
    assert "No bone age" in page.text
    assert f"{status.capitalize()}: this is <why>" in page.text
    assert "Radiograph a, sex not known" in page.text
    assert "How sure" not in page.text
    assert len(page.all("img")) == (status == "refused")
    assert page.all("svg") == []


def test_what_the_references_do_not_reach_is_said(tmp_path: Path) -> None:
    page = written(tmp_path, [row(tmp_path)], {"a": Facts(210.0, 170.0)})
    assert "none: The Brush table of skeletal ages (male) has no value" in page.text
    assert "from 3 to 204 months" in page.text
    page = written(tmp_path, [row(tmp_path, bone_age_months=170.0, upper_months=180.0)],
                   {"a": Facts(190.0, 170.0)})  # fmt: skip
    assert "(male, retarded) has no value for a bone age of 170.0 months" in page.text


def test_without_an_age_there_is_no_comparison(tmp_path: Path) -> None:
    page = written(tmp_path, [row(tmp_path, message="turned by 90 degrees")], {})
    assert "not known, so no comparison with it" in page.text
    assert page.all("svg") == []
    assert "Growth references" not in page.text
    assert "Warning: turned by 90 degrees" in page.text


@pytest.mark.parametrize(
    ("bone_age", "limits", "said"),
    [
        (126.0, (101.0, 151.0), "cannot tell normal from abnormal"),
        (126.0, (110.0, 147.0), "reaches across the limit"),
        (150.0, (147.0, 153.0), "ahead of the normal range, and so is its whole interval"),
        (100.0, (None, None), "behind the normal range; without an interval"),
    ],
)
def test_how_sure_the_comparison_is(
    tmp_path: Path, bone_age: float, limits: tuple[float | None, float | None], said: str
) -> None:
    lower, upper = limits
    answer = row(tmp_path, bone_age_months=bone_age, lower_months=lower, upper_months=upper)
    page = written(tmp_path, [answer], {"a": Facts(126.0)}, level=None if lower is None else 0.9)
    assert said in page.text


@pytest.mark.parametrize("figures", [{}, {"held_out": "good"}, {"held_out": {"mae_months": None}}])
def test_a_card_may_hold_anything(tmp_path: Path, figures: dict[str, object]) -> None:
    model = dataclasses.replace(card(), figures=figures, trained_on={"data": 7}, terms="")
    page = written(tmp_path, [row(tmp_path)], {}, card=model)
    assert "The model's card does not say how far off it is." in page.text


def test_a_radiograph_of_sixteen_bits_is_not_shown_black(tmp_path: Path) -> None:
    dark = (np.arange(200 * 150, dtype=np.uint16) % 3000).reshape(200, 150)
    cv2.imwrite(str(tmp_path / "a.png"), dark)
    page = written(tmp_path, [row(tmp_path)], {})
    data = (page.all("img")[0]["src"] or "").partition(",")[2]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.max() > 240
    assert picture.min() < 15


def test_a_model_without_an_interval(tmp_path: Path) -> None:
    answer = row(tmp_path, lower_months=None, upper_months=None)
    page = written(tmp_path, [answer], {"a": Facts(126.0, 140.0)}, level=None)
    assert "none: this model gives no interval" in page.text
    assert "without the bone age's uncertainty" in page.text
    assert "Bars:" not in page.text


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    answer = Row("gone.png", "scan-\udcff", "failed", "male", message="no such file: scan-\udcff")
    page = written(tmp_path, [answer], {})
    assert "no such file: scan-?" in page.text


def test_mistakes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoInputError):
        written(tmp_path, [], {})
    (tmp_path / "r.html").mkdir()
    with pytest.raises(OutputError, match=r"r\.html"):
        written(tmp_path, [row(tmp_path)], {})
