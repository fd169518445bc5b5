"""``boneage prepare`` and ``boneage evaluate``."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_models import SIZE_PX, tiny_bundle, write_hand

from boneage.inference.predictor import load
from boneage.radiographs.preparation import Preparation, PreparationSettings
from boneage.radiographs.readers import read_radiograph


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Eight radiographs with labels, one that cannot be read and one without a label."""
    folder = tmp_path / "data"
    lines = ["id,boneage,male"]
    for number in range(8):
        write_hand(folder / "images" / f"{number}.png", seed=number)
        lines.append(f"{number},{60 + 10 * number},{number % 2 == 0}")
    (folder / "images" / "8.png").write_text("not an image")
    write_hand(folder / "images" / "unlabelled.png")
    (folder / "labels.csv").write_text("\n".join([*lines, "8,100,True"]) + "\n")
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_prepare_says_where_the_cache_is_and_what_was_left_out(
    run_cli: Any, labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "look"
    arguments = ["--out", out, "--size", str(SIZE_PX), "--cache", tmp_path / "cache"]
    done = run_cli("prepare", labelled, *arguments, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "8 radiographs prepared" in done.stdout
    assert str(tmp_path / "cache") in done.stdout
    assert list((tmp_path / "cache").rglob("*.npy"))
    assert sorted(path.name for path in out.iterdir()) == [
        *(f"{number}.png" for number in range(8)),
        "discarded.csv",
    ]
    assert {row["id"] for row in table(out / "discarded.csv")} == {"8", "unlabelled"}
    settings = PreparationSettings(size_px=SIZE_PX)
    wanted = Preparation(settings)(read_radiograph(labelled / "images" / "3.png")).image
    found = cv2.imread(str(out / "3.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found, np.rint(wanted * 255).astype(np.uint8))


def test_prepare_never_writes_over_originals(run_cli: Any, labelled: Path) -> None:
    before = (labelled / "images" / "3.png").read_bytes()
    done = run_cli("prepare", labelled, "--out", labelled / "images")
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (labelled / "images" / "3.png").read_bytes() == before


def test_prepare_with_a_wrong_size(run_cli: Any, labelled: Path) -> None:
    done = run_cli("prepare", labelled, "--size", "8")
    assert done.returncode == 2
    assert "16 to 4096" in done.stderr


def test_evaluate_writes_figures_that_agree_with_its_predictions(
    run_cli: Any, bundle: Path, labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation"
    done = run_cli("evaluate", labelled, "--model", bundle, "--out", out)
    assert done.returncode == 0, done.stderr
    rows = table(out / "predictions.csv")
    assert [row["id"] for row in rows] == [str(number) for number in range(8)]
    errors = [float(row["predicted_months"]) - float(row["true_months"]) for row in rows]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["count"] == 8
    assert metrics["mae_months"] == pytest.approx(np.abs(errors).mean(), abs=0.01)
    assert {row["id"] for row in table(out / "discarded.csv")} == {"8", "unlabelled"}
    assert json.loads((out / "config.json").read_text())["model"]["name"] == "tiny"
    assert (out / "plots" / "predicted_against_true.png").is_file()
    predictor = load(bundle)
    for row in rows:
        alone = predictor.predict(labelled / "images" / f"{row['id']}.png", row["sex"])
        assert float(row["predicted_months"]) == pytest.approx(alone.bone_age_months, abs=0.01)


def test_evaluate_a_part(run_cli: Any, bundle: Path, labelled: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    lines = [f"{number},{'val' if number < 3 else 'train'}" for number in range(8)]
    split.write_text("\n".join(["id,split", *lines]) + "\n")
    arguments = ["--model", bundle, "--split", split]
    for part, count in ((["--part", "val"], 3), ([], 3), (["--part", "train"], 5)):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        done = run_cli("evaluate", labelled, *arguments, *part, "--out", out)
        assert done.returncode == 0, done.stderr
        assert json.loads((out / "metrics.json").read_text())["count"] == count
    for part, said in (("test", "no radiograph"), ("some", "train, validation or test")):
        done = run_cli("evaluate", labelled, *arguments, "--part", part, "--out", tmp_path / "no")
        assert done.returncode == 2
        assert said in done.stderr
        assert not (tmp_path / "no").exists()
    done = run_cli(
        "evaluate", labelled, "--model", bundle, "--part", "val", "--out", tmp_path / "no"
    )
    assert done.returncode == 2
    assert "--split" in done.stderr


def test_evaluate_the_test_part_of_a_divided_folder(
    run_cli: Any, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "divided"
    for part, count in (("Training", 5), ("Test", 3)):
        lines = ["id,boneage,male"]
        for number in range(count):
            write_hand(folder / part / f"{number}.png", seed=number)
            lines.append(f"{number},{50 + number},True")
        (folder / f"{part.lower()}.csv").write_text("\n".join(lines) + "\n")
    for part, count in (([], 3), (["--part", "test"], 3), (["--part", "train"], 5)):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        done = run_cli("evaluate", folder, "--model", bundle, *part, "--out", out)
        assert done.returncode == 0, done.stderr
        assert json.loads((out / "metrics.json").read_text())["count"] == count


def test_evaluate_replaces_an_evaluation_only_when_asked_and_nothing_else(
    run_cli: Any, bundle: Path, labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation"
    arguments = ["evaluate", labelled, "--model", bundle, "--out", out]
    assert run_cli(*arguments).returncode == 0
    first = (out / "metrics.json").read_bytes()
    done = run_cli(*arguments)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert run_cli(*arguments, "--overwrite").returncode == 0
    assert (out / "metrics.json").read_bytes() == first
    (out / "thesis.tex").write_text("precious")
    done = run_cli(*arguments, "--overwrite")
    assert done.returncode == 2
    assert "thesis.tex" in done.stderr
    assert (out / "metrics.json").read_bytes() == first


def test_evaluate_when_nothing_can_be_predicted(
    run_cli: Any, labelled: Path, tmp_path: Path
) -> None:
    picky = tiny_bundle(tmp_path / "picky", preparation=None)

    out = tmp_path / "evaluation"
    done = run_cli("evaluate", labelled, "--model", picky, "--out", out)
    assert done.returncode == 2
    assert "Not one of the 9 radiographs could be predicted" in done.stderr
    assert len(table(out / "discarded.csv")) == 10
