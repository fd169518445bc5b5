"""What a page says about one child's figures: rows of facts, and how sure they are."""

from collections.abc import Iterator, Mapping
from typing import Any

from boneage.evaluation.agebands import AGE_BANDS_MONTHS
from boneage.growth.adult_height import HEIGHT_LIMITS
from boneage.growth.sds import NORMAL_SD, SD_LIMITS, Norm
from boneage.inference.card import Card
from boneage.reports.child import ChildVisit
from boneage.reports.words import interval_text, percent, signed, years_and_months

__all__ = [
    "NO_DECISION",
    "OVERLAY_CAPTION",
    "RESEARCH_ONLY",
    "facts_of",
    "how_sure",
    "limits_of",
    "model_facts",
]

RESEARCH_ONLY = "Research software, not a medical device."
NO_DECISION = "No decision on a patient may rest on this report."
OVERLAY_CAPTION = (
    "What moved the estimate, in months a cell: orange made it older, blue younger. "
    "A hint, not a finding."
)

# The best kind of figure first: on radiographs that nothing was learned or chosen on.
_FIGURES = {
    "held_out": "held-out radiographs",
    "out_of_fold": "out-of-fold radiographs",
    "validation": "validation radiographs",
}

Pairs = Iterator[tuple[str, str]]


def facts_of(visit: ChildVisit, level: float | None) -> Pairs:
    """Names and values of a visit's figures, for a list beside the radiograph.

    Args:
        visit: The visit; its row is ``ok``.
        level: Level of the interval.
    """
    months, age_months = visit.row.bone_age_months or 0.0, visit.facts.age_months
    if visit.interval_months is None:
        yield "Interval", "none: this model gives no interval"
    else:
        low, high = visit.interval_months
        years = f"{years_and_months(low)} to {years_and_months(high)}"
        yield f"{percent(level or 0.0)} interval", f"{interval_text((low, high))} months ({years})"
    if age_months is None:
        yield "Chronological age", "not known, so no comparison with it"
        return
    yield "Chronological age", f"{age_months:.1f} months ({years_and_months(age_months)})"
    yield "Ahead (+) or behind (−)", f"{signed(months - age_months)} months"
    if visit.score is None:
        yield "SD score", f"none: {visit.score_note}"
    else:
        score = visit.score
        text = signed(score.score)
        if score.lower_score is not None and score.upper_score is not None:
            text += f" ({interval_text((score.lower_score, score.upper_score), plus=True)})"
        yield "SD score", f"{text}, {score.norm.capitalize()}"
        low, high = score.normal_months
        yield (
            f"Normal range (±{NORMAL_SD:g} SD)",
            f"{interval_text((low, high))} months; 1 SD is {score.sd_months:.1f}",
        )
    if visit.facts.height_cm is not None:
        yield "Height", f"{visit.facts.height_cm:.1f} cm"
        yield "Predicted adult height", _height(visit)


def _height(visit: ChildVisit) -> str:
    height = visit.height
    if height is None:
        return f"none: {visit.height_note}"
    return (
        f"{height.height_cm:.1f} cm ({height.lower_cm:.1f} to {height.upper_cm:.1f}, "
        f"{percent(height.level)} interval)"
    )


def how_sure(visit: ChildVisit, card: Card) -> Iterator[str]:
    """Sentences on how far the figures can be trusted."""
    yield from _verdict(visit)
    yield from _of_the_model(visit, card)
    height = visit.height
    if height is None:
        return
    side = "too low" if height.mean_error_cm < 0 else "too high"
    widened = (
        "widened by the bone age's own interval"
        if height.with_bone_age_interval
        else "without the bone age's uncertainty, as this model gives no interval"
    )
    yield (
        f"Adult height: {percent(height.percentage / 100)} is reached, by the table for "
        f"{height.maturity} bone ages. In the authors' own check predictions at this age were "
        f"{abs(height.mean_error_cm):.1f} cm {side} on average (SD {height.sd_error_cm:.1f} cm); "
        f"the interval is made of that, {widened}."
    )


def _verdict(visit: ChildVisit) -> Iterator[str]:
    score = visit.score
    if score is None:
        return
    place = f"The bone age is {score.verdict} the normal range"
    if score.lower_score is None or score.upper_score is None:
        yield f"{place}; without an interval it is open how sure that is."
        return
    if score.upper_score - score.lower_score > 2 * NORMAL_SD:
        yield (
            f"{place}, but its interval is wider than that range: this estimate cannot tell "
            "normal from abnormal."
        )
    elif score.certain:
        yield f"{place}, and so is its whole interval."
    else:
        yield f"{place}, but its interval reaches across the limit: it may be otherwise."


def _of_the_model(visit: ChildVisit, card: Card) -> Iterator[str]:
    """How far off the model was on other children, as its card says."""
    known = [name for name in _FIGURES if _number(card.figures, name, "mae_months") is not None]
    if not known:
        yield "The model's card does not say how far off it is."
        return
    found = known[0]
    figures = card.figures[found]
    count = _number(figures, "count")
    text = f"On {'' if count is None else f'{count:,.0f} '}{_FIGURES[found]} the model was "
    text += f"{figures['mae_months']:.1f} months off on average"
    band = next(
        band
        for band in reversed(AGE_BANDS_MONTHS)
        if (visit.row.bone_age_months or 0.0) >= band.lower_months
    )
    of_band = _number(figures, "by_age_band", band.name, "mae_months")
    bias = _number(figures, "by_age_band", band.name, "bias_months")
    if of_band is not None and bias is not None:
        side = "old" if bias > 0 else "young"
        text += (
            f"; on those read as {band.label} months {of_band:.1f}, "
            f"and {abs(bias):.1f} too {side} on the whole"
        )
    held = _number(figures, "interval_coverage", "overall")
    if held is not None and card.interval is not None:
        text += f". Its {percent(card.interval.level)} interval held for {percent(held)}"
    yield f"{text}."


def limits_of(visit: ChildVisit, norm: Norm) -> Pairs:
    """Each reference that was used: its name, and what it rests on."""
    if visit.score is not None:
        yield "SD score", f"{norm.sample}. {SD_LIMITS}"
    if visit.height is not None:
        yield "Adult height", f"Bayley and Pinneau, J Pediatr 1952;40:423-441. {HEIGHT_LIMITS}"


def model_facts(card: Card) -> Pairs:
    """What the card says of the model, for a list."""
    yield "Model", f"{card.name}, version {card.version}"
    data, count = card.trained_on.get("data"), _number(card.trained_on, "count")
    if isinstance(data, str):
        yield "Learned from", data if count is None else f"{data}; {count:,.0f} radiographs"
    yield "For", card.intended_use
    yield "Limits", card.limits
    yield "Licence", card.licence
    if card.terms:
        yield "Terms", card.terms


def _number(values: object, *path: str) -> float | None:
    """A number in nested objects of a card, which may hold any JSON; None if it is not there."""
    found: Any = values
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found)
