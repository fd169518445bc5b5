"""Reports in a real Chromium: no network, no barriers, no sideways scrolling, and print."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_models import explaining_bundle, write_hand

from boneage.dataset.records import Record
from boneage.inference.predictor import load
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Sex
from boneage.reports.evaluation_run import evaluate_bundle
from boneage.reports.run_report import write_run_report
from chromium import SCREENS, open_browser, open_page, sheets, violations

LABELS = "id,sex,child,age_months,height_cm\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as started:
        yield started


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn hands of one girl, and a picture that is no hand."""
    folder = tmp_path_factory.mktemp("hands")
    for name, age in (("a", 96.0), ("b", 110.0), ("c", 124.0)):
        rng = np.random.default_rng(5)
        pixels = draw_phantom(age, Sex.FEMALE, rng=rng, height_px=600).pixels
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    noise = np.random.default_rng(5).integers(0, 255, (600, 450), np.uint8)
    cv2.imwrite(str(folder / "no-hand.png"), noise)
    rows = "a,F,Jo,99,130\nb,F,Jo,112,136.5\nc,F,Jo,126,142\n"
    (folder / "labels.csv").write_text(LABELS + rows)
    return folder


@pytest.fixture(scope="module")
def pages(hands: Path, run_cli: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reports, by the model that comes along."""
    folder = tmp_path_factory.mktemp("pages")
    child = ["--labels", hands / "labels.csv", "--report"]
    one, course, refused = (folder / f"{name}.html" for name in ("one", "course", "refused"))
    every = [hands / f"{name}.png" for name in "abc"]
    for inputs, page in (([every[2]], one), (every, course)):
        done = run_cli("predict", *inputs, *child, page)
        assert done.returncode == 0, done.stdout + done.stderr
    done = run_cli("predict", hands / "no-hand.png", "--sex", "F", "--report", refused)
    assert done.returncode == 1, done.stdout + done.stderr
    records = [
        Record(str(at), write_hand(folder / f"{at}.png", at), Sex.FEMALE, 60.0 + at)
        for at in range(6)
    ]
    run = folder / "run"
    run.mkdir()
    evaluate_bundle(load(explaining_bundle(folder / "tiny"), intake=False), records, run)
    return {"one": one, "course": course, "refused": refused, "run": write_run_report(run)}


@pytest.mark.parametrize("name", ["one", "course", "refused", "run"])
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_it_can_be_read_by_everybody_and_offline(
    browser: Any, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    with open_page(browser, pages[name], width, scheme) as page:
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        unseen = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert page.evaluate(unseen) == 0
        assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("name", ["one", "course", "refused"])
def test_the_report_on_a_child_prints_on_one_sheet(
    browser: Any, pages: dict[str, Path], name: str
) -> None:
    with open_page(browser, pages[name]) as page:
        assert sheets(page) == 1
    assert pages[name].stat().st_size < 2_000_000


def test_the_colours_of_the_heat_map_are_in_the_picture_and_beside_it(
    browser: Any, pages: dict[str, Path]
) -> None:
    with open_page(browser, pages["one"]) as page:
        assert page.locator(".pictures img").count() == 2
        bar = page.locator(".scale .bar")
        assert "linear-gradient" in bar.evaluate("item => getComputedStyle(item).backgroundImage")
        box = bar.bounding_box()
        assert box["width"] > 60
        assert box["height"] > 5
