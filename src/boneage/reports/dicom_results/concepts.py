"""The concepts of the structured report, each with its code and where that stands.

Where no published scheme has a concept, the code is of the private scheme ``99BONEAGE``, which
every report declares (DICOM PS3.3 C.12.1, Coding Scheme Identification Sequence; private
designators begin with 99, PS3.16 section 8).
"""

from dataclasses import dataclass

__all__ = [
    "ALGORITHM_FAMILY",
    "BONE_AGE",
    "COMMENT",
    "FAILED",
    "FINDING",
    "GREULICH_PYLE",
    "HAND",
    "LEFT",
    "LEVEL",
    "LOWER_LIMIT",
    "MONTH",
    "NORMAL_LOWER",
    "NORMAL_UPPER",
    "NOT_ATTEMPTED",
    "NO_UNITS",
    "PERCENT",
    "PRIVATE_SCHEME",
    "RADIOGRAPHY",
    "RESEARCH_NOTICE",
    "RIGHT",
    "SD_OF_POPULATION",
    "SD_SCORE",
    "SUBJECT_AGE",
    "UPPER_LIMIT",
    "Concept",
]

PRIVATE_SCHEME = "99BONEAGE"
"""Designator of the codes that no published scheme has."""


@dataclass(frozen=True)
class Concept:
    """A coded concept.

    Attributes:
        value: The code, 16 characters at most (PS3.5 section 6.2, SH).
        scheme: Designator of its scheme (PS3.16 section 8).
        meaning: What it says in words, 64 characters at most.
    """

    value: str
    scheme: str
    meaning: str


# LOINC. HL7's profile of a bone age (FHIR DSTU 2, StructureDefinition/hspc-boneage) fixes this code
# for the quantity, and its value set hspc-boneageUOM has the units mo and a.
BONE_AGE = Concept("37362-1", "LN", "XR Bone age")

HAND = Concept("85562004", "SCT", "Hand")  # PS3.16 CID 4
LEFT = Concept("7771000", "SCT", "Left")  # PS3.16 CID 244
RIGHT = Concept("24028007", "SCT", "Right")
RADIOGRAPHY = Concept("168537006", "SCT", "Plain radiography")  # PS3.16 CID 10005
ALGORITHM_FAMILY = Concept("123110", "DCM", "Artificial Intelligence")  # PS3.16 CID 7162

SUBJECT_AGE = Concept("121033", "DCM", "Subject Age")  # PS3.16 TID 1007
SD_SCORE = Concept("121416", "DCM", "Z-Score of measurement")  # PS3.16 CID 227, by TID 311
SD_OF_POPULATION = Concept("121414", "DCM", "Standard deviation of population")  # CID 226, TID 311
NORMAL_LOWER = Concept("385524004", "SCT", "Normal Range Lower Limit")  # CID 223, by TID 312
NORMAL_UPPER = Concept("371933006", "SCT", "Normal Range Upper Limit")
FINDING = Concept("121071", "DCM", "Finding")
COMMENT = Concept("121106", "DCM", "Comment")

# PS3.16 CID 42: what stands in place of a number.
NOT_ATTEMPTED = Concept("114007", "DCM", "Measurement not attempted")
FAILED = Concept("114006", "DCM", "Measurement failure")

# A prediction interval is no reference range and no confidence interval of a mean, and DICOM has
# codes for those alone.
LOWER_LIMIT = Concept("interval-lower", PRIVATE_SCHEME, "Lower limit of prediction interval")
UPPER_LIMIT = Concept("interval-upper", PRIVATE_SCHEME, "Upper limit of prediction interval")
LEVEL = Concept("interval-level", PRIVATE_SCHEME, "Level of prediction interval")

# What the radiographs that the model learned from were read by. SNOMED CT, as far as PS3.16 uses
# it, has no code for that.
GREULICH_PYLE = Concept(
    "greulich-pyle", PRIVATE_SCHEME, "Greulich and Pyle, estimated by a neural network"
)
RESEARCH_NOTICE = Concept("research-notice", PRIVATE_SCHEME, "Notice on use")

MONTH = Concept("mo", "UCUM", "month")
PERCENT = Concept("%", "UCUM", "Percent")
NO_UNITS = Concept("1", "UCUM", "no units")
