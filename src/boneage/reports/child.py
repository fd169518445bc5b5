"""One visit of one child: what the model answered, and what the growth references make of it."""

from dataclasses import dataclass

from boneage.errors import OutsideTableError, SettingsError
from boneage.growth.adult_height import AdultHeight, predict_adult_height
from boneage.growth.sds import Norm, SDScore, sd_score
from boneage.inference.rows import Row
from boneage.radiographs.radiograph import Sex
from boneage.reports.child_request import Facts

__all__ = ["ChildVisit", "assess"]

_USUAL_LEVEL = 0.9


@dataclass(frozen=True)
class ChildVisit:
    """The answer to one radiograph with all that is known beside it.

    Attributes:
        row: The row that ``boneage predict`` gives.
        facts: Chronological age and height.
        score: The standard deviation score, or None.
        score_note: Why there is no score; empty if there is one or nothing to say.
        height: The predicted adult height, or None.
        height_note: Why there is none; empty likewise.
    """

    row: Row
    facts: Facts
    score: SDScore | None = None
    score_note: str = ""
    height: AdultHeight | None = None
    height_note: str = ""

    @property
    def interval_months(self) -> tuple[float, float] | None:
        """Lower and upper limit of the bone age, if there are any."""
        if self.row.lower_months is None or self.row.upper_months is None:
            return None
        return self.row.lower_months, self.row.upper_months


def assess(row: Row, facts: Facts, norm: Norm, level: float | None) -> ChildVisit:
    """Put a row on the growth references, as far as they reach.

    Args:
        row: The row of the radiograph.
        facts: What is known of the child.
        norm: Whose spread counts as normal.
        level: Level of the row's interval; None if it has none, and 0.9 is used for the height.

    Returns:
        The visit. What a reference has no value for is None, with the reason.
    """
    visit = ChildVisit(row, facts)
    if row.bone_age_months is None or row.sex is None:
        return visit
    if facts.age_months is None:
        note = "The chronological age is not known."
        return ChildVisit(row, facts, score_note=note, height_note=note)
    sex, interval_months = Sex(row.sex), visit.interval_months
    score, score_note, height, height_note = None, "", None, ""
    try:
        score = sd_score(
            row.bone_age_months,
            facts.age_months,
            sex,
            norm=norm,
            interval_months=interval_months,
        )
    except (OutsideTableError, SettingsError) as error:
        score_note = str(error)
    try:
        if facts.height_cm is None:
            height_note = "The height is not known."
        else:
            height = predict_adult_height(
                facts.height_cm,
                row.bone_age_months,
                facts.age_months,
                sex,
                interval_months=interval_months,
                level=level or _USUAL_LEVEL,
            )
    except (OutsideTableError, SettingsError) as error:
        height_note = str(error)
    return ChildVisit(row, facts, score, score_note, height, height_note)
