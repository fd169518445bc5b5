"""Runs of made-up cases; the reader of pages and the tiny models can be imported here."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))

from boneage.evaluation import evaluate
from boneage.reports.run_plots import draw_run_plots

METRICS_HEADER = (
    "epoch,train_loss,train_mae_months,validation_mae_months,learning_rate,seconds\n"
)  # fmt: skip


def write_rows(path: Path, header: str, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write the tables of a run of made-up cases."""

    def make(count: int = 60, epochs: int = 5) -> Path:
        return write_run(tmp_path / "run", count, epochs)

    return make


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all its plots, drawn once; tests read it and write nothing into it."""
    run = write_run(tmp_path_factory.mktemp("reports") / "run", count=60, epochs=5)
    draw_run_plots(run, note="Synthetic radiographs; costs $5 and $6")  # no mathematics
    return run


def write_run(run: Path, count: int, epochs: int) -> Path:
    run.mkdir()
    rng = np.random.default_rng(count)
    true = rng.uniform(6, 220, count).round()
    predicted = true + rng.normal(1, 9, count)
    sexes = ["female" if draw < 0.5 else "male" for draw in rng.random(count)]
    cases = [str(1000 + i) for i in range(count)]
    write_rows(
        run / "predictions.csv", "id,sex,true_months,predicted_months",
        list(zip(cases, sexes, true, predicted, strict=True)),
    )  # fmt: skip
    parts = [("train", "validation", "test")[i % 3] for i in range(count)]
    write_rows(
        run / "data.csv", "id,sex,bone_age_months,part",
        list(zip(cases, sexes, true, parts, strict=True)),
    )  # fmt: skip
    curve = [(e, 9 / (e + 1), 80 / (e + 1), 85 / (e + 1), 1e-3, 2.5) for e in range(epochs)]
    write_rows(run / "metrics.csv", METRICS_HEADER.strip(), curve)
    metrics = evaluate(true, predicted, sexes, bootstrap=100).to_dict()
    (run / "metrics.json").write_text(json.dumps(metrics))
    config = {"training": {"epochs": epochs, "device": "cpu"}, "name": "<script>&'\""}
    (run / "config.json").write_text(json.dumps(config))
    return run
