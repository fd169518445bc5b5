"""Results without identity: nothing of the source's is left in any byte of them."""

import string
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import pytest
from dicom_answers import RADIOGRAPH, answer, codes_of, items, row, source_in, written
from dicom_sources import CR, IDENTITY
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from boneage.errors import SettingsError
from boneage.reports.dicom_results import Deidentify

KEY = Deidentify(b"0123456789abcdef")

# Two letters that begin no word of ours; Hypothesis knows the words in the sources and tries them.
words = st.text(string.ascii_uppercase + "ÄÖÜßéñ", min_size=5, max_size=14).map("QX{}".format)
dates = st.dates(date(1950, 1, 1), date(2030, 1, 1)).map(lambda day: day.strftime("%Y%m%d"))
uids = st.integers(10**20, 10**30).map(lambda number: f"1.2.826.0.1.{number}")
identities = st.fixed_dictionaries(
    {
        "PatientName": st.tuples(words, words).map("^".join),
        "PatientID": words,
        "IssuerOfPatientID": words,
        "OtherPatientIDs": words,
        "PatientComments": words,
        "PatientAddress": words,
        "AccessionNumber": words,
        "StudyID": words,
        "StudyDescription": words,
        "SeriesDescription": words,
        "ReferringPhysicianName": words,
        "InstitutionName": words,
        "DeviceSerialNumber": words,
        "PatientBirthDate": dates,
        "StudyDate": dates,
        "SOPInstanceUID": uids,
        "SeriesInstanceUID": uids,
        "StudyInstanceUID": uids,
    }
)


def bytes_of(results: Any) -> bytes:
    return b"".join(path.read_bytes() for path in (results.sr, results.capture))


@given(identity=identities)
@settings(
    max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking: minutes
def test_nothing_of_the_identity_is_left(identity: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = f"{identity['PatientID']}.dcm"
        source = source_in(folder, file, BurnedInAnnotation="NO", **identity)
        given_name, family = identity["PatientName"].split("^")
        said = f"{file}: {family} of {identity['InstitutionName']}; born {given_name} on "
        said += f"{identity['PatientBirthDate']} in {identity['AccessionNumber']}"
        done = written(source, folder, row(source, message=said), deidentify=KEY)
        left = bytes_of(done) + str((done.sr, done.capture)).replace(str(folder), "").encode()
    for value in {*identity.values(), given_name, family}:
        for encoded in (value.encode("utf-8"), value.encode("latin-1")):
            assert encoded not in left, value


def test_what_was_done_is_said(tmp_path: Path) -> None:
    done = written(source_in(tmp_path), tmp_path, deidentify=KEY, answer=answer(tmp_path))
    assert done.capture is not None
    for path in (done.sr, done.capture):
        result = dcmread(path)
        assert result.PatientIdentityRemoved == "YES"
        methods = [item.CodeValue for item in result.DeidentificationMethodCodeSequence]
        assert methods == ["113100", "113104", "113108"]
        assert result.LongitudinalTemporalInformationModified == "REMOVED"
        assert (result.StudyDate, result.PatientBirthDate, result.AccessionNumber) == ("", "", "")
        assert result.PatientSex == "M"
        dates = {str(element.value) for element in result.iterall() if element.VR in ("DA", "DT")}
        assert {date[:8] for date in dates} <= {"", "19000101"}


def test_the_figures_stay(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    plain, without = (written(source, tmp_path, deidentify=how) for how in (None, KEY))
    numbers = [
        {
            name: item.MeasuredValueSequence[0].NumericValue
            for name, item in codes_of(items(results.sr), "NUM").items()
        }
        for results in (plain, without)
    ]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) == 9


def test_results_of_a_study_and_of_a_patient_stay_together(tmp_path: Path) -> None:
    sources = [
        source_in(tmp_path, "a.dcm"),
        source_in(tmp_path, "b.dcm", SOPInstanceUID="1.2.826.0.1.99.1.2.3.5"),
        source_in(
            tmp_path,
            "later.dcm",
            StudyInstanceUID="1.2.826.0.1.99.1.3",
            SOPInstanceUID="1.2.826.0.1.99.1.3.1",
        ),
        source_in(tmp_path, "other.dcm", PatientID="PID-99", StudyInstanceUID="1.2.826.0.1.99.2"),
    ]
    a, b, later, other = (
        dcmread(written(source, tmp_path, deidentify=KEY).sr) for source in sources
    )
    assert a.StudyInstanceUID == b.StudyInstanceUID != later.StudyInstanceUID
    assert a.PatientID == b.PatientID == later.PatientID != other.PatientID
    assert len({result.SOPInstanceUID for result in (a, b, later, other)}) == 4
    referred = a.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    image = referred.ReferencedSOPSequence[0]
    assert image.ReferencedSOPClassUID == CR
    assert image.ReferencedSOPInstanceUID == KEY.uid(IDENTITY["SOPInstanceUID"])


def test_another_key_leads_elsewhere(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    keys = KEY, Deidentify(b"0123456789abcdeg"), KEY
    first, second, again = (dcmread(written(source, tmp_path, deidentify=key).sr) for key in keys)
    assert first.SOPInstanceUID == again.SOPInstanceUID
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID"):
        assert first[keyword].value != second[keyword].value


@pytest.mark.parametrize(("said", "shown"), [("NO", True), ("YES", False), (None, False)])
def test_a_radiograph_that_may_hold_text_is_left_out(
    tmp_path: Path, said: str | None, shown: bool
) -> None:
    source = source_in(tmp_path, BurnedInAnnotation=said)
    capture = written(source, tmp_path, deidentify=KEY).capture
    assert capture is not None
    result = dcmread(capture)
    assert result.BurnedInAnnotation == "NO"
    enlarged = cv2.resize(RADIOGRAPH.pixels, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_LINEAR)
    found = cv2.matchTemplate(result.pixel_array[..., 0], enlarged, cv2.TM_CCOEFF_NORMED).max()
    assert (found > 0.99) == shown


def test_a_short_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="16 bytes"):
        Deidentify(b"short")
    assert "0123" not in repr(KEY)
