"""``boneage explain``: a picture for each radiograph that is ok, a row for every one."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_models import explaining_bundle, write_hand

HEADER = "path,id,status,sex,bone_age_months,lower_months,upper_months,message"


@pytest.fixture(scope="module")
def explaining(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explaining_bundle(tmp_path_factory.mktemp("models") / "explaining")


def rows_in(folder: Path) -> list[dict[str, str]]:
    text = (folder / "rows.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == HEADER
    return list(csv.DictReader(text.splitlines()))


def test_every_radiograph_gets_its_picture_and_failures_cost_their_own_only(
    run_cli: Any, explaining: Path, scans: Path, tmp_path: Path
) -> None:
    write_hand(scans / "below" / "1.png", seed=5)
    (scans / "text.png").write_text("not an image")
    cv2.imwrite(str(scans / "black.png"), np.zeros((200, 150), np.uint8))
    out = tmp_path / "out"
    arguments = [scans, scans / "gone.png", "--sex", "female", "--model", explaining]
    done = run_cli("explain", *arguments, "--out", out, "--opacity", "0.8")
    assert done.returncode == 1, done.stderr
    rows = rows_in(out)
    assert {Path(row["path"]).name: row["status"] for row in rows} == {
        "1.png": "ok",
        "2.jpg": "ok",
        "3.tif": "ok",
        "text.png": "failed",
        "black.png": "refused",
        "gone.png": "failed",
    }
    pictures = sorted(path.name for path in out.iterdir())
    assert pictures == ["1-2.png", "1.png", "2.png", "3.png", "rows.csv"]
    first, second = (cv2.imread(str(out / name)) for name in ("1.png", "1-2.png"))
    assert first.shape[:2] > (720, 540)
    assert not np.array_equal(first, second)
    spread = first[:720].max(axis=2).astype(int) - first[:720].min(axis=2)
    assert (spread > 40).mean() > 0.05  # there are colours on the grey
    assert "6 ok" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_rows_are_those_of_predict(
    run_cli: Any, explaining: Path, scans: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "sexes.csv"
    labels.write_text("id,male\n1,True\n2,False\n")
    arguments = [scans, "--labels", labels, "--model", explaining]
    explained = run_cli("explain", *arguments, "--out", tmp_path / "out")
    predicted = run_cli("predict", *arguments, "--out", tmp_path / "rows.csv")
    assert explained.returncode == predicted.returncode == 1  # the sex of the third is not known
    assert (tmp_path / "out" / "rows.csv").read_text() == (tmp_path / "rows.csv").read_text()


def test_a_command_line_that_cannot_work_leaves_nothing(
    run_cli: Any, explaining: Path, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    basic = ["explain", scans, "--sex", "F", "--out", out]
    for arguments, message in (
        ([*basic, "--model", bundle], "gives no heat map"),
        ([*basic, "--model", explaining, "--opacity", "0"], "--opacity must be above 0 to 1"),
        (["explain", tmp_path / "*.png", "--sex", "F", "--out", out], "no radiograph"),
    ):
        done = run_cli(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert not out.exists()
    done = run_cli("explain", scans, "--sex", "F", "--model", explaining, "--out", scans)
    assert done.returncode == 2
    assert "not empty" in done.stderr
