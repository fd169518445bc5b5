"""What the folds' networks say of the radiographs that each of them did not learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from boneage.dataset.prepared import PreparedData
from boneage.errors import TrainingError
from boneage.evaluation.conformal import coverage
from boneage.evaluation.metrics import Metrics, evaluate
from boneage.evaluation.standards import learn_pulls
from boneage.inference.bundle import WEIGHTS_FILE, Bundle
from boneage.inference.card import Card
from boneage.inference.intervals import Interval
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.ensemble import Ensemble
from boneage.network.standards import Standards
from boneage.training.export import to_onnx
from boneage.training.measuring import predict_prepared, sex_word
from boneage.training.settings import TrainingSettings

__all__ = ["Answers", "load_network", "measure", "out_of_fold", "pulled_to_standards"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions of prepared radiographs.

    Attributes:
        data: The radiographs, N of them.
        predicted_months: Bone ages in months, shape (N,).
        expected_months: The errors that the network expected, shape (N,), or None.
    """

    data: PreparedData
    predicted_months: NDArray[np.float32]
    expected_months: NDArray[np.float32] | None

    @property
    def errors_months(self) -> NDArray[np.float32]:
        """Absolute errors in months, shape (N,)."""
        errors: NDArray[np.float32] = np.abs(self.predicted_months - self.data.bone_ages_months)
        return errors


def load_network(bundle: Path, settings: TrainingSettings) -> BoneAgeNetwork:
    """The network of a bundle that boneage trained, ready for torch.

    Raises:
        TrainingError: The weights are missing, damaged or of another network.
    """
    network = build_network(settings.network, size_px=settings.size_px)
    try:
        network.load_state_dict(load_file(bundle / WEIGHTS_FILE))
    except Exception as error:  # safetensors and torch each raise their own
        raise TrainingError(
            f"{bundle / WEIGHTS_FILE} cannot be used: {error}. Remove {bundle.parent} and train "
            "it again with --resume."
        ) from error
    return network.eval()


def out_of_fold(
    members: Sequence[BoneAgeNetwork],
    views: Mapping[str, Any],
    data: PreparedData,
    folds: NDArray[Any],
    facts: Mapping[str, Any],
) -> Answers:
    """Predict every radiograph by the network of its own fold.

    Args:
        members: The networks in the order of their folds.
        views: How each is asked; see :class:`~boneage.network.ensemble.Ensemble`.
        data: The radiographs, N of them.
        folds: The fold of each, shape (N,).
        facts: Fields of a card that fits the networks.

    Returns:
        The predictions; errors are expected only if every network expects them.
    """
    predicted, expected = np.empty((2, len(data)), np.float32)
    all_expect = all(member.expects_error for member in members)
    for fold, member in zip(np.unique(folds), members, strict=True):
        rows = np.flatnonzero(folds == fold)
        part = data.subset(data.ids[row] for row in rows)
        graph = to_onnx(Ensemble([member], **views), facts["size_px"])
        predicted[rows], errors = predict_prepared(Bundle(Path(), Card(**facts), graph), part)
        if errors is not None:
            expected[rows] = errors
    return Answers(data, predicted, expected if all_expect else None)


def pulled_to_standards(answers: Answers, folds: NDArray[Any]) -> tuple[Standards, Answers]:
    """What the answers out of fold teach of the standards that readers give.

    Args:
        answers: The answers out of fold, N of them.
        folds: The fold of each, shape (N,).

    Returns:
        What pulls the answers of the finished model, learned from all, and the answers, each pulled
        by what those of the other folds teach.
    """
    months, sexes = answers.predicted_months, answers.data.sexes
    read = answers.data.bone_ages_months

    def learned_from(rows: NDArray[np.bool_]) -> Standards:
        return Standards(torch.from_numpy(learn_pulls(months[rows], read[rows], sexes[rows])))

    pulled = np.empty_like(months)
    for fold in np.unique(folds):
        own = folds == fold
        standards = learned_from(~own)
        pulled[own] = standards(torch.from_numpy(months[own]), torch.from_numpy(sexes[own])).numpy()
    everyone = np.ones(len(months), bool)
    return learned_from(everyone), replace(answers, predicted_months=pulled)


def measure(answers: Answers, interval: Interval | None) -> tuple[Metrics, dict[str, float] | None]:
    """Figures of predictions, and how often an interval held, overall and by sex."""
    data, true = answers.data, answers.data.bone_ages_months
    sexes = [sex_word(value) for value in data.sexes]
    metrics = evaluate(true, answers.predicted_months, sexes)
    if interval is None:
        return metrics, None
    half: Any = interval.half_width_months(1.0 if interval.scaled else None)
    if interval.scaled:
        half = half * answers.expected_months
    low, high = answers.predicted_months - half, answers.predicted_months + half
    return metrics, coverage(true, low, high, sexes)
