"""From one received instance to its results: read, predict, write.

The results have SOP Instance UIDs that follow from the source, the model and the answer, so that
judging an instance twice makes the same results, and no message names a patient.
"""

import logging
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from boneage.errors import UnreadableError, UnsuitableError, require_extra
from boneage.growth.sds import Norm
from boneage.inference.inputs import InputFile
from boneage.inference.prediction import Prediction
from boneage.inference.predictor import load
from boneage.inference.run import row_of
from boneage.radiographs.radiograph import Radiograph
from boneage.radiographs.readers import read_radiograph
from boneage.reports.child_request import Facts
from boneage.reports.dicom_results import write_dicom_results

__all__ = ["Judge", "Judged"]


@dataclass(frozen=True)
class Judged:
    """What became of an instance that can be read.

    Attributes:
        files: The results, DICOM files.
        refused: Why there is no bone age, which the results say as well; empty if there is one.
    """

    files: tuple[Path, ...]
    refused: str = ""


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
        require_extra("dicom", "pydicom", "highdicom", "gdcm")
        # Both quote values of the data set.
        logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
        warnings.simplefilter("ignore")
        self._predictor = load(model, threads=1)

    def handle(self, path: Path, out: Path) -> Judged:
        """Predict for one instance and write its results.

        A radiograph that no bone age should be put on gets results that say so: whoever looks into
        the study must be able to tell that from a node which has not run.

        Args:
            path: Its file.
            out: An empty folder for the results.

        Returns:
            A structured report and a sheet, and why there is no bone age if there is none.

        Raises:
            UnreadableError: It cannot be read.
            OutputError: The disk does not take the results.
        """
        _check_uid(path)
        radiograph, answer = self._predict(path)
        row = row_of(InputFile(str(path), "radiograph"), answer)
        age_months = None if radiograph is None else radiograph.chronological_age_months
        done = write_dicom_results(
            path,
            row,
            answer if isinstance(answer, Prediction) else None,
            self._predictor.card,
            out,
            level=self._predictor.level,
            facts=Facts(age_months),
            norm=Norm.BRUSH,
            now=datetime.now(UTC),
            radiograph=radiograph,
        )
        files = (done.sr,) if done.capture is None else (done.sr, done.capture)
        return Judged(files, "" if row.status == "ok" else row.message)

    def _predict(self, path: Path) -> tuple[Radiograph | None, Prediction | UnsuitableError]:
        """The radiograph, None if it is none (as a chest film or several frames), and the answer.

        Raises:
            UnreadableError: It cannot be read.
        """
        radiograph = None
        try:
            radiograph = read_radiograph(path)
            return radiograph, self._predictor.predict(radiograph)
        except UnsuitableError as error:
            return radiograph, error


def _check_uid(path: Path) -> None:
    """Refuse an instance that calls itself otherwise than its sender did, as its results would."""
    import pydicom

    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        same = dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
    except Exception as error:
        # Not its message: it may quote the data set.
        raise UnreadableError(f"it cannot be read ({type(error).__name__})") from error
    if not same:
        raise UnreadableError("its SOP Instance UID is another than that it was sent under")
