"""The panel of heat maps that an evaluation draws."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))

from tiny_models import explaining_bundle, tiny_bundle, write_hand

from boneage.dataset.records import Record
from boneage.inference.predictor import Predictor, load
from boneage.radiographs.radiograph import Sex
from boneage.reports.evaluation_run import evaluate_bundle
from boneage.reports.heat_maps import Case, draw_heat_maps


def records_in(folder: Path, count: int) -> list[Record]:
    return [
        Record(str(seed), write_hand(folder / f"{seed}.png", seed), Sex.FEMALE, 60.0 + 9 * seed)
        for seed in range(count)
    ]


def cases_of(predictor: Predictor, records: list[Record]) -> list[Case]:
    return [(record, predictor.predict(record.path, record.sex)) for record in records]


@pytest.mark.parametrize("count", [1, 3])
def test_the_panel_has_colours(tmp_path: Path, count: int) -> None:
    predictor = load(explaining_bundle(tmp_path / "tiny"))
    cases = cases_of(predictor, records_in(tmp_path, count))
    path = draw_heat_maps(tmp_path / "panel.png", cases, "synthetic")
    assert path == tmp_path / "panel.png"
    picture = imread(path)[..., :3]
    upper = picture[: int(0.9 * len(picture))]
    assert (np.ptp(upper, axis=2) > 0.1).mean() > 0.005 * count


def test_a_file_that_has_gone_costs_its_own_picture_only(tmp_path: Path) -> None:
    predictor = load(explaining_bundle(tmp_path / "tiny"))
    cases = cases_of(predictor, records_in(tmp_path, 2))
    Path(cases[0][0].path).unlink()
    path = draw_heat_maps(tmp_path / "panel.png", cases)
    assert path is not None
    assert (np.ptp(imread(path)[..., :3], axis=2) > 0.1).mean() > 0.005


def test_an_evaluation_draws_it_where_the_model_gives_heat_maps(tmp_path: Path) -> None:
    records = records_in(tmp_path / "images", 2)
    for name, make, drawn in (("with", explaining_bundle, True), ("without", tiny_bundle, False)):
        out = tmp_path / name
        out.mkdir()
        done = evaluate_bundle(load(make(tmp_path / f"{name}-model")), records, out)
        panel = out / "plots" / "heat_maps.png"
        assert panel.is_file() is drawn
        assert (panel in done.plots) is drawn


def test_no_heat_map_no_panel(tmp_path: Path) -> None:
    predictor = load(explaining_bundle(tmp_path / "tiny"))
    ((record, answer),) = cases_of(predictor, records_in(tmp_path, 1))
    bare = dataclasses.replace(answer, heat_map=None)
    assert draw_heat_maps(tmp_path / "panel.png", [(record, bare)]) is None
    assert not (tmp_path / "panel.png").exists()
