"""The header of the radiograph's file: what a result takes over from it."""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from highdicom.base import SOPClass
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ComputedRadiographyImageStorage

from boneage.errors import UnreadableError

__all__ = ["UTF8", "copy_patient_and_study", "laterality_of", "quiet_pydicom", "read_header"]

UTF8 = "ISO_IR 192"
"""Character set of every result (PS3.3 C.12.1.1.2): it holds whatever the source's holds."""

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")  # PS3.5 section 9.1, but for leading zeros, which occur
_LONGEST_UID = 64


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings to itself: they quote values, and those are a patient's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(source: Path) -> Dataset:
    """Read all of a DICOM file but its pixels, texts decoded.

    Args:
        source: The file, with or without the preamble of PS3.10.

    Returns:
        The header.

    Raises:
        UnreadableError: It is no DICOM file, is damaged, or lacks a UID that a result must name.
    """
    with quiet_pydicom():
        try:
            header = _read(source)
            header.decode()
            for _ in header.iterall():  # elements are parsed when they are first looked at
                pass
        except InvalidDicomError as error:
            raise UnreadableError(
                f"{source.name} is no DICOM file, so it gets no DICOM results."
            ) from error
        except Exception as error:
            # pydicom lets many kinds of error out of a damaged header, and their texts quote it.
            raise UnreadableError(
                f"{source.name}: its DICOM header cannot be read ({type(error).__name__}), so it "
                "gets no DICOM results. Get the file again."
            ) from error
    for keyword in _NEEDED:
        uid = str(header.get(keyword) or "")
        if not _UID.fullmatch(uid) or len(uid) > _LONGEST_UID:
            raise UnreadableError(
                f"{source.name} has no valid {keyword}, so no DICOM result can refer to it."
            )
    return header


def _read(source: Path) -> Dataset:
    """Read with the preamble or, if the first element is of group 0008, without."""
    try:
        return dcmread(source, stop_before_pixels=True)
    except InvalidDicomError:
        with open(source, "rb") as stream:
            if stream.read(2) != b"\x08\x00":
                raise
        return dcmread(source, stop_before_pixels=True, force=True)


def copy_patient_and_study(header: Dataset, target: SOPClass) -> None:
    """Copy the attributes of the patient and of the study as they are, valid or not.

    A result with another patient's name or id than the image would stand apart from it in a PACS,
    so that nothing is mended here. They are those of the modules Patient, Clinical Trial Subject,
    General Study, Patient Study and Clinical Trial Study (PS3.3 C.7.1 and C.7.2).
    """
    # These modules are the same for every kind of image, and highdicom does not know every kind.
    source = Dataset()
    source.update(header)
    source.SOPClassUID = ComputedRadiographyImageStorage
    with quiet_pydicom():
        target.copy_patient_and_study_information(source)
    for keyword in ("TimezoneOffsetFromUTC", "LongitudinalTemporalInformationModified"):
        if keyword in header:
            setattr(target, keyword, header[keyword].value)
    target.SpecificCharacterSet = UTF8


def laterality_of(header: Dataset) -> str:
    """``L`` or ``R``, or empty if the file does not say (PS3.3 C.7.3.1 and C.8.11.5)."""
    for keyword in ("ImageLaterality", "Laterality"):
        side = str(header.get(keyword) or "").strip().upper()
        if side in ("L", "R"):
            return side
    return ""
