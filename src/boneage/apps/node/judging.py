"""From one received instance to its results: the one place that knows pixels and reports.

A stand-in for the reader of DICOM and the writer of results: it reads uncompressed pixels and
writes a bare structured report. Whatever takes its place has the same face, :class:`Judge`, and
keeps to this: results have SOP Instance UIDs that follow from the source, the model and its
version alone, so that judging an instance twice makes the same result, and messages name no
patient.
"""

import logging
import warnings
from pathlib import Path

import numpy as np

from boneage import __version__
from boneage.errors import RadiographError, UnreadableError, UnsuitableError, require_extra
from boneage.inference.prediction import Prediction
from boneage.inference.predictor import load
from boneage.radiographs.radiograph import Radiograph, Sex

__all__ = ["Judge"]


class Judge:
    """A model that is loaded once, and what it writes."""

    def __init__(self, model: Path | None) -> None:
        """Load the model.

        Args:
            model: The bundle; None for the default one.

        Raises:
            BundleError: The model cannot be used.
            MissingExtraError: The packages for DICOM are not installed.
        """
        require_extra("dicom", "pydicom", "highdicom")
        # Both quote values of the data set.
        logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
        warnings.simplefilter("ignore")
        self._predictor = load(model, threads=1)

    def handle(self, path: Path, out: Path) -> list[Path]:
        """Predict for one instance and write its results.

        Args:
            path: Its file.
            out: An empty folder for the results.

        Returns:
            The results, DICOM files in ``out``.

        Raises:
            UnreadableError: It cannot be read.
            UnsuitableError: No bone age should be put on it.
            OutputError: The disk does not take the results.
        """
        radiograph = _read(path)
        return [self._write(path, self._predictor.predict(radiograph), out)]

    def _write(self, path: Path, prediction: Prediction, out: Path) -> Path:
        import pydicom
        from highdicom.sr import (
            ComprehensiveSR,
            ContainerContentItem,
            ContentSequence,
            NumContentItem,
        )
        from pydicom.sr.coding import Code
        from pydicom.uid import generate_uid

        source = pydicom.dcmread(path, stop_before_pixels=True)
        card = self._predictor.card
        entropy = [str(source.SOPInstanceUID), card.name, card.version, __version__]
        # A private code: this report is a stand-in.
        bone_age = Code("BoneAge", "99BONEAGE", "Bone age")
        months = Code("mo", "UCUM", "month")
        root = ContainerContentItem(Code("126000", "DCM", "Imaging Measurement Report"))
        value = round(prediction.bone_age_months, 1)
        root.ContentSequence = ContentSequence(
            [NumContentItem(bone_age, value, months, relationship_type="CONTAINS")]
        )
        report = ComprehensiveSR(
            evidence=[source],
            content=root,
            series_instance_uid=generate_uid(entropy_srcs=["series", *entropy]),
            series_number=1,
            sop_instance_uid=generate_uid(entropy_srcs=entropy),
            instance_number=1,
            manufacturer="boneage",
            is_complete=True,
        )
        file = out / "report.dcm"
        report.save_as(file, enforce_file_format=True)
        return file


def _read(path: Path) -> Radiograph:
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        named = dataset.file_meta.MediaStorageSOPInstanceUID
        if dataset.SOPInstanceUID != named:
            raise UnreadableError("its SOP Instance UID is another than that it was sent under")
        pixels = dataset.pixel_array
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            pixels = pixels.max() - pixels
        if pixels.dtype != np.uint8:
            pixels = (pixels.astype(np.float32) - pixels.min()).astype(np.uint16)
        sex = dataset.get("PatientSex", "")
        radiograph = Radiograph(
            pixels, sex=Sex.parse(sex) if sex in ("F", "M") else None, source="radiograph"
        )
    except RadiographError:
        raise
    except Exception as error:
        # Not its message: it may quote the data set.
        raise UnreadableError(f"it cannot be read ({type(error).__name__})") from error
    if radiograph.sex is None:
        raise UnsuitableError("it does not say the child's sex, which is never assumed")
    return radiograph
