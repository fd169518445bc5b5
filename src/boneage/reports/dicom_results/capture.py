"""The sheet as a secondary capture image, for viewers that show no structured reports."""

from datetime import datetime

import numpy as np
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from boneage.reports.dicom_results.document import software_versions
from boneage.reports.dicom_results.header import UTF8, laterality_of
from boneage.reports.dicom_results.identity import Outcome

__all__ = ["SERIES_NUMBER", "secondary_capture"]

SERIES_NUMBER = 9702
"""Of every sheet: behind that of the structured report."""


def secondary_capture(
    source: Dataset,
    outcome: Outcome,
    sheet: NDArray[np.uint8],
    now: datetime,
    *,
    shows_radiograph: bool,
) -> SCImage:
    """Make the image, without the identity of patient and study.

    Args:
        source: The header of the radiograph; its UIDs are referred to.
        outcome: The answer that the sheet shows.
        sheet: The picture, shape (rows, columns, 3), uint8, red first.
        now: Content date and time.
        shows_radiograph: Whether the radiograph's own pixels, and what may be burned into them,
            are on the sheet.
    """
    image = SCImage(
        pixel_array=sheet,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=str(source.StudyInstanceUID),
        series_instance_uid=outcome.uid(source, "series of the sheet"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=outcome.uid(source, "sheet"),
        instance_number=1,
        manufacturer="boneage",
        manufacturer_model_name="boneage",
        software_versions=software_versions(outcome.card),
        series_description="Bone age sheet (boneage, research only)",
        patient_id="",
        patient_name="",
        patient_orientation=("L", "F"),
        specific_character_set=UTF8,
        content_date=now.date(),
        content_time=now.time(),
    )
    image.PatientOrientation = []  # type 2C: a sheet has none, and highdicom asks for one
    image.Laterality = laterality_of(source)  # type 2C: the hand is a paired part
    image.ConversionType = "WSD"  # PS3.3 C.8.6.1: made by a workstation
    for keyword in ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"):
        del image[keyword]  # optional, and highdicom has them from the machine's clock
    image.DerivationDescription = "Report sheet with the radiograph reduced; not for reading"
    image.SourceImageSequence = [_reference(source)]
    burned_in = source.get("BurnedInAnnotation") if shows_radiograph else "NO"
    # The sheet adds no identity. What the radiograph has on it, its file may say; else it is open.
    if burned_in in ("YES", "NO"):
        image.BurnedInAnnotation = burned_in
    return image


def _reference(source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    # PS3.16 CID 7202
    item.PurposeOfReferenceCodeSequence = [
        CodedConcept("121322", "DCM", "Source image for image processing operation")
    ]
    return item
