"""``boneage train`` and ``boneage demo`` as a user runs them: processes, files, exit codes."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from boneage.radiographs.phantom import write_phantom_dataset

SMALL = ["--size", "64", "--epochs", "2", "--batch-size", "16", "--width", "8", "--threads", "1"]
PLOTS = {
    "learning_curves.png", "predicted_against_true.png", "error_distribution.png",
    "bland_altman.png", "population.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_dataset(tmp_path_factory.mktemp("data") / "phantoms", 70, seed=5)


@pytest.fixture(scope="module")
def split(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with (data / "labels.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    path = tmp_path_factory.mktemp("split") / "split.csv"
    path.write_text(
        "id,split\n"
        + "".join(f"{x},{'val' if i % 3 == 0 else 'train'}\n" for i, x in enumerate(ids))
    )
    return path


def test_train_then_predict_and_evaluate(run_cli, data: Path, split: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_cli("train", data, "--out", run, "--split", split, *SMALL, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "MAE" in done.stdout
    assert "epoch 2/2" in done.stdout
    assert {plot.name for plot in (run / "plots").glob("*.png")} == PLOTS
    with (run / "predictions.csv").open(newline="") as file:
        validated = {row["id"] for row in csv.DictReader(file)}
    with split.open(newline="") as file:
        wanted = {row["id"] for row in csv.DictReader(file) if row["split"] == "val"}
    assert validated == wanted

    refused = run_cli("train", data, "--out", run, "--split", split, *SMALL)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    assert "Traceback" not in refused.stderr

    predicted = run_cli(
        "predict", data / "images", "--labels", data / "labels.csv",
        "--model", run / "bundle", "--out", tmp_path / "ages.csv",
    )  # fmt: skip
    assert predicted.returncode == 0, predicted.stderr
    with (tmp_path / "ages.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 70
    assert all(row["status"] == "ok" and row["lower_months"] for row in rows)

    measured = run_cli(
        "evaluate", data, "--model", run / "bundle", "--split", split,
        "--out", tmp_path / "evaluation",
    )  # fmt: skip
    assert measured.returncode == 0, measured.stderr
    once = json.loads((run / "metrics.json").read_text())
    again = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert again["count"] == once["count"]
    assert again["mae_months"] == pytest.approx(once["mae_months"], abs=0.5)


def test_the_command_killed_with_9_goes_on_with_resume(run_cli, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [
        "train",
        data,
        "--out",
        run,
        *SMALL,
        "--epochs",
        "6",
        "--architecture",
        "hypermodel",
    ]
    source = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(
        [sys.executable, "-m", "boneage", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 240
        rows = run / "metrics.csv"
        while not (rows.exists() and len(rows.read_text().splitlines()) >= 3):
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    before = rows.read_text().splitlines()
    done = run_cli(*arguments, "--resume", timeout=300)
    assert done.returncode == 0, done.stderr
    after = rows.read_text().splitlines()
    assert len(after) == 7
    # The last epoch may have been lost between its row and its checkpoint; it is run again.
    assert after[:2] == before[:2]
    assert (run / "bundle" / "model.onnx").exists()


def empty_folder(place: Path) -> Path:
    place.mkdir()
    return place


def no_columns(place: Path) -> Path:
    (place / "images").mkdir(parents=True)
    cv2.imwrite(str(place / "images" / "1.png"), np.full((99, 88), 7, np.uint8))
    (place / "labels.csv").write_text("a,b\n1,2\n")
    return place


def no_overlap(place: Path) -> Path:
    no_columns(place)
    (place / "labels.csv").write_text("id,boneage,male\nx,100,True\n")
    return place


def conflict(place: Path) -> Path:
    no_columns(place)
    (place / "labels.csv").write_text("id,boneage,male\n1,100,True\n1,120,True\n")
    return place


def nothing_suitable(place: Path) -> Path:
    (place / "images").mkdir(parents=True)
    cv2.imwrite(str(place / "images" / "1.png"), np.zeros((1, 1), np.uint8))
    cv2.imwrite(str(place / "images" / "2.png"), np.zeros((99, 88), np.uint8))
    (place / "images" / "3.png").write_text("this is text")
    (place / "labels.csv").write_text(
        "id,boneage,male\n1,100,True\n2,120,False\n3,90,True\n4,80,False\n"
    )
    return place


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty_folder, "no images"),
        (no_columns, "label"),
        (no_overlap, "label"),
        (conflict, "1"),
        (nothing_suitable, "prepared"),
    ],
)
def test_bad_data_is_one_clear_line(run_cli, make, words: str, tmp_path: Path) -> None:
    done = run_cli("train", make(tmp_path / "data"), "--out", tmp_path / "run", *SMALL)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        (["--epochs", "0"], "--epochs"),
        (["--dropout", "1.5"], "--dropout"),
        (["--architecture", "vgg"], "--architecture"),
        (["--device", "cuda"], "--device cuda"),
        (["--config", "nowhere.json"], "--config"),
    ],
)
def test_bad_options_are_named(run_cli, data: Path, options, flag: str, tmp_path: Path) -> None:
    done = run_cli("train", data, "--out", tmp_path / "run", *SMALL, *options)
    assert done.returncode == 2
    assert flag in done.stderr
    assert "Traceback" not in done.stderr


def test_an_out_that_cannot_be_written_is_a_clear_error(
    run_cli, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run_cli("train", data, "--out", tmp_path / "file" / "run", *SMALL)
    assert done.returncode == 2
    assert "Choose another place" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_image_costs_its_own_row_only(run_cli, tmp_path: Path) -> None:
    folder = write_phantom_dataset(tmp_path / "phantoms", 40, seed=2)
    images = sorted((folder / "images").iterdir())
    images[0].write_text("this is text")
    images[1].write_bytes(images[1].read_bytes()[:2000])
    cv2.imwrite(str(images[2]), np.zeros((1, 1), np.uint8))
    cv2.imwrite(str(images[3]), np.zeros((120, 100), np.uint8))
    run = tmp_path / "run"
    done = run_cli("train", folder, "--out", run, *SMALL, "--epochs", "1", timeout=300)
    assert done.returncode == 0, done.stderr
    with (run / "discarded.csv").open(newline="") as file:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons == {
        images[0].stem: "unreadable image",
        images[1].stem: "unreadable image",
        images[2].stem: "unsuitable image",
        images[3].stem: "unsuitable image",
    }
    assert "2 unreadable images" in done.stdout


def test_prepared_images_can_be_trained_on_as_they_are(run_cli, data: Path, tmp_path: Path) -> None:
    done = run_cli("prepare", data, "--size", "64", "--out", tmp_path / "prepared")
    assert done.returncode == 0, done.stderr
    again = tmp_path / "again"
    (again / "images").mkdir(parents=True)
    for image in (tmp_path / "prepared").rglob("*.png"):
        image.rename(again / "images" / image.name)
    (again / "labels.csv").write_bytes((data / "labels.csv").read_bytes())
    done = run_cli(
        "train", again, "--out", tmp_path / "run", *SMALL, "--no-preprocessing", timeout=300
    )
    assert done.returncode == 0, done.stderr
    one = next((again / "images").iterdir())
    done = run_cli("predict", one, "--sex", "F", "--model", tmp_path / "run" / "bundle")
    assert done.returncode == 0, done.stderr
    done = run_cli("train", data, "--out", tmp_path / "run2", *SMALL, "--no-preprocessing")
    assert done.returncode == 2
    assert "square" in done.stderr


def test_the_demo_makes_its_report(run_cli, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    options = ["--out", out, "--count", "120", "--epochs", "1"]
    done = run_cli("demo", *options, timeout=300)
    assert done.returncode == 0, done.stderr
    page = (out / "report.html").read_text()
    assert "synthetic" in page.lower()
    assert "<script" not in page
    assert (out / "evaluation" / "metrics.json").exists()
    again = run_cli("demo", *options)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    other = run_cli("demo", "--out", tmp_path / "mine", "--overwrite")
    assert other.returncode == 2
    assert (tmp_path / "mine" / "thesis.txt").exists()
