"""Evaluation: how far predictions lie from the readers' bone age, and how sure that figure is."""

from boneage.evaluation.agebands import AGE_BANDS_MONTHS, AgeBand
from boneage.evaluation.agreement import Agreement, limits_of_agreement
from boneage.evaluation.metrics import GroupMetrics, Metrics, evaluate
from boneage.evaluation.paired import PairedDifference, paired_difference

__all__ = [
    "AGE_BANDS_MONTHS",
    "AgeBand",
    "Agreement",
    "GroupMetrics",
    "Metrics",
    "PairedDifference",
    "evaluate",
    "limits_of_agreement",
    "paired_difference",
]
