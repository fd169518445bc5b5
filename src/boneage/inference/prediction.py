"""What goes into a prediction and what comes out."""

import os
from dataclasses import dataclass, field

from boneage.inference.heatmap import HeatMap
from boneage.radiographs.radiograph import Radiograph, Sex

__all__ = ["Prediction", "Query"]


@dataclass(frozen=True)
class Query:
    """A radiograph to predict.

    Attributes:
        radiograph: A radiograph, or the path of its file.
        sex: Sex of the child, or None to take the radiograph's own.
    """

    radiograph: Radiograph | str | os.PathLike[str]
    sex: Sex | None = None


@dataclass(frozen=True)
class Prediction:
    """A bone age and what belongs to it.

    Attributes:
        bone_age_months: The estimate in months, 0 or more.
        lower_months: Lower end of the interval in months, 0 or more; None if the model has none.
        upper_months: Upper end of the interval in months; None if the model has none.
        level: Share of children for whom the interval is to hold, as 0.9; None without one.
        sex: The sex that the estimate was made for.
        warnings: What a reader should know, such as a crop that was not found. Often empty.
        source: Name of the radiograph.
        model_name: Name of the model.
        model_version: Version of the model.
        heat_map: What each part of the radiograph adds to the estimate; None if the model does
            not say.
    """

    bone_age_months: float
    lower_months: float | None
    upper_months: float | None
    level: float | None
    sex: Sex
    warnings: tuple[str, ...]
    source: str
    model_name: str
    model_version: str
    heat_map: HeatMap | None = field(default=None, compare=False, repr=False)
