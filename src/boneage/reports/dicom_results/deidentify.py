"""Results that do not say whose they are.

Not a filter: the header that a result is made from is written anew, from a short list of what may
stand in it (PS3.15 Annex E, Basic Application Level Confidentiality Profile). So nothing is left
over by oversight. UIDs and the patient's id become keyed hashes: with the same key, results of one
study and of one patient stay together; without it nobody can compute them from the originals.
"""

import hashlib
import hmac
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from boneage.errors import SettingsError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["PLACEHOLDER", "Deidentify"]

PLACEHOLDER = datetime(1900, 1, 1)
"""Stands where a date may be neither empty nor true (PS3.15 table E.1-1, action D)."""

_LEAST_KEY_BYTES = 16
_METHOD = "boneage: header written anew from an allow-list"  # LO, 64 characters at most
_LEAST_WORD = 3
_LONG_WORD = 6  # shorter ones are taken out as whole words only: Ann is part of "cannot"


@dataclass(frozen=True)
class Deidentify:
    """How results lose their identity.

    Attributes:
        key: Secret of 16 bytes or more that UIDs and ids are hashed with. The same key gives the
            same UIDs again; keep it apart from the results, or forget it.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < _LEAST_KEY_BYTES:
            raise SettingsError(
                f"--deidentify: the key must have {_LEAST_KEY_BYTES} bytes or more, not "
                f"{len(self.key)}."
            )

    def uid(self, original: str) -> str:
        """The UID that stands for another one (action U of table E.1-1)."""
        digest = self._hash("uid", original)
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"

    def header(self, header: "Dataset") -> "Dataset":
        """A header without identity, for a result to be made from.

        Sex and age stay, as the answer rests on them (Retain Patient Characteristics Option).

        Args:
            header: The header of the radiograph.
        """
        from highdicom.sr import CodedConcept
        from pydicom.dataset import Dataset
        from pydicom.sr.codedict import codes

        person = str(header.get("PatientID") or header.StudyInstanceUID)
        issuer = str(header.get("IssuerOfPatientID") or "")
        new = Dataset()
        new.SOPClassUID = header.SOPClassUID
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            setattr(new, keyword, self.uid(str(header[keyword].value)))
        new.PatientID = self._hash("patient", issuer, person)[:8].hex()
        new.PatientName = f"Deidentified^{new.PatientID}"
        for keyword in (
            "PatientBirthDate",
            "StudyDate",
            "StudyTime",
            "StudyID",
            "AccessionNumber",
            "ReferringPhysicianName",
        ):
            setattr(new, keyword, "")
        new.PatientSex = header.get("PatientSex") if header.get("PatientSex") in ("F", "M") else ""
        new.PatientIdentityRemoved = "YES"
        new.LongitudinalTemporalInformationModified = "REMOVED"  # PS3.15 E.2
        new.DeidentificationMethod = _METHOD
        new.DeidentificationMethodCodeSequence = [
            CodedConcept.from_code(code)
            for code in (
                codes.DCM.BasicApplicationConfidentialityProfile,
                codes.DCM.CleanStructuredContentOption,
                codes.DCM.RetainPatientCharacteristicsOption,
            )
        ]
        for keyword in ("ImageLaterality", "Laterality"):
            if header.get(keyword) in ("L", "R"):
                setattr(new, keyword, header[keyword].value)
        if header.get("BurnedInAnnotation") in ("YES", "NO"):
            new.BurnedInAnnotation = header.BurnedInAnnotation
        return new

    def clean(self, text: str, header: "Dataset") -> str:
        """Take out of a text whatever the header says of the person, the place or the visit.

        Args:
            text: Such as a row's message, which other software or a file's name may have a part in.
            header: The header of the radiograph.
        """
        for value in sorted(_values(header), key=len, reverse=True):
            pattern = re.escape(value)
            if len(value) < _LONG_WORD:
                pattern = rf"(?<!\w){pattern}(?!\w)"
            text = re.sub(pattern, "[removed]", text, flags=re.IGNORECASE)
        return text

    def _hash(self, *names: str) -> bytes:
        message = "\0".join(names).encode("utf-8", errors="surrogatepass")
        return hmac.digest(self.key, message, hashlib.sha256)


def _values(header: "Dataset") -> Iterator[str]:
    """Texts of the header that may identify, and the parts of names among them."""
    for element in header.iterall():
        if element.VR not in _TEXTS:
            continue
        if element.keyword in _HARMLESS:
            continue
        values = element.value if element.VM > 1 else [element.value]
        for value in values or ():
            text = str(value or "").strip()
            parts = re.split(r"[\^=\s]+", text) if element.VR == "PN" else [text]
            yield from (part for part in {text, *parts} if len(part) >= _LEAST_WORD)


_TEXTS = frozenset({"AE", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UT"})

# Words such as HAND or a model's name must not vanish from every message.
_HARMLESS = frozenset(
    {
        "CodeMeaning",
        "CodeValue",
        "CodingSchemeDesignator",
        "SOPClassUID",
        "ReferencedSOPClassUID",
        "Manufacturer",
        "ManufacturerModelName",
        "SoftwareVersions",
        "SeriesDescription",
        "StudyDescription",
        "ProtocolName",
    }
)
