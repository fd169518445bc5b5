"""Combining finished folds: out-of-fold figures, and the model that a cross-validation ends with.

Every radiograph is predicted by the one network that did not learn from it, asked about the same
views of it (mirrored, zoomed) as the finished model is. The finished model is the ensemble of the
folds' networks, or a refit on all of them; it may pull its answers to the standards that readers
give, as the answers out of fold teach. Radiographs that were held out from every fold, and a
test set, are predicted by the finished model itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.dataset.prepared import PreparedData
from boneage.evaluation.metrics import Metrics
from boneage.files import write_json
from boneage.inference.bundle import Bundle
from boneage.inference.card import Card
from boneage.inference.intervals import Interval
from boneage.network.build import BoneAgeNetwork
from boneage.network.ensemble import Ensemble
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.export import export_bundle, store_as_float16, to_onnx
from boneage.training.folds import settings_of
from boneage.training.measuring import (
    card_facts,
    interval_from,
    learned_from,
    predict_prepared,
    write_predictions,
)
from boneage.training.out_of_fold import (
    Answers,
    load_network,
    measure,
    out_of_fold,
    pulled_to_standards,
)
from boneage.training.run_folder import METRICS_FILE, fold_folder
from boneage.training.settings import TrainingSettings
from boneage.training.start import folds_digest

__all__ = ["Combined", "combine_folds"]


@dataclass(frozen=True, eq=False)
class Combined:
    """The finished cross-validation.

    Attributes:
        bundle: The finished model: the ensemble of the folds, or the refit.
        out_of_fold: Figures of the folds' networks on what each did not learn from.
        fold_maes_months: The MAE of each fold's network on its fold, in months.
        held_out: Figures of the finished model on what no fold has seen, or None without such.
        test: Figures of the finished model on the test set, or None if it was not scored.
    """

    bundle: Path
    out_of_fold: Metrics
    fold_maes_months: tuple[float, ...]
    held_out: Metrics | None
    test: Metrics | None = None

    def summary(self) -> str:
        """One line: mean and standard deviation of the folds' MAE."""
        mean, sd = _mean_and_sd(self.fold_maes_months)
        return (
            f"MAE of the {len(self.fold_maes_months)} folds {mean:.2f} ± {sd:.2f} months "
            "(mean ± standard deviation)"
        )


def combine_folds(
    out: Path,
    settings: TrainingSettings,
    preparation: PreparationSettings | None,
    prepared: PreparedData,
    fold_of: Mapping[str, int],
    held_out: Sequence[str],
    texts: Mapping[str, str],
    *,
    refit: Path | None = None,
    test: PreparedData | None = None,
) -> Combined:
    """Write the finished model, the out-of-fold predictions and all figures.

    Args:
        out: The run folder, with a finished fold in each ``fold-k``.
        settings: How the folds were trained, but for what a search chose in each.
        preparation: How the images were prepared.
        prepared: All radiographs.
        fold_of: Fold (from 1) by id.
        held_out: Ids that no fold has seen.
        texts: What the card is to say; see ``CARD_TEXTS``.
        refit: Folder of a network that learned from all folds: it is then the finished model.
        test: A test set that the finished model is to be scored on.

    Returns:
        The figures and the bundle.

    Raises:
        TrainingError: The weights of a network cannot be used.
        OutputError: The run folder cannot be written.
    """
    members = [_network_in(fold_folder(out, fold)) for fold in sorted(set(fold_of.values()))]
    views: dict[str, Any] = {
        "mirror": settings.augmentation.flip > 0,
        "zooms": settings.zooms,
        "mirror_each": settings.mirror_each,
    }
    # What was discarded on the way has no row and is passed over.
    dealt, apart = prepared.subset(fold_of), prepared.subset(held_out)
    facts: dict[str, Any] = {
        **card_facts(texts.get("name", out.name), preparation, settings.size_px, dealt),
        **{key: texts[key] for key in _CARD_FIELDS if key in texts},
    }
    folds = np.array([fold_of[name] for name in dealt.ids])
    answers = out_of_fold(members, views, dealt, folds, facts)
    standards, before = None, None
    if settings.standards:
        before = measure(answers, None)[0]
        standards, answers = pulled_to_standards(answers, folds)
    network = None if refit is None else _network_in(refit)
    interval = _interval(answers, network)
    metrics, calibration = measure(answers, interval)
    maes = tuple(
        float(answers.errors_months[folds == fold].mean()) for fold in np.unique(folds).tolist()
    )
    mean, sd = _mean_and_sd(maes)
    figures: dict[str, Any] = {
        "out_of_fold": {
            **metrics.to_dict(),
            "mae_months_of_folds": list(maes),
            "mae_months_mean_of_folds": mean,
            "mae_months_sd_of_folds": sd,
            "interval_coverage": calibration,
            "note": _NOTE if refit is None else _REFIT_NOTE,
            **({} if before is None else {"before_standards": before.to_dict()}),
        }
    }
    asked = _asked(members, settings) if network is None else [network]
    model = Ensemble(asked, **views, standards=standards)
    graph = store_as_float16(to_onnx(model, settings.size_px))
    scorer = _Scorer(Bundle(out, Card(**facts), graph), interval)
    held = scored = None
    if len(apart):
        held, figures["held_out"] = scorer.score(apart, out / "held-out.csv")
    if test is not None:
        scored, figures["test"] = scorer.score(test, out / "test-predictions.csv")
    card = Card(
        **facts,
        trained_on={
            "data": texts.get("data", "not stated"),
            **learned_from(dealt),
            "folds": len(members),
            "mirror": views["mirror"],
            **(
                {"folds_sha256": folds_digest(fold_of), "settings": settings.to_dict()}
                if refit is None
                else {"refit": True, "settings": settings_of(refit).to_dict()}
            ),
        },
        figures=figures,
        interval=interval,
    )
    bundle = export_bundle(out / "bundle", network or model, graph, card, half=True)
    write_predictions(
        out / "predictions.csv", dealt, answers.predicted_months, answers.expected_months, folds
    )
    write_json(
        out / METRICS_FILE,
        {
            **figures["out_of_fold"],
            "result": "ensemble" if refit is None else "refit",
            "held_out": figures.get("held_out"),
            "test": figures.get("test"),
        },
    )
    return Combined(bundle, metrics, maes, held, scored)


