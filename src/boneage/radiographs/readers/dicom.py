"""DICOM: CR, DX and secondary-capture radiographs of one frame (PS3.3, A.2, A.26 and A.8).

pydicom parses the file. Plain, deflated and run-length encoded pixels are unpacked here, 8-bit JPEG
by OpenCV, and JPEG lossless, 12-bit JPEG, JPEG-LS and JPEG 2000 by GDCM in a process of its own
(``_dicom_gdcm`` says why). All of that comes with the extra ``dicom``.

=======================  ========================================================================
``_dicom_header``        the attributes that are needed, and no others
``_dicom_frames``        pixel data to stored values, transfer syntax by transfer syntax
``_dicom_scale``,        stored values to what a reader sees: rescale, LUT, window, polarity
``_dicom_grey``
``_dicom_patient``       sex and age
``_dicom_anatomy``       body part, side, view, pixel spacing
=======================  ========================================================================
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError, UnsuitableError
from boneage.radiographs.radiograph import Radiograph
from boneage.radiographs.readers import _dicom_anatomy as anatomy
from boneage.radiographs.readers import _dicom_patient as patient
from boneage.radiographs.readers._dicom_frames import StoredPixels, decode_frame
from boneage.radiographs.readers._dicom_grey import to_grey
from boneage.radiographs.readers._dicom_header import Header, read_header
from boneage.radiographs.readers._dicom_scale import grey_scale_of
from boneage.radiographs.readers.limits import ReadLimits

__all__ = ["child_in", "read"]

_DAMAGED = "Copy or export it again"
_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_SOP_CLASS, _FILE_SET = 0x00080016, 0x00041200  # of an object, of a DICOMDIR
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
# Computed Radiography, the family of Digital X-Ray, Secondary Capture and its multi-frame family.
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_IMAGE_CLASSES = (f"{_STORAGE}1.", f"{_STORAGE}7.")
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")
# Lossy compression of colour leaves channels that were equal equal to within a rounding.
_CHANNEL_TOLERANCE = 2


def read(data: bytes, limits: ReadLimits) -> Radiograph:
    """Read a radiograph.

    Args:
        data: The whole file.
        limits: Largest picture to decode.

    Returns:
        The radiograph, with what the header says of the child and the picture.

    Raises:
        MissingExtraError: The extra ``dicom`` is not installed.
        UnreadableError: Damaged, incomplete, too large, or of a transfer syntax without a decoder.
        UnsuitableError: No picture, several frames, in colour, or of another part of the body.
    """
    header = read_header(data, limits)
    _refuse_what_is_no_radiograph(header)
    part = anatomy.body_part(header)
    anatomy.refuse_other_parts(part)
    return Radiograph(
        pixels=_pixels(header, limits),
        spacing_mm=anatomy.spacing_mm(header),
        sex=patient.sex_of(header),
        chronological_age_months=patient.age_months(header),
        body_part=part,
        laterality=anatomy.laterality(header),
        view=anatomy.view(header),
    )


def child_in(data: bytes, limits: ReadLimits) -> patient.ChildInFile:
    """What a header says of the child; nothing is decoded.

    Raises:
        MissingExtraError: The extra ``dicom`` is not installed.
        UnreadableError: The structure is damaged.
    """
    return patient.child_of(read_header(data, limits))


def _refuse_what_is_no_radiograph(header: Header) -> None:
    if header.pixels is None:
        if header.has_float_pixels:
            raise UnsuitableError("it holds floating-point pixels, which no radiograph has")
        is_image = f"{header.text(_SOP_CLASS)}.".startswith(_IMAGE_CLASSES)
        if is_image or not header.values.keys() & {_SOP_CLASS, _FILE_SET}:
            raise UnreadableError(f"its pixel data are missing: it is cut short. {_DAMAGED}")
        raise UnsuitableError(
            "it is a DICOM file without a picture (a report, a presentation state, a DICOMDIR or "
            "the like). Name the file that holds the radiograph"
        )
    frames = header.text(_FRAMES)
    if frames not in ("", "1"):
        raise UnsuitableError(
            "it holds several frames (Number of Frames is not 1). Export the one that is the "
            "radiograph"
        )


def _pixels(header: Header, limits: ReadLimits) -> NDArray[Any]:
    stored = _stored_pixels(header)
    samples_bytes = stored.channels * stored.bits_allocated // 8
    limits.check_size(stored.width_px, stored.height_px, samples_bytes)
    assert header.pixels is not None
    samples = decode_frame(header.pixels, header.transfer_syntax, stored)
    if stored.channels > 1:
        samples = _grey_of_colour(samples, stored)
    return to_grey(samples, grey_scale_of(header, stored))


def _stored_pixels(header: Header) -> StoredPixels:
    """How the pixels are stored (PS3.3, C.7.6.3.1), if in a way that a radiograph can be."""
    photometric = header.text(_PHOTOMETRIC).upper()
    channels = header.integer(_SAMPLES, 1)
    if photometric not in _GREY + _COLOUR or channels != (1 if photometric in _GREY else 3):
        if photometric == "PALETTE COLOR":
            raise UnsuitableError("it is in colour (PALETTE COLOR). Export it as grey")
        raise UnreadableError(
            f"its Photometric Interpretation and Samples per Pixel do not fit. {_DAMAGED}"
        )
    allocated, bits = header.integer(_ALLOCATED), header.integer(_STORED)
    high_bit = header.integer(_HIGH_BIT, bits - 1)
    signed = header.integer(_SIGNED, 0)
    if allocated not in (8, 16) or not 8 <= bits <= high_bit + 1 <= allocated or signed > 1:
        raise UnreadableError(
            f"its pixels have {bits} bits up to bit {high_bit} in {allocated}, which is not read "
            "here. Export it with 8 to 16 bits"
        )
    return StoredPixels(
        width_px=header.integer(_COLUMNS),
        height_px=header.integer(_ROWS),
        channels=channels,
        bits_allocated=allocated,
        bits=bits,
        high_bit=high_bit,
        signed=signed == 1,
        photometric=photometric,
        planar=header.integer(_PLANAR, 0) == 1,
    )


def _grey_of_colour(samples: NDArray[np.int32], stored: StoredPixels) -> NDArray[np.int32]:
    """The one channel that a grey picture stored as colour has; anything else is refused."""
    grey, others = samples[..., 0], samples[..., 1:]
    # What OpenCV and GDCM decode from YBR_ICT, YBR_RCT and JPEG is red, green and blue by now.
    if stored.photometric == "YBR_FULL" and np.ptp(others) <= _CHANNEL_TOLERANCE:
        difference = np.abs(others - (1 << (stored.bits - 1)))
        if difference.max() <= _CHANNEL_TOLERANCE:
            return grey
    if np.abs(others - grey[..., None]).max() > _CHANNEL_TOLERANCE:
        raise UnsuitableError(
            "it is in colour, and a radiograph is grey: is it a photograph or a drawing? "
            "Else export it as grey"
        )
    return grey
