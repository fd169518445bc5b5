"""What the API answers: the rows of ``boneage predict``, and what stands beside them."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from api_tools import ApiServer, problem, rows
from dicom_files import write_dicom
from tiny_models import hand_pixels, write_hand

from boneage.inference.rows import COLUMNS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Radiographs of each format and what is none, in a folder."""
    folder = tmp_path_factory.mktemp("files")
    made = [
        write_hand(folder / name, seed) for seed, name in enumerate(["a.png", "b.jpg", "c.tif"])
    ]
    made.append(write_dicom(folder / "d.dcm", hand_pixels(3), PatientSex="M"))
    made.append(write_hand(folder / 'ünd "so", weiter.png', 4))
    photograph = np.random.default_rng(5).integers(0, 255, (300, 225), np.uint8)
    made.append(folder / "photograph.png")
    made[-1].write_bytes(cv2.imencode(".png", photograph)[1].tobytes())
    for name, content in {"text.png": b"no picture", "empty": b""}.items():
        made.append(folder / name)
        made[-1].write_bytes(content)
    cut = folder / "cut.jpg"
    cut.write_bytes(made[1].read_bytes()[:-500])
    return [*made, cut]


@pytest.mark.parametrize("sex", ["female", "male", None])
def test_the_rows_are_those_of_the_command_line(
    api: ApiServer, explaining: Path, files: list[Path], run_cli: Any, sex: str | None
) -> None:
    folder = files[0].parent
    options = ["--model", explaining] + ([] if sex is None else ["--sex", sex])
    done = run_cli("predict", *(file.name for file in files), *options, cwd=folder)
    answer = api.predict(*files, sex=sex, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content == done.stdout.encode()
    found = rows(api.predict(*files, sex=sex))
    cells = list(csv.DictReader(io.StringIO(done.stdout)))
    as_text = [{key: "" if row[key] is None else str(row[key]) for key in COLUMNS} for row in found]
    assert as_text == cells
    assert [row["status"] for row in found].count("failed") == 3
    assert {row["status"] for row in found} == {"ok", "refused", "failed"}


def test_what_a_table_of_json_has_is_what_the_rows_have(
    api: ApiServer, explaining: Path, hand: Path, run_cli: Any, tmp_path: Path
) -> None:
    out = tmp_path / "ages.json"
    run_cli(
        "predict", hand.name, "--sex", "F", "--model", explaining, "--out", out, cwd=hand.parent
    )
    (row,) = rows(api.predict(hand))
    assert {key: row[key] for key in COLUMNS} == json.loads(out.read_text())[0]
    assert tuple(row)[:8] == COLUMNS


def test_the_sex_is_never_assumed(api: ApiServer, hand: Path, tmp_path: Path) -> None:
    dicom = write_dicom(tmp_path / "boy.dcm", hand_pixels(), PatientSex="M")
    unknown, known = rows(api.predict(hand, dicom, sex=None))
    assert (unknown["status"], unknown["sex"], unknown["bone_age_months"]) == (
        "refused",
        None,
        None,
    )
    assert "the sex is not known" in unknown["message"]
    assert (known["status"], known["sex"]) == ("ok", "male")
    (other,) = rows(api.predict(dicom, sex="female"))
    assert other["warnings"] == ["the sex given is female, but the file says male"]
    assert other["message"] == other["warnings"][0]


def test_the_age_puts_the_bone_age_on_the_references(api: ApiServer, hand: Path) -> None:
    (row,) = rows(api.predict(hand, age_months=96, height_cm=128))
    assert (row["age_months"], row["age_source"], row["height_cm"]) == (96.0, "given", 128.0)
    reach = (row["normal_upper_months"] - row["normal_lower_months"]) / 4  # 1 SD
    assert row["sd_score"] == pytest.approx((row["bone_age_months"] - 96) / reach, abs=0.02)
    assert row["lower_sd_score"] < row["sd_score"] < row["upper_sd_score"]
    assert row["lower_adult_height_cm"] < row["adult_height_cm"] < row["upper_adult_height_cm"]
    assert (row["sd_note"], row["adult_height_note"], row["level"]) == ("", "", 0.9)
    (stanford,) = rows(api.predict(hand, age_months=96, norm="stanford"))
    assert stanford["normal_lower_months"] != row["normal_lower_months"]
    assert stanford["adult_height_note"] == "The height is not known."
    (old,) = rows(api.predict(hand, age_months=290))
    assert old["sd_score"] is None
    assert "reaches from" in old["sd_note"]


def test_a_birth_date_needs_the_day_of_the_radiograph(
    api: ApiServer, hand: Path, tmp_path: Path
) -> None:
    (row,) = rows(api.predict(hand, birth_date="2010-05-01", taken_date="2020-05-01"))
    assert (row["age_months"], row["age_source"]) == (120.0, "birth date")
    (row,) = rows(api.predict(hand, birth_date="2010-05-01"))
    assert (row["age_months"], row["age_source"]) == (None, "not known")
    assert row["sd_note"] == "The chronological age is not known."
    (row,) = rows(api.predict(hand, birth_date="2020-05-01", taken_date="2010-05-01"))
    assert row["age_months"] is None
    header = {"PatientSex": "F", "StudyDate": "20200501", "PatientBirthDate": "20080501"}
    dicom = write_dicom(tmp_path / "girl.dcm", hand_pixels(), **header)
    (row,) = rows(api.predict(dicom, sex=None))
    assert (row["age_months"], row["age_source"]) == (144.0, "file")
    (row,) = rows(api.predict(dicom, birth_date="2010-05-01"))
    assert (row["age_months"], row["age_source"]) == (120.0, "birth date")
    (row,) = rows(api.predict(dicom, age_months=100))
    assert (row["age_months"], row["age_source"]) == (100.0, "given")
    both = problem(api.predict(dicom, birth_date="2010-05-01", age_months=100), 422)
    assert both["detail"] == "Give the age or the birth date, not both."


def test_the_heat_map_is_a_picture_of_the_radiographs_shape(api: ApiServer, hand: Path) -> None:
    (row,) = rows(api.predict(hand, heat_map="true"))
    png = base64.b64decode(row["heat_map"]["png"])
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (240, 180, 4)
    assert row["heat_map"]["limit_months"] > 0
    assert rows(api.predict(hand))[0]["heat_map"] is None
    assert rows(api.predict(("x.png", b""), heat_map="true"))[0]["heat_map"] is None


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\hand.png", "hand.png"),
        ("/", "radiograph"),
        ("..", "radiograph"),
        ("a\x00b\x1f.png", "a_b_.png"),
    ],
)
def test_of_a_name_the_last_part_is_taken(api: ApiServer, sent: str, named: str) -> None:
    disposition = f'form-data; name="files"; filename="{sent}"'.replace("\\", "\\\\")
    body = f"--x\r\nContent-Disposition: {disposition}\r\n\r\nno picture\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    (row,) = rows(api.http.post("/api/v1/predictions", content=body.encode(), headers=kind))
    assert row["path"] == named
    assert named in row["message"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"sex": "f"}, "sex"),
        ({"age_months": "301"}, "age_months"),
        ({"age_months": "nan"}, "age_months"),
        ({"birth_date": "1577836800"}, "birth_date"),
        ({"birth_date": "2020-02-30"}, "birth_date"),
        ({"height_cm": "1.4"}, "height_cm"),
        ({"norm": "other"}, "norm"),
        ({"heat_map": "perhaps"}, "heat_map"),
        ({"weight_kg": "30"}, "weight_kg"),
    ],
)
def test_a_wrong_field_is_named(
    api: ApiServer, hand: Path, fields: dict[str, str], wrong: str
) -> None:
    body = problem(api.predict(hand, **fields), 422)
    assert [item["field"] for item in body["errors"]] == [wrong]


def test_the_model_says_who_it_is(api: ApiServer) -> None:
    facts = api.http.get("/api/v1/model").json()
    assert (facts["name"], facts["level"], facts["gives_heat_map"]) == ("tiny", 0.9, True)
    assert facts["sexes"] == ["female", "male"]


def test_counters_say_what_was_answered(api: ApiServer, hand: Path) -> None:
    name = 'boneage_radiographs_total{status="ok"}'
    before = api.metric(name)
    api.predict(hand, hand)
    assert api.metric(name) == before + 2
    assert api.metric("boneage_waiting") == 0
    assert api.metric("boneage_work_seconds_count") > 2
    assert api.http.get("/health").json() == {"status": "ok", "problems": []}
