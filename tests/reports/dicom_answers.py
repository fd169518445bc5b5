"""Answers to DICOM radiographs, and their results, for the tests of writing."""

import subprocess
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dicom_sources import write_dicom
from pydicom import dcmread
from pydicom.dataset import Dataset
from tiny_models import explaining_bundle, hand_pixels, tiny_card

from boneage.growth.sds import Norm
from boneage.inference.card import Card
from boneage.inference.prediction import Prediction
from boneage.inference.predictor import load
from boneage.inference.rows import Row
from boneage.radiographs.radiograph import Radiograph
from boneage.reports.child_request import Facts
from boneage.reports.dicom_results import DicomResults, write_dicom_results

NOW = datetime(2026, 1, 2, 3, 4, 5)
FIGURES = {"held_out": {"count": 1234, "mae_months": 7.25}}
RADIOGRAPH = Radiograph(hand_pixels(), source="a radiograph")


def card(**changes: object) -> Card:
    files = {"model.onnx": "0123456789abcdef" * 4}
    return tiny_card(**{"figures": FIGURES, "files": files, **changes})


@cache
def _answer(folder: Path) -> Prediction:
    model = folder / "explaining"
    if not model.exists():
        explaining_bundle(model)
    return load(model, intake=False).predict(RADIOGRAPH, "male")


def answer(folder: Path) -> Prediction:
    """A prediction with a heat map."""
    return _answer(folder)


def row(source: Path, status: str = "ok", **changes: Any) -> Row:
    values: dict[str, Any] = {"sex": "male"}
    if status == "ok":
        values |= {"bone_age_months": 131.44, "lower_months": 118.96, "upper_months": 143.94}
    return Row(str(source), source.stem, status, **{**values, **changes})  # type: ignore[arg-type]


def written(source: Path, out: Path, the_row: Row | None = None, **changes: Any) -> DicomResults:
    """Write results of a boy of 130 months whose bone age is 131.4 months."""
    options: dict[str, Any] = {
        "answer": None,
        "card": card(),
        "level": 0.9,
        "facts": Facts(130.0),
        "norm": Norm.BRUSH,
        "now": NOW,
        "radiograph": RADIOGRAPH,
        **changes,
    }
    the_row = row(source) if the_row is None else the_row
    positional = options.pop("answer"), options.pop("card"), out
    return write_dicom_results(source, the_row, *positional, **options)


def source_in(folder: Path, name: str = "src.dcm", **changes: Any) -> Path:
    return write_dicom(folder / "sources" / name, **changes)


def run_tool(name: str, *arguments: str | Path) -> str:
    """What a Debian tool says of a file; by its full path, as pynetdicom has tools so named."""
    tool = Path("/usr/bin") / name
    if not tool.exists():
        pytest.skip(f"{tool} is not there: install dcmtk and dicom3tools")
    done = subprocess.run([tool, *arguments], capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode("utf-8", errors="replace")
    assert done.returncode == 0 or name == "dciodvfy", text
    return text


def items(report: Path) -> list[Dataset]:
    """Every content item of a structured report, the root first."""

    def below(item: Dataset) -> list[Dataset]:
        children = item.get("ContentSequence", [])
        return [item, *(found for child in children for found in below(child))]

    return below(dcmread(report))


def codes_of(found: list[Dataset], value_type: str) -> dict[tuple[str, str], Dataset]:
    """Content items of a type, by code and scheme of their concept name."""
    return {
        (name.CodeValue, name.CodingSchemeDesignator): item
        for item in found
        if item.ValueType == value_type
        for name in item.ConceptNameCodeSequence
    }
