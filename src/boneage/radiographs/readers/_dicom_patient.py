"""Sex and age of the child as a DICOM header gives them, and None where it gives none."""

import re
from dataclasses import dataclass
from datetime import date

from boneage.radiographs.radiograph import Sex
from boneage.radiographs.readers._dicom_header import Header

__all__ = [
    "ChildInFile",
    "age_months",
    "age_string_months",
    "child_of",
    "months_between",
    "sex_of",
    "taken_on",
]

_PATIENT_SEX, _PATIENT_AGE, _BIRTH_DATE = 0x00100040, 0x00101010, 0x00100030
# Acquisition Date and DateTime, Content, Series and Study Date: the nearest to the exposure first.
_DATES = (0x00080022, 0x0008002A, 0x00080023, 0x00080021, 0x00080020)

DAYS_A_MONTH = 365.2425 / 12
"""Mean month of the Gregorian calendar."""

_MONTHS_A_UNIT = {"D": 1 / DAYS_A_MONTH, "W": 7 / DAYS_A_MONTH, "M": 1.0, "Y": 12.0}
_MOST_MONTHS = 300.0  # what a Radiograph may hold
_SLACK_MONTHS = 1.0


@dataclass(frozen=True)
class ChildInFile:
    """What a file says of the child, without who it is.

    Attributes:
        sex: The sex, or None.
        age_months: Chronological age when the radiograph was taken, 0 to 300 months, or None.
        taken: Day on which the radiograph was taken, or None.
    """

    sex: Sex | None = None
    age_months: float | None = None
    taken: date | None = None


def child_of(header: Header) -> ChildInFile:
    """All that a header says of the child."""
    return ChildInFile(sex_of(header), age_months(header), taken_on(header))


def sex_of(header: Header) -> Sex | None:
    """Patient's Sex (0010,0040), PS3.3 C.7.1.1: M or F; O, anything else and nothing are None."""
    return {"M": Sex.MALE, "F": Sex.FEMALE}.get(header.text(_PATIENT_SEX).upper())


def age_months(header: Header) -> float | None:
    """Chronological age when the radiograph was taken.

    By Patient's Birth Date (0010,0030) and the date of the acquisition, to the day; else by
    Patient's Age (0010,1010), which counts whole years from two years on. Where there are both and
    they contradict each other by more than the unit of the latter, neither can be trusted.

    Returns:
        Months, 0 to 300; None if it is not known, contradictory, or no age of a child: birth dates
        are often replaced by a dummy.
    """
    stated = age_string_months(header.text(_PATIENT_AGE))
    age, unit = (None, 0.0) if stated is None else stated
    born = _date(header.text(_BIRTH_DATE))
    taken = taken_on(header)
    counted = None if born is None or taken is None else months_between(born, taken)
    age, counted = _of_a_child(age), _of_a_child(counted)
    if age is not None and counted is not None:
        fits = age - _SLACK_MONTHS <= counted <= age + unit + _SLACK_MONTHS
        return counted if fits else None
    return age if counted is None else counted


def taken_on(header: Header) -> date | None:
    """Day on which the radiograph was taken, by the date that is nearest to the exposure."""
    return next(filter(None, (_date(header.text(tag)) for tag in _DATES)), None)


def age_string_months(text: str) -> tuple[float, float] | None:
    """Read an age string (AS, PS3.5 table 6.2-1): three digits and D, W, M or Y.

    Returns:
        The age and its unit, both in months; None if it is no age string.
    """
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text.upper())
    if match is None:
        return None
    unit = _MONTHS_A_UNIT[match[2]]
    return int(match[1]) * unit, unit


def months_between(born: date, taken: date) -> float:
    """Months from one day to another, negative if the second is the earlier."""
    return (taken - born).days / DAYS_A_MONTH


def _of_a_child(months: float | None) -> float | None:
    return months if months is not None and 0 <= months <= _MOST_MONTHS else None


def _date(text: str) -> date | None:
    """A date (DA, YYYYMMDD; of a date and time the first eight digits), or None."""
    match = re.match(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", text)
    if match is None:
        return None
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None
