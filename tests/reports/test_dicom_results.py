"""Structured reports and sheets, as other software reads them."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import highdicom
import numpy as np
import pytest
from dicom_answers import (
    NOW,
    RADIOGRAPH,
    answer,
    card,
    codes_of,
    items,
    row,
    run_tool,
    source_in,
    written,
)
from dicom_sources import CR, DX, IDENTITY
from pydicom import dcmread
from tiny_models import write_hand

from boneage.errors import OutputError, UnreadableError
from boneage.growth.sds import Norm
from boneage.reports.child_request import Facts
from boneage.reports.dicom_results import Deidentify, concepts
from boneage.reports.dicom_results.concepts import PRIVATE_SCHEME

BONE_AGE = ("37362-1", "LN")
KEY = Deidentify(b"a key of the test")
REFUSAL = "src.dcm: This is not one hand: two hands or more are on it."


@pytest.mark.parametrize("kind", [CR, DX])
@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("ok", {}),
        ("ok", {"facts": Facts(130.0, 140.0), "norm": Norm.STANFORD}),
        ("ok", {"deidentify": KEY}),
        ("refused", {}),
        ("failed", {"radiograph": None}),
    ],
)
def test_dciodvfy_finds_no_error(
    tmp_path: Path, kind: str, status: str, changes: dict[str, Any]
) -> None:
    source = source_in(tmp_path, kind=kind)
    the_row = row(source, status, message="" if status == "ok" else REFUSAL)
    done = written(source, tmp_path, the_row, answer=answer(tmp_path), **changes)
    for path in filter(None, (done.sr, done.capture)):
        said = run_tool("dciodvfy", "-new", path).splitlines()
        assert [line for line in said if "Error" in line] == []
        odd = [line for line in said if "Warning" in line and PRIVATE_SCHEME not in line]
        # An emptied study can be told apart by its UID alone, and so it is meant.
        expected = "would be needed to build DICOMDIR" if "deidentify" in changes else None
        assert [line for line in odd if expected is None or expected not in line] == []


def test_dcmtk_reads_figures_and_codes(tmp_path: Path) -> None:
    done = written(source_in(tmp_path), tmp_path)
    text = run_tool("dsrdump", "+Pc", "+Pl", done.sr)
    for said in (
        '<contains NUM:(37362-1,LN,"XR Bone age")="131.4" (mo,UCUM,"month")>',
        '(interval-lower,99BONEAGE[1],"Lower limit of prediction interval")="119.0" (mo,UCUM',
        '(interval-upper,99BONEAGE[1],"Upper limit of prediction interval")="143.9" (mo,UCUM',
        '(interval-level,99BONEAGE[1],"Level of prediction interval")="90.0" (%,UCUM',
        '(121416,DCM,"Z-Score of measurement")="0.14" (1,UCUM,"no units")',
        '(greulich-pyle,99BONEAGE[1],"Greulich and Pyle, estimated by a neural network")',
        '"Finding Site")=(85562004,SCT,"Hand")',
        '"Laterality")=(7771000,SCT,"Left")',
        "Research software, not a medical device.",
        "Verification Flag   : UNVERIFIED",
        "Preliminary Flag    : PRELIMINARY",
        "Completion Flag     : COMPLETE",
    ):
        assert said.replace("[1]", "") in text.replace("[1]", "")
    assert done.capture is not None
    for path, kind in ((done.sr, "ComprehensiveSRStorage"), (done.capture, "SecondaryCapture")):
        dumped = run_tool("dcmdump", path)
        assert f"UI ={kind}" in dumped
        assert IDENTITY["StudyInstanceUID"] in dumped


def test_highdicom_reads_the_values(tmp_path: Path) -> None:
    report = highdicom.sr.srread(written(source_in(tmp_path), tmp_path).sr)
    (group,) = report.content.get_image_measurement_groups()
    values = {item.name.meaning: item.value for item in group.get_measurements()}
    assert values == {
        "XR Bone age": 131.4,
        "Lower limit of prediction interval": 119.0,
        "Upper limit of prediction interval": 143.9,
        "Level of prediction interval": 90.0,
    }
    assert report.get_evidence() == [
        (
            IDENTITY["StudyInstanceUID"],
            IDENTITY["SeriesInstanceUID"],
            IDENTITY["SOPInstanceUID"],
            CR,
        )
    ]
    (context,) = report.content.get_observer_contexts()
    device = context.observer_identifying_attributes
    assert device.name == "boneage"
    assert "tiny" in device.model_name


def test_what_is_not_known_is_not_there(tmp_path: Path) -> None:
    source = source_in(tmp_path, Laterality=None)
    bare = row(source, lower_months=None, upper_months=None, message="turned by 90 degrees")
    done = written(source, tmp_path, bare, level=None, facts=Facts())
    found = items(done.sr)
    assert set(codes_of(found, "NUM")) == {BONE_AGE}
    assert ("272741003", "SCT") not in codes_of(found, "CODE")
    texts = [item.TextValue for item in found if item.ValueType == "TEXT"]
    assert "Warning: Turned by 90 degrees" in texts
    assert any("none: this model gives no interval" in text for text in texts)


@pytest.mark.parametrize(("status", "code"), [("refused", "114007"), ("failed", "114006")])
def test_without_a_bone_age_there_is_a_reason_and_no_number(
    tmp_path: Path, status: str, code: str
) -> None:
    source = source_in(tmp_path)
    done = written(source, tmp_path, row(source, status, message=REFUSAL), facts=Facts())
    found = items(done.sr)
    assert codes_of(found, "NUM") == {}
    assert codes_of(found, "CODE")[BONE_AGE].ConceptCodeSequence[0].CodeValue == code
    texts = [item.TextValue for item in found if item.ValueType == "TEXT"]
    reason = REFUSAL.removeprefix("src.dcm: ")
    assert f"No bone age, {status}: {reason}" in texts
    assert (found[0].CompletionFlag, found[0].VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    highdicom.sr.srread(done.sr)


def test_what_cannot_be_read_gets_no_sheet(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    done = written(source, tmp_path, row(source, "failed", message="cut"), radiograph=None)
    assert done.capture is None
    assert done.sr.exists()


def test_the_sheet_shows_the_radiograph_and_its_colours(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    plain, coloured = (
        written(source, tmp_path / name, answer=given).capture
        for name, given in (("plain", None), ("coloured", answer(tmp_path)))
    )
    assert plain is not None
    assert coloured is not None
    grey = dcmread(plain).pixel_array
    assert grey.shape[1:] == (1600, 3)
    enlarged = cv2.resize(RADIOGRAPH.pixels, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_LINEAR)
    shown = cv2.matchTemplate(grey[..., 0], enlarged, cv2.TM_CCOEFF_NORMED)
    assert float(shown.max()) > 0.99

    def colour(picture: Any) -> int:
        region = picture[150:750, 48:1000].astype(int)
        return int((np.abs(region[..., 0] - region[..., 2]) > 20).sum())

    assert colour(grey) < 1000
    assert colour(dcmread(coloured).pixel_array) > 20_000


@pytest.mark.parametrize(("said", "expected"), [("YES", "YES"), ("NO", "NO"), (None, None)])
def test_burned_in_text_is_that_of_the_radiograph(
    tmp_path: Path, said: str | None, expected: str | None
) -> None:
    capture = written(source_in(tmp_path, BurnedInAnnotation=said), tmp_path).capture
    assert capture is not None
    assert dcmread(capture).get("BurnedInAnnotation") == expected


def test_the_file_name_is_in_no_result(tmp_path: Path) -> None:
    source = source_in(tmp_path, "Jones_Indiana.dcm")
    said = "cannot say what Jones_Indiana.dcm is; Jones_Indiana.dcm: odd; see Jones_Indiana"
    done = written(source, tmp_path, row(source, message=said))
    assert done.capture is not None
    for path in (done.sr, done.capture):
        assert b"indiana" not in path.read_bytes().lower()
    texts = [item.TextValue for item in items(done.sr) if item.ValueType == "TEXT"]
    assert "Warning: Cannot say what this file is; odd; see this file" in texts


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Ångström^Žofie"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (None, "Doe^Jane"),
    ],
)
def test_patient_and_study_are_those_of_the_source(tmp_path: Path, charset: Any, name: str) -> None:
    study = None if charset != "ISO_IR 100" else IDENTITY["StudyDescription"]
    texts = {"SpecificCharacterSet": charset, "PatientName": name, "StudyDescription": study}
    source = source_in(tmp_path, PatientAge="010Y", **texts)
    done = written(source, tmp_path)
    original = dcmread(source)
    assert done.capture is not None
    results = [dcmread(path) for path in (done.sr, done.capture)]
    copied = [word for word in IDENTITY if word.startswith(("Patient", "Study"))]
    for result in results:
        for keyword in [*copied, "AccessionNumber", "PatientAge", "PatientSex"]:
            assert result.get(keyword) == original.get(keyword), keyword
        assert str(result.PatientName) == name
    own = {result.SeriesInstanceUID for result in results}
    assert len({*own, IDENTITY["SeriesInstanceUID"]}) == 3


def test_odd_values_of_the_source_are_kept_without_a_word(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    header = source.read_bytes()
    for good, odd in ((b"20100203", b"03.02.10"), (b"PID-77-88 ", b"PID\\77\\88 "), (b"M ", b"W ")):
        assert good in header
        header = header.replace(good, odd)
    source.write_bytes(header)
    result = dcmread(written(source, tmp_path).sr)  # a warning would be an error
    assert result.get_item("PatientBirthDate").value == b"03.02.10"  # type: ignore[union-attr]
    assert list(result.PatientID) == ["PID", "77", "88"]


def test_the_same_again_is_the_same_result(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    first = written(source, tmp_path / "out", answer=answer(tmp_path))
    again = written(
        source, tmp_path / "out", answer=answer(tmp_path), now=datetime(2027, 5, 6, tzinfo=UTC)
    )
    assert first == again
    assert len(list((tmp_path / "out").iterdir())) == 2
    moved = source.rename(tmp_path / "elsewhere.dcm")
    assert written(moved, tmp_path / "more").sr.name == first.sr.name


def test_another_answer_is_another_result(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    other = source_in(tmp_path, "b.dcm", SOPInstanceUID="1.2.826.0.1.99.1.2.3.5")
    done = [
        written(source, tmp_path),
        written(other, tmp_path),
        written(source, tmp_path, card=card(version="2")),
        written(source, tmp_path, card=card(files={"model.onnx": "f" * 64})),
        written(source, tmp_path, level=0.8),
        written(source, tmp_path, norm=Norm.STANFORD),
        written(source, tmp_path, facts=Facts(131.0)),
        written(source, tmp_path, row(source, sex="female")),
        written(source, tmp_path, dataclasses.replace(row(source), bone_age_months=132.0)),
        written(source, tmp_path, row(source, "refused", message="why")),
        written(source, tmp_path, deidentify=KEY),
    ]
    uids = [
        dcmread(path, stop_before_pixels=True).SOPInstanceUID
        for results in done
        for path in (results.sr, results.capture)
        if path is not None
    ]
    assert len(set(uids)) == 2 * len(done)
    assert all(uid.startswith("2.25.") and len(uid) <= 64 and uid.is_valid for uid in uids)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [("+0530", ("20260102", "083405")), ("-0800", ("20260101", "190405"))],
)
def test_the_clock_is_that_of_the_source(
    tmp_path: Path, offset: str, expected: tuple[str, str]
) -> None:
    source = source_in(tmp_path, TimezoneOffsetFromUTC=offset)
    done = written(source, tmp_path, now=NOW.replace(tzinfo=UTC))
    assert done.capture is not None
    for path in (done.sr, done.capture):
        result = dcmread(path)
        assert (result.ContentDate, result.ContentTime) == expected
        assert result.TimezoneOffsetFromUTC == offset


def test_a_file_without_preamble_will_do(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    dataset = dcmread(source)
    del dataset.file_meta, dataset.preamble
    dataset.save_as(source, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert source.read_bytes()[:2] == b"\x08\x00"
    assert dcmread(written(source, tmp_path).sr).PatientID == IDENTITY["PatientID"]


def test_what_is_no_dicom_file_gets_nothing(tmp_path: Path) -> None:
    picture = write_hand(tmp_path / "hand.png")
    with pytest.raises(UnreadableError, match=r"hand\.png is no DICOM file"):
        written(picture, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", [None, "no uid"])
def test_a_source_that_cannot_be_referred_to_gets_nothing(
    tmp_path: Path, keyword: str, value: str | None
) -> None:
    source = source_in(tmp_path)
    dataset = dcmread(source)
    if value is None:
        del dataset[keyword]
    else:
        dataset[keyword]._value = value
    dataset.save_as(source, enforce_file_format=False)
    with pytest.raises(UnreadableError, match=keyword):
        written(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_truncation_is_an_error_or_a_whole_result(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    whole = source.read_bytes()[:1400]
    failed = row(source, "failed", message="cut")
    messages = []
    for length in range(0, 1400, 23):
        source.write_bytes(whole[:length])
        try:
            done = written(source, tmp_path / "out", failed, radiograph=None)
        except UnreadableError as error:
            messages.append(str(error))
        else:
            assert dcmread(done.sr).StudyInstanceUID == IDENTITY["StudyInstanceUID"]
    assert 10 < len(messages) < 60
    assert [text for text in messages for value in IDENTITY.values() if value in text] == []


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError):
        written(source_in(tmp_path), tmp_path / "out")


def test_the_reference_page_has_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/dicom-results.md").read_text()
    units = {"mo", "%", "1"}
    for concept in vars(concepts).values():
        if isinstance(concept, concepts.Concept):
            cells = f"| {concept.meaning} | {concept.value} | {concept.scheme} |"
            in_words = f"UCUM {concept.meaning}" if concept.value in units else cells
            assert in_words in page
            assert len(concept.value) <= 16
            assert len(concept.meaning) <= 64
