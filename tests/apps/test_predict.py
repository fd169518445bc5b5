import csv
import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_models import MONTHS_OF_MALE, hand_pixels, scaled_bundle, tiny_bundle, write_hand

HEADER = "path,id,status,sex,bone_age_months,lower_months,upper_months,message"


def rows_of(text: str) -> list[dict[str, str]]:
    """Rows of a CSV; its header must be the contract's."""
    assert text.splitlines()[0] == HEADER
    return list(csv.DictReader(io.StringIO(text, newline="")))


def spoilt(folder: Path) -> dict[str, str]:
    """Write files that no bone age can be put on; the status that each is to get."""
    whole = write_hand(folder / "truncated.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not an image")
    (folder / "nothing.jpg").write_bytes(b"")
    cv2.imwrite(str(folder / "pixel.png"), np.full((1, 1), 7, np.uint8))
    cv2.imwrite(str(folder / "black.png"), np.zeros((200, 150), np.uint8))
    return {
        "truncated.png": "failed",
        "text.png": "failed",
        "nothing.jpg": "failed",
        "pixel.png": "refused",
        "black.png": "refused",
    }


def test_a_folder_of_radiographs(run_cli: Any, bundle: Path, scans: Path) -> None:
    done = run_cli("predict", scans, "--sex", "female", "--model", bundle)
    assert (done.returncode, done.stderr) == (0, "")
    rows = rows_of(done.stdout)
    assert [row["path"] for row in rows] == [
        str(scans / name) for name in ("1.png", "2.jpg", "below/3.tif")
    ]
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    for row in rows:
        assert (row["status"], row["sex"], row["message"]) == ("ok", "female", "")
        lower, age, upper = (
            float(row[name]) for name in ("lower_months", "bone_age_months", "upper_months")
        )
        assert 0 <= lower < age < upper


def test_every_input_gets_its_row_and_the_exit_code_says_that_some_are_not_ok(
    run_cli: Any, bundle: Path, scans: Path
) -> None:
    wanted = spoilt(scans)
    inputs = [scans, scans / "gone.png"]
    done = run_cli("predict", *inputs, "--sex", "male", "--model", bundle)
    assert done.returncode == 1, done.stderr
    rows = {row["path"].removeprefix(f"{scans}/"): row for row in rows_of(done.stdout)}
    wanted |= {"1.png": "ok", "2.jpg": "ok", "below/3.tif": "ok", "gone.png": "failed"}
    assert {name: row["status"] for name, row in rows.items()} == wanted
    for name, row in rows.items():
        numbers = [row["bone_age_months"], row["lower_months"], row["upper_months"]]
        if wanted[name] == "ok":
            assert all(numbers)
        else:
            assert numbers == ["", "", ""]
            assert Path(name).name in row["message"]
    assert "Traceback" not in done.stderr


