"""DICOM files for tests, in the transfer syntaxes that foreign encoders can write."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

# What DCMTK's programs write, called by path: pynetdicom has others of the same names.
DCMTK = {
    "implicit": ["dcmconv", "+ti"],
    "explicit": ["dcmconv", "+te"],
    "big endian": ["dcmconv", "+tb"],
    "deflated": ["dcmconv", "+td"],
    "rle": ["dcmcrle"],
    "jpeg baseline": ["dcmcjpeg", "+un", "+eb", "+q", "98"],
    "jpeg extended": ["dcmcjpeg", "+un", "+ee", "+q", "98"],
    "jpeg lossless": ["dcmcjpeg", "+un", "+el"],
    "jpeg lossless sv1": ["dcmcjpeg", "+un", "+e1"],
    "jpeg-ls": ["dcmcjpls", "+un"],
    "jpeg-ls lossy": ["dcmcjpls", "+un", "+en", "+md", "1"],
}
PILLOW = {"jpeg 2000": JPEG2000Lossless, "jpeg 2000 lossy": JPEG2000}
LOSSY = ("jpeg baseline", "jpeg extended", "jpeg-ls lossy", "jpeg 2000 lossy")
SYNTAXES = (*DCMTK, *PILLOW)


def possible(syntax: str, bits: int) -> bool:
    """Whether the encoders can: DCT JPEG reaches 12 bits, and Pillow writes 8 or 16."""
    most = {"jpeg baseline": 8, "jpeg extended": 12}.get(syntax, 16)
    return bits <= most and not (bits == 12 and syntax in PILLOW)


def hand_dataset(
    pixels: NDArray[np.generic], bits: int | None = None, **changes: object
) -> Dataset:
    """A digital radiograph; a change to None takes an attribute away."""
    grey = np.ascontiguousarray(pixels)
    channels = 1 if grey.ndim == 2 else grey.shape[2]
    allocated = 8 * grey.dtype.itemsize
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, name, generate_uid(entropy_srcs=[name]))
    dataset.PatientName, dataset.PatientID = "Secret^Name", "SECRET-7"
    dataset.StudyID, dataset.Modality = "", "DX"
    dataset.Rows, dataset.Columns = grey.shape[:2]
    dataset.SamplesPerPixel = channels
    dataset.PhotometricInterpretation = "MONOCHROME2" if channels == 1 else "RGB"
    if channels > 1:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = allocated
    dataset.BitsStored = allocated if bits is None else bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(grey.dtype.kind == "i")
    dataset.PixelData = grey.tobytes() + bytes(grey.nbytes % 2)
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"
    with pydicom.config.disable_value_validation():  # tests write what no device should
        for name, value in changes.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)
    return dataset


def write_dicom(
    path: Path, pixels: NDArray[np.generic], bits: int | None = None, **changes: object
) -> Path:
    """Write a digital radiograph, uncompressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = hand_dataset(pixels, bits, **changes)
    with pydicom.config.disable_value_validation():
        dataset.save_as(path, enforce_file_format=True)
    return path


def reencode(path: Path, syntax: str, out: Path) -> Path:
    """Put an uncompressed file that ``write_dicom`` wrote into another transfer syntax."""
    if syntax in PILLOW:
        return _with_pillow(path, PILLOW[syntax], out)
    name, *options = DCMTK[syntax]
    program = Path("/usr/bin") / name
    if not program.exists():
        pytest.skip(f"needs {program} (Debian: dcmtk)")
    subprocess.run([program, *options, path, out], check=True, timeout=120, capture_output=True)
    return out


def _with_pillow(path: Path, uid: str, out: Path) -> Path:
    dataset = pydicom.dcmread(path)
    codestream = io.BytesIO()
    Image.fromarray(dataset.pixel_array).save(
        codestream, "JPEG2000", no_jp2=True, irreversible=uid == JPEG2000,
        quality_mode="rates", quality_layers=[4] if uid == JPEG2000 else [0],
    )  # fmt: skip
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.PixelData = encapsulate([codestream.getvalue()])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(out, enforce_file_format=True)
    return out
