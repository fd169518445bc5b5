"""What the API takes and gives: the row of ``boneage predict``, and what stands beside it."""

import base64
import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from boneage.apps.web.jobs import Answer, Ready
from boneage.growth.adult_height import MAX_HEIGHT_CM, MIN_HEIGHT_CM
from boneage.growth.references import MAX_AGE_MONTHS

__all__ = [
    "Health",
    "HeatMapPicture",
    "ModelFacts",
    "ModelName",
    "PredictionFields",
    "PredictionRow",
    "Predictions",
    "ProblemBody",
]


def _day(value: object) -> date:
    """A day as RFC 3339 has it; pydantic alone would take seconds since 1970, too."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("write a day as 2015-03-01")
    return date.fromisoformat(value)


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


def _flag(value: object) -> bool:
    """Yes or no in the two words of JSON alone."""
    flags = {"true": True, "false": False, True: True, False: False}
    if not isinstance(value, bool | str) or value not in flags:
        raise ValueError("write true or false")
    return flags[value]


Flag = Annotated[bool, BeforeValidator(_flag)]
Months = Annotated[float, Field(ge=0, le=MAX_AGE_MONTHS, allow_inf_nan=False)]


class PredictionFields(BaseModel):
    """What may be said of the child beside the files; it holds for all of them."""

    model_config = ConfigDict(extra="forbid")

    sex: Literal["female", "male"] | None = Field(
        None,
        description="Sex of the child. It goes before what a DICOM file says. Without either the "
        "row is `refused`: it is never assumed.",
    )
    age_months: Months | None = Field(
        None,
        description="Chronological age when the radiograph was taken, in months. Goes before what "
        "a DICOM file says. Give it or `birth_date`, not both.",
    )
    birth_date: Day | None = Field(
        None, description="Day of birth. The age goes by it and the day of the radiograph."
    )
    taken_date: Day | None = Field(
        None,
        description="Day on which the radiograph was taken, for `birth_date`. Without it that of "
        "the DICOM file is taken; there is no other.",
    )
    height_cm: (
        Annotated[float, Field(ge=MIN_HEIGHT_CM, le=MAX_HEIGHT_CM, allow_inf_nan=False)] | None
    ) = Field(None, description="Height in cm, for the predicted adult height.")
    norm: Literal["brush", "stanford"] = Field(
        "brush", description="Whose spread counts as normal (Greulich and Pyle 1959)."
    )
    heat_map: Flag = Field(False, description="Add the heat map to each row.")


class HeatMapPicture(BaseModel):
    """The heat map as a picture to lay over the radiograph."""

    png: str = Field(
        description="PNG with an alpha channel, in base64, to be stretched over the radiograph.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"},
    )
    limit_months: float = Field(
        description="What the strongest colour stands for, in months a cell: blue makes younger, "
        "orange older."
    )


class PredictionRow(BaseModel):
    """The row that `boneage predict` writes, and what else is known."""

    path: str = Field(description="Name of the file.")
    id: str = Field(description="The same without its suffix.")
    status: Literal["ok", "refused", "failed"] = Field(
        description="`ok`; `refused`: readable, but no bone age should be put on it; `failed`: it "
        "cannot be read."
    )
    sex: Literal["female", "male"] | None = Field(description="The sex that was used or given.")
    bone_age_months: float | None = Field(description="Bone age in months; null unless `ok`.")
    lower_months: float | None = Field(description="Lower end of its interval.")
    upper_months: float | None = Field(description="Upper end of its interval.")
    message: str = Field(description="What went wrong, or what a reader should know.")
    level: float | None = Field(description="Share of children for whom the interval is to hold.")
    warnings: list[str] = Field(description="The parts of `message` of a row that is `ok`.")
    age_months: float | None = Field(description="Chronological age in months.")
    age_source: Literal["given", "birth date", "file", "not known"] = Field(
        description="Where that comes from."
    )
    height_cm: float | None = Field(description="Height as it was given.")
    norm: Literal["brush", "stanford"]
    sd_score: float | None = Field(
        description="Standard deviations that the bone age is ahead; behind is negative."
    )
    lower_sd_score: float | None = Field(description="The same of `lower_months`.")
    upper_sd_score: float | None = Field(description="The same of `upper_months`.")
    normal_lower_months: float | None = Field(
        description="Lowest bone age within 2 SD of the chronological age."
    )
    normal_upper_months: float | None = Field(description="Highest such bone age.")
    sd_note: str = Field(description="Why there is no SD score.")
    adult_height_cm: float | None = Field(
        description="Predicted adult height (Bayley and Pinneau 1952)."
    )
    lower_adult_height_cm: float | None
    upper_adult_height_cm: float | None
    adult_height_note: str = Field(description="Why there is no adult height.")
    heat_map: HeatMapPicture | None = Field(
        description="Null unless it was asked for, the row is `ok` and the model gives one."
    )

    @classmethod
    def of(cls, answer: Answer) -> "PredictionRow":
        """The row of an answer."""
        visit, overlay = answer.visit, answer.overlay
        score, height = visit.score, visit.height
        normal = (None, None) if score is None else score.normal_months
        picture = None
        if overlay is not None:
            png = base64.b64encode(overlay.png).decode("ascii")
            picture = HeatMapPicture(png=png, limit_months=overlay.limit_months)
        return cls(
            **visit.row.values(),
            level=answer.level,
            warnings=list(answer.warnings),
            age_months=_rounded(visit.facts.age_months, 1),
            age_source=answer.age_source,
            height_cm=visit.facts.height_cm,
            norm=answer.norm.value,
            sd_score=None if score is None else _rounded(score.score, 2),
            lower_sd_score=None if score is None else _rounded(score.lower_score, 2),
            upper_sd_score=None if score is None else _rounded(score.upper_score, 2),
            normal_lower_months=_rounded(normal[0], 1),
            normal_upper_months=_rounded(normal[1], 1),
            sd_note=visit.score_note,
            adult_height_cm=None if height is None else _rounded(height.height_cm, 1),
            lower_adult_height_cm=None if height is None else _rounded(height.lower_cm, 1),
            upper_adult_height_cm=None if height is None else _rounded(height.upper_cm, 1),
            adult_height_note=visit.height_note,
            heat_map=picture,
        )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    version: str


class Predictions(BaseModel):
    """The answers to one request."""

    model: ModelName
    rows: list[PredictionRow] = Field(
        description="A row for each file, in the order of the files, whatever became of it."
    )


class ModelFacts(BaseModel):
    """What is known of the model: the readable part of its card."""

    name: str
    version: str
    created: str = Field(description="When it was made, ISO 8601.")
    boneage_version: str = Field(description="The release that made it.")
    sexes: list[str] = Field(description="The sexes that it was trained for.")
    level: float | None = Field(description="Level of the intervals that the server gives.")
    gives_heat_map: bool
    size_px: int = Field(description="Side of the image that the network sees.")
    trained_on: dict[str, Any]
    figures: dict[str, Any] = Field(description="How well it does, and on whom.")
    intended_use: str
    limits: str
    licence: str
    terms: str

    @classmethod
    def of(cls, ready: Ready) -> "ModelFacts":
        """The facts of a loaded model."""
        card = ready.card
        return cls(
            name=card.name,
            version=card.version,
            created=card.created,
            boneage_version=card.boneage_version,
            sexes=list(card.sexes),
            level=ready.level,
            gives_heat_map=ready.gives_heat_map,
            size_px=card.size_px,
            trained_on=dict(card.trained_on),
            figures=dict(card.figures),
            intended_use=card.intended_use,
            limits=card.limits,
            licence=card.licence,
            terms=card.terms,
        )


class Health(BaseModel):
    """Whether the server can work."""

    status: Literal["ok", "unhealthy"]
    problems: list[str] = Field(description="What is wrong, a few words each.")


class FieldProblem(BaseModel):
    """A field that is wrong."""

    field: str
    detail: str


class ProblemBody(BaseModel):
    """An error (RFC 9457)."""

    type: Literal["about:blank"]
    title: str = Field(description="Name of the status code.")
    status: int
    detail: str = Field(description="What is wrong, and what to do about it.")
    errors: list[FieldProblem] | None = Field(None, description="Which fields are wrong.")
