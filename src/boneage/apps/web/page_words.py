"""What the templates are told of an answer: figures as they are printed."""

import json
from collections.abc import Iterator
from typing import Any

from boneage.apps.web.age_scale import age_scale_svg
from boneage.apps.web.jobs import Answer, Ready
from boneage.reports.child_words import facts_of, how_sure
from boneage.reports.pages import definitions_html
from boneage.reports.words import percent, signed, years_and_months

__all__ = ["words_of"]

_AGE = "Chronological age"


def words_of(answer: Answer, model: Ready) -> dict[str, Any]:
    """The variables of the templates ``_answer.html`` and ``_finding.html``.

    Args:
        answer: The answer.
        model: What the workers have loaded.
    """
    row, visit = answer.row, answer.visit
    words: dict[str, Any] = {
        "row": row,
        "reason": row.message.removeprefix(f"{row.path}: "),
        "row_json": json.dumps(row.values(), ensure_ascii=False),
        "model": model.card,
        "level": None if answer.level is None else percent(answer.level),
        "norm": answer.norm.capitalize(),
        "warnings": answer.warnings,
        "normal": visit.score is not None,
    }
    if row.bone_age_months is None:
        return words
    limits = visit.interval_months
    return words | {
        "spoken_age": years_and_months(row.bone_age_months),
        "interval": limits and f"{years_and_months(limits[0])} to {years_and_months(limits[1])}",
        "score": signed(visit.score.score) if visit.score else "",
        # These two are HTML and escape what they are given themselves.
        "scale_html": age_scale_svg(visit),
        "facts_html": definitions_html(_facts(answer)),
        "sure": list(how_sure(visit, model.card)),
    }


def _facts(answer: Answer) -> Iterator[tuple[str, str]]:
    """The figures, and where the age comes from if nobody gave it."""
    for name, value in facts_of(answer.visit, answer.level):
        if name == _AGE and answer.age_source in ("file", "birth date"):
            yield name, f"{value}, from the {answer.age_source}"
        else:
            yield name, value
