"""What is on the radiograph according to its header, and how large its pixels are."""

import math
import re

from boneage.errors import UnsuitableError
from boneage.radiographs.readers._dicom_header import Header

__all__ = ["body_part", "laterality", "refuse_other_parts", "spacing_mm", "view"]

_BODY_PART, _REGIONS, _CODE_MEANING = 0x00180015, 0x00082218, 0x00080104
_IMAGE_LATERALITY, _LATERALITY, _VIEW = 0x00200062, 0x00200060, 0x00185101
_PIXEL_SPACING, _CALIBRATION = 0x00280030, 0x00280A02
_IMAGER_SPACING, _MAGNIFICATION, _SCANNED_SPACING = 0x00181164, 0x00181114, 0x00182010

# Words of Body Part Examined (PS3.16, annex L). Only what is clearly no hand is listed, because
# the attribute is often empty, wrong in detail or in another language; the intake gate looks at
# the picture itself.
_OTHER_PARTS = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "AORTA", "BLADDER", "BRAIN", "BREAST", "CALCANEUS",
    "CALF", "CHEST", "CLAVICLE", "COCCYX", "CSPINE", "CTSPINE", "EAR", "ELBOW", "EYE", "FACE",
    "FEMUR", "FIBULA", "FOOT", "HEAD", "HEART", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LSPINE",
    "LSSPINE", "LUMBAR", "MANDIBLE", "MAXILLA", "NECK", "NOSE", "ORBIT", "PATELLA", "PELVIS",
    "RIB", "RIBS", "SACRUM", "SCAPULA", "SHOULDER", "SINUS", "SKULL", "SPINE", "SSPINE",
    "STERNUM", "THIGH", "THORAX", "TIBIA", "TLSPINE", "TMJ", "TOE", "TOES", "TOOTH", "TSPINE",
})  # fmt: skip
_HAND_PARTS = frozenset(
    ("CARPAL", "FINGER", "FINGERS", "HAND", "HANDS", "METACARPAL", "THUMB", "WRIST", "WRISTS")
)
_LARGEST_SPACING_MM = 10.0


def body_part(header: Header) -> str | None:
    """Body Part Examined (0018,0015), else the meaning of the Anatomic Region (0008,2218)."""
    text = header.text(_BODY_PART)
    for region in header.sequences.get(_REGIONS, ()):
        text = text or region.text(_CODE_MEANING)
    return text.upper() or None


def refuse_other_parts(part: str | None) -> None:
    """Raise if the body part is clearly no hand.

    Args:
        part: As :func:`body_part` gives it.

    Raises:
        UnsuitableError: It is another part. What is empty or not understood passes.
    """
    words = set(re.findall(r"[A-Z]+", part or ""))
    if words & _HAND_PARTS:
        return
    other = sorted(words & _OTHER_PARTS)
    if not other and "LOWER" in words and words & {"EXTREMITY", "LIMB"}:
        other = ["LOWER LIMB"]
    if other:
        raise UnsuitableError(
            f"its header says that it shows {other[0]}, not a hand (Body Part Examined). "
            "If that is wrong, correct it or export the picture as PNG"
        )


def laterality(header: Header) -> str | None:
    """``left`` or ``right`` by Image Laterality (0020,0062), else Laterality (0020,0060)."""
    letter = header.text(_IMAGE_LATERALITY) or header.text(_LATERALITY)
    return {"L": "left", "R": "right"}.get(letter.upper())


def view(header: Header) -> str | None:
    """View Position (0018,5101), such as PA."""
    return header.text(_VIEW).upper() or None


def spacing_mm(header: Header) -> tuple[float, float] | None:
    """Distance between pixel centres (down, across) in the plane of the hand, PS3.3 10.7.1.3.

    Pixel Spacing (0028,0030) is that where it was calibrated, or differs from Imager Pixel Spacing
    (0018,1164). The latter is that of the detector, and is divided by the Estimated Radiographic
    Magnification Factor (0018,1114) if there is one. A film that was scanned has its own
    (0018,2010).

    Returns:
        In mm, or None if it is not known, or no spacing that a radiograph can have.
    """
    spacing = _pair(header, _PIXEL_SPACING)
    imager = _pair(header, _IMAGER_SPACING)
    if spacing is not None and (
        imager is None or spacing != imager or header.text(_CALIBRATION) in ("FIDUCIAL", "GEOMETRY")
    ):
        return spacing
    if imager is not None:
        factors = header.decimals(_MAGNIFICATION)
        factor = factors[0] if factors and 1 <= factors[0] <= 5 else 1.0
        return imager[0] / factor, imager[1] / factor
    return _pair(header, _SCANNED_SPACING)


def _pair(header: Header, tag: int) -> tuple[float, float] | None:
    values = header.decimals(tag)
    if len(values) != 2 or not all(
        math.isfinite(value) and 0 < value <= _LARGEST_SPACING_MM for value in values
    ):
        return None
    return values[0], values[1]
