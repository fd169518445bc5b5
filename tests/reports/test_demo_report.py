import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from html_page import Page

from boneage.errors import InputError, NoInputError, SettingsError
from boneage.radiographs.radiograph import Sex
from boneage.reports.demo_report import Example, write_demo_report

MakeRun = Callable[..., Path]


def example(sex: Sex = Sex.FEMALE, height: int = 900) -> Example:
    image = np.tile(np.arange(600, dtype=np.uint16) % 256, (height, 1)).astype(np.uint8)
    return Example(image, 100.4, 92.1, sex)


def test_the_whole_report(tmp_path: Path, finished_run: Path) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    path = write_demo_report(run, examples=[example(), example(Sex.MALE)], seconds=151)
    assert path == run / "report.html"
    page = Page(path)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    headings = re.findall(r"<h2>(.*?)</h2>", path.read_text())
    assert headings == ["Results", "Examples", "Plots", "Time", "Settings"]
    # Said before the first figure of the results, and again at the end.
    assert page.text.index("synthetic") < page.text.index("Results")
    assert "not a medical device" in page.text[-300:]
    assert "Female, true 100, predicted 92 months (−8)" in page.text
    assert "2 min 31 s" in page.text
    assert "training.epochs" in page.text
    images = page.all("img")
    assert len(images) == 5 + 2
    for image in images:
        assert (image["alt"] or "").strip()
        assert (image["src"] or "").startswith("data:image/png;base64,")


def test_nothing_comes_from_elsewhere_and_nothing_runs(tmp_path: Path, finished_run: Path) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    path = write_demo_report(run, examples=[example()])
    page = Page(path)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    text = path.read_text()
    assert "http:" not in text
    assert "https:" not in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_text_from_outside_is_escaped(make_run: MakeRun) -> None:
    run = make_run()
    path = write_demo_report(run)
    assert "<script>" not in path.read_text()
    assert "<script>&'\"" in Page(path).text


def test_figures_are_those_of_metrics_json(make_run: MakeRun) -> None:
    run = make_run()
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["note"] = "The epoch was chosen on <these> cases."
    (run / "metrics.json").write_text(json.dumps(metrics))
    page = Page(write_demo_report(run))
    assert metrics["note"] in page.text
    low, high = metrics["mae_ci95_months"]
    assert f"{metrics['mae_months']:.1f} ({low:.1f} to {high:.1f}) months" in page.text
    assert f"{100 * metrics['within_12_months']:.1f} %" in page.text
    for band, group in metrics["by_age_band"].items():
        assert (f"{band.replace('-', '–')} months" in page.text) == (group["count"] > 0)


def test_what_is_missing_is_left_out(make_run: MakeRun) -> None:
    run = make_run(count=1)
    for name in ("config.json", "metrics.csv", "predictions.csv", "data.csv"):
        (run / name).unlink()
    page = Page(write_demo_report(run))
    assert page.all("img") == []
    assert "undefined" in page.text
    for heading in ("Examples", "Plots", "Time", "Settings"):
        assert heading not in page.text


def test_examples_are_scaled_down_but_not_up(make_run: MakeRun) -> None:
    small = Example(np.full((40, 30), 7, np.uint8), 10, 10, Sex.MALE)
    page = Page(write_demo_report(make_run(), examples=[example(height=900), small]))
    shapes = []
    for image in page.all("img"):
        content = base64.b64decode((image["src"] or "").split(",", 1)[1])
        shapes.append(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED).shape)
    assert shapes == [(480, 320), (40, 30)]
    assert "Male, true 10, predicted 10 months (0)" in page.text


def test_no_metrics(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"metrics\.json"):
        write_demo_report(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"count": "many"}', "\udcff"])
def test_damaged_metrics(make_run: MakeRun, content: str) -> None:
    run = make_run()
    (run / "metrics.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"metrics\.json is damaged"):
        write_demo_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("image", "age"),
    [
        (np.zeros((4, 4), np.float32), 10),
        (np.zeros((4, 4, 3), np.uint8), 10),
        (np.zeros((0, 4), np.uint8), 10),
        (np.zeros((4, 4), np.uint8), float("nan")),
    ],
)
def test_wrong_examples_are_refused(image: np.ndarray, age: float) -> None:
    with pytest.raises(SettingsError):
        Example(image, age, 10, Sex.MALE)
