"""The page about a run, from the files of a run alone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from html_page import Page
from tiny_models import explaining_bundle, tiny_bundle, write_hand

from boneage.dataset.records import Record
from boneage.errors import InputError, NoInputError
from boneage.inference.predictor import load
from boneage.radiographs.radiograph import Sex
from boneage.reports.evaluation_run import evaluate_bundle
from boneage.reports.run_report import draw_run_heat_maps, write_run_report

MakeRun = Callable[..., Path]


def test_the_whole_report(tmp_path: Path, finished_run: Path) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    tiny_bundle(run / "bundle")
    (run / "discarded.csv").write_text(
        "id,path,reason,detail\n1,a.png,unreadable image,cut off\n2,,label without an image,\n"
        "3,,label without an image,\n"
    )
    path = write_run_report(run)
    assert path == run / "report.html"
    page = Page(path)
    assert page.all("html") == [{"lang": "en"}]
    headings = re.findall(r"<h2>(.*?)</h2>", path.read_text())
    assert headings == ["Results", "Plots", "The model", "Discarded", "Time", "Settings"]
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert "http" not in re.sub(r"http-equiv", "", path.read_text())
    assert len(page.all("img")) == 5
    assert all((image["alt"] or "").strip() for image in page.all("img"))
    metrics = json.loads((run / "metrics.json").read_text())
    assert f"the bone age was {metrics['mae_months']:.1f} (95 % interval" in page.text
    assert "not a medical device" in page.text
    discarded = page.text[page.text.index("Discarded") :]
    assert re.search(r"label without an image\s*2", discarded)
    assert re.search(r"unreadable image\s*1", discarded)
    assert "<script>&'\"" in page.text  # a name from config.json, escaped


def test_a_cross_validation_shows_its_folds_and_what_was_held_out(make_run: MakeRun) -> None:
    run = make_run()
    metrics = json.loads((run / "metrics.json").read_text())
    held_out = {**metrics, "count": 7, "mae_months": 3.25, "mae_ci95_months": [2.0, 4.5]}
    folds = {"mae_months_of_folds": [8.0, 9.0, 10.0], "held_out": held_out, "test": None}
    (run / "metrics.json").write_text(json.dumps({**metrics, **folds}))
    page = Page(write_run_report(run))
    headings = re.findall(r"<h2>(.*?)</h2>", (run / "report.html").read_text())
    assert headings[:3] == ["Results", "Folds", "Held out from all folds"]
    assert re.search(r"Fold 2\s*9\.00", page.text)
    assert "9.00 ± 1.00" in page.text
    assert "3.2 (2.0 to 4.5) months" in page.text


def test_the_page_can_go_elsewhere_and_replaces_an_earlier_one(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run, page = make_run(), tmp_path / "new" / "page.html"
    assert write_run_report(run, page) == page
    before = page.read_text()
    page.write_text("old")
    write_run_report(run, page)
    assert page.read_text() == before
    assert not (run / "report.html").exists()


def test_what_is_no_run_or_damaged_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"has no metrics\.json"):
        write_run_report(tmp_path)
    run = make_run()
    for content in ("{", "[]", '{"count": 3}', '{"count": "x"}'):
        (run / "metrics.json").write_text(content)
        with pytest.raises(InputError, match=r"metrics\.json is damaged"):
            write_run_report(run)


def records_in(folder: Path, count: int) -> list[Record]:
    return [
        Record(str(seed), write_hand(folder / f"{seed}.png", seed), Sex.FEMALE, 60.0 + 9 * seed)
        for seed in range(count)
    ]


def test_heat_maps_of_a_run_are_drawn_from_its_radiographs(tmp_path: Path) -> None:
    records = records_in(tmp_path / "images", 3)
    predictor = load(explaining_bundle(tmp_path / "tiny"), intake=False)
    run = tmp_path / "run"
    run.mkdir()
    evaluate_bundle(predictor, records, run)
    panel = run / "plots" / "heat_maps.png"
    panel.unlink(missing_ok=True)
    assert draw_run_heat_maps(run, predictor, records[:2]) == (panel, "")
    assert panel.is_file()
    page = Page(write_run_report(run))
    assert "What moved the estimate" in page.text
    with pytest.raises(NoInputError, match="None of the 3 cases"):
        draw_run_heat_maps(run, predictor, [])
    plain = load(tiny_bundle(tmp_path / "plain"), intake=False)
    drawn, reason = draw_run_heat_maps(run, plain, records)
    assert drawn is None
    assert "gives no heat map" in reason


def test_what_was_held_out_goes_before_what_was_learned_from(tmp_path: Path) -> None:
    records = records_in(tmp_path / "images", 4)
    predictor = load(explaining_bundle(tmp_path / "tiny"), intake=False)
    run = tmp_path / "run"
    run.mkdir()
    evaluate_bundle(predictor, records[:2], run)
    text = "id,sex,true_months,predicted_months\n3,female,87,80\n"
    (run / "held-out.csv").write_text(text)
    with pytest.raises(NoInputError, match="None of the 1 cases"):
        draw_run_heat_maps(run, predictor, records[:2])
    assert draw_run_heat_maps(run, predictor, records)[0] == run / "plots" / "heat_maps.png"