def test_no_input_at_all(run_cli: Any, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run_cli("predict", tmp_path / "empty", f"{tmp_path}/*.png", "--model", bundle)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "empty holds no radiographs" in done.stderr
    assert "*.png matches nothing" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: There is no radiograph among the inputs."


def test_an_empty_folder_beside_radiographs_is_said(
    run_cli: Any, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = run_cli("predict", tmp_path / "empty", scans, "--sex", "F", "--model", bundle)
    assert done.returncode == 0
    assert len(rows_of(done.stdout)) == 3
    assert done.stderr.startswith("note: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict"], "INPUT"),
        (["predict", "x.png", "--out"], "--out"),
        (["predict", "x.png", "--frobnicate"], "--frobnicate"),
        (["predict", "x.png", "--sex", "other"], "'other' is not a sex"),
        (["predict", "x.png", "--out", "ages.xlsx"], ".csv or .json"),
        (["predict", "x.png", "--labels", "gone.csv"], "gone.csv"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_wrong_command_line(run_cli: Any, arguments: list[str], said: str) -> None:
    done = run_cli(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_the_same_radiographs_in_the_order_in_which_they_are_named(
    run_cli: Any, bundle: Path, scans: Path
) -> None:
    inputs = ["below", "2.jpg", "*.png", "2.jpg"]
    done = run_cli("predict", *inputs, "--sex", "F", "--model", bundle, cwd=scans)
    assert [row["path"] for row in rows_of(done.stdout)] == ["below/3.tif", "2.jpg", "1.png"]


def test_names_with_spaces_and_other_letters(run_cli: Any, bundle: Path, tmp_path: Path) -> None:
    names = ["Große Hand, links.png", 'a "quoted" name.png', "手.png", "new\nline.png"]
    for name in names:
        write_hand(tmp_path / "in" / name)
    out = tmp_path / "Ergebnis für Jörg.csv"
    arguments = ["--sex", "F", "--model", bundle, "--out", out]
    done = run_cli("predict", *[tmp_path / "in" / name for name in names], *arguments)
    assert done.returncode == 0, done.stderr
    assert "4 inputs: 4 ok" in done.stderr
    rows = rows_of(out.read_bytes().decode("utf-8"))
    assert [Path(row["path"]).name for row in rows] == names
    assert [row["id"] for row in rows] == [Path(name).stem for name in names]


def test_a_name_that_is_no_utf8(run_cli: Any, bundle: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"scan-\xff.png")
    try:
        write_hand(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    out = tmp_path / "out.csv"
    done = run_cli("predict", tmp_path / name, "--sex", "F", "--model", bundle, "--out", out)
    assert done.returncode == 0, done.stderr
    assert b"scan-\xff.png,scan-\xff,ok" in out.read_bytes()


def test_json_has_the_same_rows(run_cli: Any, bundle: Path, scans: Path, tmp_path: Path) -> None:
    (scans / "4.png").write_text("no image")
    common = ["--sex", "male", "--model", bundle, "--out"]
    for name in ("out.csv", "out.json"):
        done = run_cli("predict", scans, *common, tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
    rows = rows_of((tmp_path / "out.csv").read_text("utf-8"))
    objects = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [
        {name: "" if value is None else str(value) for name, value in item.items()}
        for item in objects
    ] == rows
    failed = next(item for item in objects if item["id"] == "4")
    assert failed["bone_age_months"] is None
    assert isinstance(objects[0]["bone_age_months"], float)


def test_the_label_table_gives_the_sex(run_cli: Any, bundle: Path, tmp_path: Path) -> None:
    for name in ("girl", "boy", "stranger"):
        write_hand(tmp_path / "in" / f"{name}.png")
    labels = tmp_path / "labels.csv"
    labels.write_text("id,male\nboy,True\ngirl,False\nabsent,True\n")
    done = run_cli("predict", tmp_path / "in", "--labels", labels, "--model", bundle)
    assert done.returncode == 1
    rows = {row["id"]: row for row in rows_of(done.stdout)}
    assert {name: (row["status"], row["sex"]) for name, row in rows.items()} == {
        "girl": ("ok", "female"),
        "boy": ("ok", "male"),
        "stranger": ("refused", ""),
    }
    assert "--sex" in rows["stranger"]["message"]
    assert "--labels" in rows["stranger"]["message"]
    # The three images are the same, so the sex alone makes the difference.
    ages = {name: float(row["bone_age_months"] or 0) for name, row in rows.items()}
    assert ages["boy"] - ages["girl"] == pytest.approx(MONTHS_OF_MALE, abs=0.11)


def test_the_sex_option_goes_first_and_a_contradiction_is_said(
    run_cli: Any, bundle: Path, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        write_hand(tmp_path / "in" / f"{name}.png")
    labels = tmp_path / "labels.csv"
    labels.write_text("id,boneage,male\na,100,True\nb,100,False\n")
    arguments = ["--labels", labels, "--sex", "female", "--model", bundle]
    done = run_cli("predict", tmp_path / "in", *arguments)
    assert done.returncode == 0
    rows = {row["id"]: row for row in rows_of(done.stdout)}
    assert {row["sex"] for row in rows.values()} == {"female"}
    assert "--labels says male" in rows["a"]["message"]
    assert (rows["b"]["message"], rows["c"]["message"]) == ("", "")


def test_nothing_is_assumed_without_a_sex(run_cli: Any, bundle: Path, scans: Path) -> None:
    done = run_cli("predict", scans, "--model", bundle)
    assert done.returncode == 1
    assert {row["status"] for row in rows_of(done.stdout)} == {"refused"}


def test_a_zip_is_a_model_too(run_cli: Any, bundle: Path, scans: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        for file in bundle.iterdir():
            archive.write(file, f"tiny/{file.name}")
    by_folder = run_cli("predict", scans, "--sex", "F", "--model", bundle)
    by_zip = run_cli("predict", scans, "--sex", "F", "--model", tmp_path / "m.zip")
    by_variable = run_cli("predict", scans, "--sex", "F", env={"BONEAGE_MODEL": str(bundle)})
    assert by_zip.returncode == 0
    assert by_folder.stdout == by_zip.stdout == by_variable.stdout


def test_a_model_without_an_interval(run_cli: Any, scans: Path, tmp_path: Path) -> None:
    plain = tiny_bundle(tmp_path / "plain", interval=None)
    done = run_cli("predict", scans / "1.png", "--sex", "F", "--model", plain)
    assert done.returncode == 0
    row = rows_of(done.stdout)[0]
    assert row["bone_age_months"]
    assert (row["lower_months"], row["upper_months"]) == ("", "")


def test_the_level_sets_the_width_of_the_interval(
    run_cli: Any, scans: Path, tmp_path: Path
) -> None:
    model = scaled_bundle(tmp_path / "scaled")
    arguments = ["predict", scans / "1.png", "--sex", "F", "--model", model, "--no-intake"]
    ages, widths = [], []
    for options in ([], ["--level", "0.9"], ["--level", "0.8"], ["--level", "0.5"]):
        done = run_cli(*arguments, *options)
        assert done.returncode == 0, done.stderr
        row = rows_of(done.stdout)[0]
        ages.append(row["bone_age_months"])
        widths.append(float(row["upper_months"]) - float(row["lower_months"]))
    assert len(set(ages)) == 1
    assert widths == pytest.approx([16.0, 16.0, 10.0, 4.0], abs=0.21)


@pytest.mark.parametrize("level", ["0.2", "0.99", "90"])
def test_a_level_out_of_reach_is_one_clear_line(
    run_cli: Any, scans: Path, tmp_path: Path, level: str
) -> None:
    model = scaled_bundle(tmp_path / "scaled")
    done = run_cli("predict", scans, "--sex", "F", "--model", model, "--level", level)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --level must be within 0.5 to 0.95")


def test_models_that_cannot_be_used(
    run_cli: Any, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle, damaged)
    (damaged / "model.onnx").write_bytes(b"\x00" + (bundle / "model.onnx").read_bytes()[1:])
    later = tmp_path / "later"
    shutil.copytree(bundle, later)
    card = json.loads((bundle / "card.json").read_text())
    card |= {"format_version": 99, "boneage_version": "8.1.0"}
    (later / "card.json").write_text(json.dumps(card))
    for model, said in [
        (tmp_path / "gone", "There is no model at"),
        (scans, "card.json is missing"),
        (scans / "1.png", "damaged"),
        (damaged, "model.onnx is damaged"),
        (later, "Use boneage 8.1.0"),
    ]:
        out = tmp_path / "never.csv"
        done = run_cli("predict", scans, "--sex", "F", "--model", model, "--out", out)
        assert done.returncode != 0
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1
        assert said in done.stderr
        assert str(model) in done.stderr
        assert done.stdout == ""
        assert not out.exists()


def test_without_any_model_the_one_that_comes_along_answers(run_cli: Any, tmp_path: Path) -> None:
    hand = write_hand(tmp_path / "hand.png", seed=3)
    done = run_cli("predict", hand, "--sex", "M", env={"BONEAGE_MODEL": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    lower, months, upper = (
        float(row[name]) for name in ("lower_months", "bone_age_months", "upper_months")
    )
    assert 0 <= lower < months < upper < 300


def test_the_radiographs_are_not_changed(run_cli: Any, bundle: Path, scans: Path) -> None:
    before = {path: path.read_bytes() for path in scans.rglob("*") if path.is_file()}
    run_cli("predict", scans, "--sex", "F", "--model", bundle, cwd=scans)
    assert {path: path.read_bytes() for path in scans.rglob("*") if path.is_file()} == before


def test_sixteen_bit_and_inverted_radiographs_are_taken(
    run_cli: Any, bundle: Path, tmp_path: Path
) -> None:
    pixels = hand_pixels()
    cv2.imwrite(str(tmp_path / "deep.png"), pixels.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "plain.png"), pixels)
    done = run_cli("predict", tmp_path, "--sex", "F", "--model", bundle)
    deep, plain = rows_of(done.stdout)
    assert deep["bone_age_months"] == plain["bone_age_months"]


@pytest.mark.real_data
def test_real_radiographs_with_their_label_table(
    run_cli: Any, bundle: Path, shared_data: Path
) -> None:
    folder = shared_data / "rsna-originals"
    done = run_cli("predict", folder, "--labels", folder / "labels.csv", "--model", bundle)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(done.stdout)) == 14
