"""Combining finished folds: out-of-fold figures, and the folds' networks as one model.

Every radiograph is predicted by the one network that did not learn from it, asked about the same
views of it (mirrored, zoomed) as the finished model is. Radiographs that were held out from every
fold are predicted by the finished model itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from boneage.dataset.prepared import PreparedData
from boneage.errors import TrainingError
from boneage.evaluation.conformal import coverage
from boneage.evaluation.metrics import Metrics, evaluate
from boneage.files import write_json
from boneage.inference.bundle import WEIGHTS_FILE, Bundle
from boneage.inference.card import Card
from boneage.inference.intervals import Interval
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.ensemble import Ensemble
from boneage.radiographs.preparation import PREPARATION_VERSION, PreparationSettings
from boneage.training.export import export_bundle, store_as_float16, to_onnx
from boneage.training.run import (
    interval_from,
    predict_prepared,
    sex_word,
    sexes_in,
    write_predictions,
)
from boneage.training.run_folder import METRICS_FILE, fold_folder
from boneage.training.settings import TrainingSettings
from boneage.training.start import folds_digest

__all__ = ["Combined", "combine_folds", "load_network"]


@dataclass(frozen=True, eq=False)
class Combined:
    """The finished cross-validation.

    Attributes:
        bundle: The ensemble of the folds.
        out_of_fold: Figures of the single networks on what each did not learn from.
        held_out: Figures of the ensemble on what no fold has seen, or None without such.
    """

    bundle: Path
    out_of_fold: Metrics
    held_out: Metrics | None


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
            f"{bundle / WEIGHTS_FILE} cannot be used: {error}. Remove that fold's folder and "
            "train it again with --resume."
        ) from error
    return network.eval()


def combine_folds(
    out: Path,
    settings: TrainingSettings,
    preparation: PreparationSettings | None,
    prepared: PreparedData,
    fold_of: Mapping[str, int],
    held_out: Sequence[str],
    texts: Mapping[str, str],
) -> Combined:
    """Write the ensemble's bundle, the out-of-fold predictions and their figures.

    Args:
        out: The run folder, with a finished fold in each ``fold-k``.
        settings: How the folds were trained.
        preparation: How the images were prepared.
        prepared: All radiographs.
        fold_of: Fold (from 1) by id.
        held_out: Ids that no fold has seen.
        texts: What the card is to say; see ``CARD_TEXTS``.

    Returns:
        The figures and the bundle.

    Raises:
        TrainingError: A fold's weights cannot be used.
        OutputError: The run folder cannot be written.
    """
    members = [
        load_network(fold_folder(out, fold) / "bundle", settings)
        for fold in sorted(set(fold_of.values()))
    ]
    views: dict[str, Any] = {
        "mirror": settings.augmentation.flip > 0,
        "zooms": settings.zooms,
        "mirror_each": settings.mirror_each,
    }
    # What was discarded on the way has no row and is passed over.
    dealt, apart = prepared.subset(fold_of), prepared.subset(held_out)
    facts: dict[str, Any] = {
        "name": texts.get("name", out.name),
        "preparation": None if preparation is None else preparation.to_dict(),
        "preparation_version": PREPARATION_VERSION,
        "size_px": settings.size_px,
        "sexes": sexes_in(dealt),
        **{key: texts[key] for key in _CARD_FIELDS if key in texts},
    }
    folds = np.array([fold_of[name] for name in dealt.ids])
    predicted, expected = _out_of_fold(members, views, dealt, folds, facts, out)
    out_of_fold, interval, calibration = _measure(dealt, predicted, expected, None)
    figures: dict[str, Any] = {
        "out_of_fold": {
            **out_of_fold.to_dict(),
            "mae_months_of_folds": [
                float(np.abs(predicted - dealt.bone_ages_months)[folds == fold].mean())
                for fold in sorted(set(fold_of.values()))
            ],
            "interval_coverage": calibration,
            "note": "Each radiograph by the one network of the ensemble that did not learn from "
            "it; nothing was chosen on it.",
        }
    }
    ensemble = Ensemble(members, **views)
    graph = store_as_float16(to_onnx(ensemble, settings.size_px))
    held = None
    if len(apart):
        answers, errors = predict_prepared(Bundle(out, Card(**facts), graph), apart)
        held, _, coverages = _measure(apart, answers, errors, interval)
        write_predictions(out / "held-out.csv", apart, answers, errors)
        figures["held_out"] = {
            **held.to_dict(),
            "interval_coverage": coverages,
            "note": "By the whole ensemble; no network learned from these radiographs, and they "
            "were scored once.",
        }
    card = Card(
        **facts,
        trained_on={
            "data": texts.get("data", "not stated"),
            "count": len(dealt),
            "bone_age_months": [
                float(dealt.bone_ages_months.min()),
                float(dealt.bone_ages_months.max()),
            ],
            "folds": len(members),
            "folds_sha256": folds_digest(fold_of),
            "mirror": views["mirror"],
            "settings": settings.to_dict(),
        },
        figures=figures,
        interval=interval,
    )
    bundle = export_bundle(out / "bundle", ensemble, graph, card, half=True)
    write_predictions(out / "predictions.csv", dealt, predicted, expected)
    write_json(out / METRICS_FILE, {**figures["out_of_fold"], "held_out": figures.get("held_out")})
    return Combined(bundle, out_of_fold, held)


_CARD_FIELDS = ("version", "licence", "terms", "intended_use", "limits")


def _out_of_fold(
    members: Sequence[BoneAgeNetwork],
    views: Mapping[str, Any],
    data: PreparedData,
    folds: NDArray[Any],
    facts: Mapping[str, Any],
    out: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Predictions of every radiograph by the network of its own fold."""
    predicted, expected = np.empty((2, len(data)), np.float32)
    errors = None
    for fold, member in zip(sorted(set(folds.tolist())), members, strict=True):
        rows = np.flatnonzero(folds == fold)
        part = data.subset(data.ids[row] for row in rows)
        size_px = facts["size_px"]
        graph = to_onnx(Ensemble([member], **views), size_px)
        predicted[rows], errors = predict_prepared(Bundle(out, Card(**facts), graph), part)
        if errors is not None:
            expected[rows] = errors
    return predicted, None if errors is None else expected


def _measure(
    data: PreparedData,
    predicted: NDArray[np.float32],
    expected: NDArray[np.float32] | None,
    interval: Interval | None,
) -> tuple[Metrics, Interval | None, dict[str, float] | None]:
    """Figures, the interval (from these errors unless one is given) and how often it holds."""
    true = data.bone_ages_months
    sexes = [sex_word(value) for value in data.sexes]
    metrics = evaluate(true, predicted, sexes)
    if interval is None:
        interval = interval_from(np.abs(predicted - true), expected, "out-of-fold radiographs")
    if interval is None:
        return metrics, None, None
    scale = np.ones(len(data)) if expected is None else expected
    half = interval.half_width_months(1.0 if interval.scaled else None) * scale
    return metrics, interval, coverage(true, predicted - half, predicted + half, sexes)
