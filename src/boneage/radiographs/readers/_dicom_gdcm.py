"""Decoding a compressed frame with GDCM, in a process of its own.

GDCM (BSD licence) is the one permissively licensed package that decodes all of JPEG lossless,
12-bit JPEG, JPEG-LS and JPEG 2000. But its release 3.2.6 ends the process (abort or segmentation
fault) on many a damaged JPEG frame, which would cost every other radiograph its row; and what its
libjpeg can live with it only mentions on standard error. A process for each frame takes 0.06 s and
settles both: a crash is a damaged file, and what the process says can be heard.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError, require_extra

__all__ = ["FrameShape", "decode_with_gdcm"]

_DAMAGED = "Copy or export it again"
_CHILD = Path(__file__).with_name("_gdcm_child.py")

_TIMEOUT_S = 120
"""The largest radiographs take seconds; what takes longer is not going to end."""

# libjpeg says the first when GDCM tries its 8-bit decoder before the one for 12 bits, the second of
# numbers that mean something in progressive JPEG only, and that some devices leave at 0.
_HARMLESS = (
    b"Unsupported JPEG data precision 12",
    b"Invalid SOS parameters for sequential JPEG",
)


@dataclass(frozen=True)
class FrameShape:
    """What the header of a compressed frame says of its pixels.

    Attributes:
        width_px: Columns.
        height_px: Rows.
        channels: Samples of a pixel, 1 or 3.
        bits: Bits of a sample, 2 to 16.
        signed: Whether samples are signed.
    """

    width_px: int
    height_px: int
    channels: int
    bits: int
    signed: bool = False


def decode_with_gdcm(
    frame: bytes, transfer_syntax: str, shape: FrameShape, photometric: str
) -> NDArray[Any]:
    """Decode a frame.

    Args:
        frame: JPEG, JPEG-LS or JPEG 2000, from its start to its end marker.
        transfer_syntax: UID of the transfer syntax.
        shape: What the frame's own header says.
        photometric: Photometric Interpretation (0028,0004).

    Returns:
        Shape (height, width) or (height, width, 3), of the type that fits bits and sign.

    Raises:
        MissingExtraError: GDCM is not installed.
        UnreadableError: It is damaged, or GDCM cannot decode it.
    """
    require_extra("dicom", "gdcm")
    task = {
        "path": sys.path,
        "transfer_syntax": transfer_syntax,
        "photometric": photometric,
        "width_px": shape.width_px,
        "height_px": shape.height_px,
        "channels": shape.channels,
        "bits": shape.bits,
        "signed": shape.signed,
    }
    # -I: neither the working folder nor the environment may put another module in gdcm's place.
    command = [sys.executable, "-I", "-S", str(_CHILD)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(task).encode("ascii") + b"\n" + frame,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableError(
            f"its compressed pixels take longer than {_TIMEOUT_S} s to decode. {_DAMAGED}"
        ) from error
    except OSError as error:
        raise UnreadableError(
            f"the process that decodes its pixels cannot be started ({error.strerror}). "
            "Free some memory and try again"
        ) from error
    said = [line for line in done.stderr.splitlines() if not line.startswith(_HARMLESS)]
    count, _, pixels = done.stdout.partition(b"\n")
    dtype = np.dtype(f"{'i' if shape.signed else 'u'}{1 if shape.bits <= 8 else 2}")
    size = shape.width_px * shape.height_px * shape.channels * dtype.itemsize
    whole = done.returncode == 0 and count == b"%d" % len(pixels) and len(pixels) == size
    if not whole or any(line.strip() for line in said):
        raise UnreadableError(f"its compressed pixels are damaged. {_DAMAGED}")
    grey = shape.height_px, shape.width_px
    wanted = grey if shape.channels == 1 else (*grey, shape.channels)
    return np.frombuffer(pixels, dtype).reshape(wanted)
