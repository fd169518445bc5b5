"""Results as DICOM objects: a structured report of the figures, and a sheet to look at.

Both belong to the study of the radiograph that they are about, so that a PACS shows them beside it.
"""

from boneage.reports.dicom_results.deidentify import Deidentify
from boneage.reports.dicom_results.writing import (
    DicomResults,
    require_dicom,
    write_dicom_results,
)

__all__ = ["Deidentify", "DicomResults", "require_dicom", "write_dicom_results"]
