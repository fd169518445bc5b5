"""What pairing yields: the records that can be used, and the discards with their reasons."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from boneage.errors import SettingsError
from boneage.files import write_csv
from boneage.radiographs.radiograph import Sex

__all__ = [
    "MAX_BONE_AGE_MONTHS",
    "Discard",
    "Reason",
    "Record",
    "describe_discards",
    "write_discarded",
]

#: No skeleton is older than adult: Greulich and Pyle's atlas ends at 19 years (228 months), and
#: one more year leaves room for other references.
MAX_BONE_AGE_MONTHS = 240.0


class Reason(StrEnum):
    """Why an image or a label was left out; the values are what ``discarded.csv`` says."""

    IMAGE_WITHOUT_LABEL = "image without a label"
    LABEL_WITHOUT_IMAGE = "label without an image"
    SEVERAL_IMAGES = "two images for one id"
    DUPLICATE_ID = "duplicate id"
    MISSING_ID = "label without an id"
    MISSING_SEX = "label without a sex"
    UNKNOWN_SEX = "sex not understood"
    MISSING_AGE = "label without a bone age"
    IMPOSSIBLE_AGE = "impossible bone age"
    UNREADABLE = "unreadable image"
    UNSUITABLE = "unsuitable image"

    def counted(self, count: int) -> str:
        """The reason with a count, as in ``7 images without a label``."""
        return f"{count:,} {self.value if count == 1 else _PLURALS[self]}"


_PLURALS = {
    Reason.IMAGE_WITHOUT_LABEL: "images without a label",
    Reason.LABEL_WITHOUT_IMAGE: "labels without an image",
    Reason.SEVERAL_IMAGES: "images that share an id with another image",
    Reason.DUPLICATE_ID: "duplicate ids",
    Reason.MISSING_ID: "labels without an id",
    Reason.MISSING_SEX: "labels without a sex",
    Reason.UNKNOWN_SEX: "sexes not understood",
    Reason.MISSING_AGE: "labels without a bone age",
    Reason.IMPOSSIBLE_AGE: "impossible bone ages",
    Reason.UNREADABLE: "unreadable images",
    Reason.UNSUITABLE: "unsuitable images",
}


@dataclass(frozen=True)
class Record:
    """One radiograph with its label; image and label travel together from here on.

    Attributes:
        id: Name of the radiograph: its file's stem and its label's id.
        path: The image file.
        sex: Sex of the child.
        bone_age_months: Bone age that the readers gave, above 0 and up to 240 months.
    """

    id: str
    path: Path
    sex: Sex
    bone_age_months: float

    def __post_init__(self) -> None:
        if not 0 < self.bone_age_months <= MAX_BONE_AGE_MONTHS:
            raise SettingsError(
                f"{self.id}: bone_age_months must be above 0 and at most "
                f"{MAX_BONE_AGE_MONTHS:g}, not {self.bone_age_months}."
            )


@dataclass(frozen=True)
class Discard:
    """One image or label that was left out.

    Attributes:
        id: Id of the label or stem of the image; empty where a label has none.
        path: The image file, or empty where there is none.
        reason: Why.
        detail: More words: the line of the label table, the value, the reader's message.
    """

    id: str
    path: str
    reason: Reason
    detail: str = ""


def describe_discards(discarded: Iterable[Discard]) -> str:
    """Count discards by reason: ``12 discarded: 7 images without a label, 5 duplicate ids``."""
    counts = Counter(discard.reason for discard in discarded)
    if not counts:
        return "none discarded"
    parts = ", ".join(reason.counted(counts[reason]) for reason in Reason if counts[reason])
    return f"{counts.total():,} discarded: {parts}"


def write_discarded(path: str | os.PathLike[str], discarded: Iterable[Discard]) -> None:
    """Write discards as a CSV with the columns ``id,path,reason,detail``.

    Raises:
        OutputError: The system refused to write.
    """
    rows = ([item.id, item.path, item.reason.value, item.detail] for item in discarded)
    write_csv(path, ("id", "path", "reason", "detail"), rows)
