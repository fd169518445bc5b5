"""``boneage predict --dicom-out``: results beside rows and exit codes that stay as they are."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import pytest
from dicom_sources import IDENTITY, write_dicom
from pydicom import dcmread
from pydicom.dataset import Dataset

import boneage

SOURCE = Path(boneage.__file__).parents[1]
KEY = {"BONEAGE_DEIDENTIFY_KEY": "a secret of some length"}


def results_in(folder: Path) -> dict[str, Dataset]:
    """The results by kind, as sr and sheet."""
    return {path.name.split("-")[2]: dcmread(path) for path in folder.iterdir()}


def bone_ages_of(item: Dataset) -> list[float]:
    """The bone ages of a structured report, in months."""
    own = []
    if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == "37362-1":
        own.append(float(item.MeasuredValueSequence[0].NumericValue))
    below = [bone_ages_of(child) for child in item.get("ContentSequence", [])]
    return own + [months for found in below for months in found]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_dicom(tmp_path / "Jones_Indiana.dcm", BurnedInAnnotation="NO")


def test_a_dicom_input_gets_results(run_cli: Any, bundle: Path, scan: Path, tmp_path: Path) -> None:
    common = ["predict", scan, "--sex", "M", "--model", bundle, "--no-intake"]
    plain = run_cli(*common)
    done = run_cli(*common, "--dicom-out", tmp_path / "new" / "out")
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    found = results_in(tmp_path / "new" / "out")
    assert f"{len(found)} DICOM results written to {tmp_path / 'new' / 'out'}" in done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    for result in found.values():
        assert result.StudyInstanceUID == IDENTITY["StudyInstanceUID"]
        assert str(result.PatientName) == IDENTITY["PatientName"]
    numbers = bone_ages_of(found["sr"])
    expected = [float(row["bone_age_months"])] if row["status"] == "ok" else []
    assert numbers == expected
    assert ("sheet" in found) == (row["status"] != "failed")


def test_other_inputs_get_a_note_and_no_results(
    run_cli: Any, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    common = ["predict", scans, "--sex", "F", "--model", bundle]
    plain = run_cli(*common)
    done = run_cli(*common, "--dicom-out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    assert "note: no DICOM results: 1.png is no DICOM file" in done.stderr
    assert "0 DICOM results written" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_results_without_identity(run_cli: Any, bundle: Path, scan: Path, tmp_path: Path) -> None:
    options = ["predict", scan, "--sex", "M", "--model", bundle, "--no-intake", "--deidentify"]
    for name in ("out", "again"):
        done = run_cli(*options, "--dicom-out", tmp_path / name, env=KEY)
        assert "not set" not in done.stderr
    first, again = results_in(tmp_path / "out"), results_in(tmp_path / "again")
    assert first["sr"].SOPInstanceUID == again["sr"].SOPInstanceUID
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        for value in (*IDENTITY.values(), "Jones", "Indiana", KEY["BONEAGE_DEIDENTIFY_KEY"]):
            assert value.encode() not in content
    other = run_cli(*options, "--dicom-out", tmp_path / "other")
    assert "note: BONEAGE_DEIDENTIFY_KEY is not set" in other.stderr
    assert results_in(tmp_path / "other")["sr"].SOPInstanceUID != first["sr"].SOPInstanceUID


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--deidentify"], "--deidentify is for DICOM results: add --dicom-out DIR."),
        (["--dicom-out", "out", "--deidentify"], "the key must have 16 bytes or more"),
        (["--dicom-out", "in-the-way"], "Cannot write in-the-way"),
        (["--dicom-out", "out", "--engine", "ray", "--out", "rows"], "leave --dicom-out out"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    run_cli: Any, bundle: Path, scan: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    (tmp_path / "in-the-way").write_text("a file")
    done = run_cli(
        *("predict", scan, "--sex", "M", "--model", bundle, *options),
        cwd=tmp_path,
        env={"BONEAGE_DEIDENTIFY_KEY": "short"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_extra_is_one_clear_line(
    run_cli: Any, bundle: Path, scan: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'highdicom' else find(name, *rest)\n"
    )
    done = run_cli(
        *("predict", scan, "--sex", "M", "--model", bundle, "--dicom-out", tmp_path / "out"),
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path), str(SOURCE)])},
    )
    assert done.returncode == 2
    assert "pip install 'boneage[dicom]'" in done.stderr
