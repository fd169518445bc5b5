"""``boneage crossval`` as a user types it; what it computes is in ``tests/training``."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from boneage.radiographs.phantom import write_phantom_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_dataset(tmp_path_factory.mktemp("data") / "phantoms", 6, height_px=64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--folds", "1"], "--folds must be within 2 to 50, not 1"),
        (["--fold", "9"], "--fold must be within 1 to 5, not 9"),
        (["--split", "nowhere.csv"], "nowhere.csv"),
        (["--trials", "3"], "--trials is for a search: say --search as well"),
        (["--search", "--fraction", "0"], "--fraction must be above 0"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    run_cli: Any, data: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    done = run_cli("crossval", data, "--out", tmp_path / "folds", "--size", "32", *options)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert done.stderr.splitlines()[-1] == line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "folds").exists()


def test_each_fold_is_searched_in_what_it_learns_from(
    run_cli: Any, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    folder = tmp_path_factory.mktemp("more") / "phantoms"
    write_phantom_dataset(folder, 16, height_px=64, workers=1)
    out = tmp_path / "folds"
    lists = ["--conv-layers", "2", "--conv-filters", "2", "4", "--dense-depth", "1"]
    lists += ["--dropout", "0.1"]
    done = run_cli(
        "crossval", folder, "--out", out, "--folds", "2", "--search", *lists, "--trials", "2",
        "--size", "32", "--epochs", "1", "--batch-size", "4", "--threads", "1", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fold_of = {row["id"]: row["fold"] for row in rows_of(out / "folds.csv")}
    for fold in ("1", "2"):
        learned = {name for name, own in fold_of.items() if own != fold}
        config = json.loads((out / "search" / f"fold-{fold}" / "config.json").read_text())
        parts = config["data"]
        assert parts["train"]["count"] + parts["validation"]["count"] == len(learned)
        trials = rows_of(out / "search" / f"fold-{fold}" / "trials.csv")
        best = min(trials, key=lambda row: float(row["validation_mae_months"]))
        chosen = json.loads((out / f"fold-{fold}" / "config.json").read_text())["settings"]
        assert chosen["network"]["conv_filters"] == int(best["conv_filters"])
        assert {row["conv_filters"] for row in trials} == {"2", "4"}
    assert len(rows_of(out / "predictions.csv")) == 16


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
