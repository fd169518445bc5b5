"""Radiographs as DICOM files, written with pydicom, for tests of what comes out beside them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)
from tiny_models import hand_pixels

CR = str(ComputedRadiographyImageStorage)
DX = str(DigitalXRayImageStorageForPresentation)

IDENTITY = {
    "PatientName": "Müller^Jörg^^Dr.",
    "PatientID": "PID-77-88",
    "PatientBirthDate": "20100203",
    "PatientComments": "Lives at Elm Street",
    "OtherPatientIDs": "OTHER-4711",
    "StudyDate": "20200304",
    "StudyTime": "101112",
    "AccessionNumber": "ACC-991",
    "StudyID": "STUDY-55",
    "StudyDescription": "Visit of Jörg",
    "ReferringPhysicianName": "House^Gregory",
    "InstitutionName": "Princeton Plainsboro",
    "OperatorsName": "Curie^Marie",
    "SOPInstanceUID": "1.2.826.0.1.99.1.2.3.4",
    "SeriesInstanceUID": "1.2.826.0.1.99.1.2.3",
    "StudyInstanceUID": "1.2.826.0.1.99.1.2",
}


def write_dicom(
    path: Path, pixels: NDArray[np.uint8] | None = None, *, kind: str = CR, **changes: Any
) -> Path:
    """Write a radiograph of 8 bits, uncompressed; a change of None leaves the attribute out."""
    pixels = hand_pixels() if pixels is None else pixels
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": kind,
        **IDENTITY,
        "PatientSex": "M",
        "Modality": "CR" if kind == CR else "DX",
        "Manufacturer": "Test",
        "BodyPartExamined": "HAND",
        "Laterality": "L" if kind == CR else None,
        "ImageLaterality": None if kind == CR else "L",
        "ViewPosition": "PA",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "PatientOrientation": "",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        **changes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if kind == DX:
        region = Dataset()
        region.CodeValue, region.CodeMeaning = codes.SCT.Hand.value, codes.SCT.Hand.meaning
        region.CodingSchemeDesignator = "SCT"
        dataset.AnatomicRegionSequence = [region]
    dataset.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format="SOPInstanceUID" in dataset)
    return path