_CARD_FIELDS = ("version", "licence", "terms", "intended_use", "limits")

_NOTE = (
    "Each radiograph by the one network of the ensemble that did not learn from it; nothing was "
    "chosen on it."
)

_REFIT_NOTE = (
    "Each radiograph by the one network of a fold that did not learn from it. The model itself was "
    "trained afterwards, on all of them: there are no figures of it here, and its interval comes "
    "from the errors of the folds' networks."
)


def _network_in(folder: Path) -> BoneAgeNetwork:
    """The network of a run folder; a search may have given each fold another shape."""
    return load_network(folder / "bundle", settings_of(folder))


def _asked(
    members: Sequence[BoneAgeNetwork], settings: TrainingSettings
) -> Sequence[BoneAgeNetwork]:
    """The networks that the ensemble asks, each about the regions that it is asked about."""
    if not settings.members:
        return members
    asked = [
        [number for number, count in enumerate(settings.members) if fold < count]
        for fold in range(len(members))
    ]
    return [m.only(regions) for m, regions in zip(members, asked, strict=True) if regions]


def _interval(answers: Answers, refit: BoneAgeNetwork | None) -> Interval | None:
    """The interval of the finished model, from the errors out of fold."""
    expected = answers.expected_months
    if refit is None:
        return interval_from(answers.errors_months, expected, "out-of-fold radiographs")
    return interval_from(
        answers.errors_months,
        expected if refit.expects_error else None,
        "out-of-fold radiographs by the networks of the folds",
    )


def _mean_and_sd(maes: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation."""
    values: NDArray[np.float64] = np.array(maes)
    return float(values.mean()), float(values.std(ddof=1))


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Scores radiographs with the finished model."""

    model: Bundle
    interval: Interval | None

    def score(self, data: PreparedData, table: Path) -> tuple[Metrics, dict[str, Any]]:
        """Write the predictions; give the figures, also as they stand in ``metrics.json``."""
        answers = Answers(data, *predict_prepared(self.model, data))
        write_predictions(table, data, answers.predicted_months, answers.expected_months)
        metrics, coverages = measure(answers, self.interval)
        return metrics, {
            **metrics.to_dict(),
            "interval_coverage": coverages,
            "note": "By the finished model; nothing was learned from these radiographs and nothing "
            "chosen on them.",
        }
