"""One training run: from ``Data`` to a run folder with figures and a bundle."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage import __version__
from boneage.dataset.data import Data
from boneage.dataset.prepared import PreparedData
from boneage.dataset.records import write_discarded
from boneage.errors import SettingsError
from boneage.evaluation.conformal import conformal_widths
from boneage.evaluation.metrics import Metrics, evaluate
from boneage.files import write_csv, write_json
from boneage.inference.bundle import Bundle
from boneage.inference.card import Card
from boneage.inference.intervals import Interval
from boneage.inference.session import Network
from boneage.radiographs.preparation import PREPARATION_VERSION
from boneage.training.export import export_bundle, to_onnx
from boneage.training.fit import Fit, fit
from boneage.training.run_folder import METRICS_FILE, open_run, part_facts
from boneage.training.settings import TrainingSettings
from boneage.training.start import Start

__all__ = [
    "INTERVAL_LEVEL",
    "TrainedRun",
    "check_size",
    "interval_from",
    "predict_prepared",
    "sex_word",
    "sexes_in",
    "train_run",
    "write_predictions",
]

INTERVAL_LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a run left.

    Attributes:
        path: The run folder.
        bundle: The model's folder.
        metrics: Figures on the validation part.
        summary: Lines for the screen.
    """

    path: Path
    bundle: Path
    metrics: Metrics
    summary: tuple[str, ...]


def train_run(
    data: Data,
    settings: TrainingSettings,
    out: Path,
    *,
    split: Path | None = None,
    name: str | None = None,
    start: Start | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> TrainedRun:
    """Split, prepare, fit, export and evaluate.

    Args:
        data: Radiographs with labels.
        settings: How to train.
        out: Run folder.
        split: CSV that says who trains and who validates; otherwise a stratified share is drawn.
        name: Name of the model on its card; the run folder's name by default.
        start: Weights to start from, of a model that was trained before.
        resume: Go on with the run in ``out``.
        overwrite: Replace the run in ``out``.
        workers: Processes that prepare images; all cores by default.
        progress: Show progress bars where there is a terminal.

    Returns:
        The finished run.

    Raises:
        SettingsError: A setting does not fit the data, or the run was begun with others.
        RunExistsError: ``out`` is in use.
        LabelsError: The split leaves a part empty.
        OutputError: ``out`` or the cache cannot be written.
        TrainingError: The training cannot go on.
    """
    check_size(data, settings)
    train, validation = data.split(split, fraction=settings.validation_fraction, seed=settings.seed)
    config = {
        "boneage_version": __version__,
        "settings": settings.to_dict(),
        "data": {
            "preparation": None if data.preparation is None else data.preparation.to_dict(),
            "preparation_version": PREPARATION_VERSION,
            "train": part_facts(train.records),
            "validation": part_facts(validation.records),
        },
        **({} if start is None else {"start_sha256": start.sha256}),
    }
    run = open_run(out, config, resume=resume, overwrite=overwrite)
    prepared = data.prepare(workers=workers, progress=progress)
    write_discarded(out / "discarded.csv", prepared.discarded)
    parts = {
        "train": prepared.subset(record.id for record in train.records),
        "validation": prepared.subset(record.id for record in validation.records),
    }
    _write_population(out / "data.csv", parts)
    result = fit(
        settings, parts["train"], parts["validation"], out, start=start, resume=run.resumed
    )
    bundle, metrics = _finish(run.path, name or out.name, data, settings, parts, result)
    return TrainedRun(
        path=out,
        bundle=bundle,
        metrics=metrics,
        summary=(
            prepared.summary(),
            f"{settings.keep} epoch {result.best_epoch} of {result.epochs_run}: validation MAE "
            f"{metrics.mae_months:.2f} months",
        ),
    )


def check_size(data: Data, settings: TrainingSettings) -> None:
    """Refuse data that is prepared at another size than the network takes.

    Raises:
        SettingsError: The sizes differ.
    """
    preparation = data.preparation
    if preparation is not None and preparation.size_px != settings.size_px:
        raise SettingsError(
            f"The data is prepared at {preparation.size_px} px and the network takes "
            f"--size {settings.size_px}. Give both the same size: "
            f"Data(..., preparation=PreparationSettings(size_px={settings.size_px}))."
        )


def _finish(
    out: Path,
    name: str,
    data: Data,
    settings: TrainingSettings,
    parts: dict[str, PreparedData],
    result: Fit,
) -> tuple[Path, Metrics]:
    """Export the network, measure what is exported, and write its figures into its card."""
    validation = parts["validation"]
    facts: dict[str, Any] = {
        "name": name,
        "preparation": None if data.preparation is None else data.preparation.to_dict(),
        "preparation_version": PREPARATION_VERSION,
        "size_px": settings.size_px,
        "sexes": sexes_in(parts["train"]),
        "trained_on": {
            "count": len(parts["train"]),
            "bone_age_months": [
                float(parts["train"].bone_ages_months.min()),
                float(parts["train"].bone_ages_months.max()),
            ],
            "best_epoch": result.best_epoch,
            "settings": settings.to_dict(),
        },
    }
    bundle = out / "bundle"
    note = _SELECTION_NOTE if settings.keep == "best" else _NO_SELECTION_NOTE
    graph = to_onnx(result.network, settings.size_px)
    predicted, expected = predict_prepared(Bundle(bundle, Card(**facts), graph), validation)
    sexes = [sex_word(value) for value in validation.sexes]
    metrics = evaluate(validation.bone_ages_months, predicted, sexes)
    card = Card(
        **facts,
        figures={"validation": {**metrics.to_dict(), "note": note}},
        interval=interval_from(
            np.abs(predicted - validation.bone_ages_months), expected, "validation radiographs"
        ),
    )
    export_bundle(bundle, result.network, graph, card)
    write_predictions(out / "predictions.csv", validation, predicted, expected)
    write_json(
        out / METRICS_FILE,
        {
            **metrics.to_dict(),
            "part": "validation",
            "best_epoch": result.best_epoch,
            "epochs_run": result.epochs_run,
            "last_epoch_mae_months": result.last_mae_months,
            "note": note,
        },
    )
    return bundle, metrics


_SELECTION_NOTE = (
    "The epoch was chosen on this validation part, so the figure is slightly optimistic."
)

_NO_SELECTION_NOTE = "Nothing was chosen on this validation part."


def sex_word(value: float) -> str:
    """``male`` for 1 and ``female`` for 0, as prepared data codes the sexes."""
    return "male" if value else "female"


def sexes_in(data: PreparedData) -> tuple[str, ...]:
    """The sexes that the data has, as a card names them."""
    return tuple(
        word for word, value in (("female", 0.0), ("male", 1.0)) if (data.sexes == value).any()
    )


def interval_from(
    errors_months: NDArray[Any], expected_months: NDArray[Any] | None, what: str
) -> Interval | None:
    """Conformal interval from errors on radiographs that were kept from training.

    Args:
        errors_months: Absolute errors in months, shape (N,).
        expected_months: The errors that the network expected, shape (N,), or None.
        what: What the radiographs are, for the card.

    Returns:
        None where there are too few for the level.
    """
    widths = conformal_widths(errors_months, expected_months)
    if not widths or widths[-1][0] < INTERVAL_LEVEL:
        return None
    scaled = expected_months is not None
    return Interval(
        level=INTERVAL_LEVEL,
        widths=tuple((level, round(width, 4)) for level, width in widths),
        scaled=scaled,
        method=f"split conformal, absolute errors of {len(errors_months)} {what}"
        + (", each divided by the error that the network expected" if scaled else ""),
    )


def predict_prepared(
    bundle: Bundle, data: PreparedData, *, batch_size: int = 32
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Bone ages of prepared radiographs by the exported network, and the errors it expects.

    Returns:
        Both in months, shape (N,); None for the errors if the network expects none.
    """
    network = Network(bundle)
    predicted, expected = np.empty((2, len(data)), np.float32)
    for start in range(0, len(data), batch_size):
        rows = slice(start, start + batch_size)
        images = data.images[rows].astype(np.float32)[:, np.newaxis] / np.float32(255)
        predicted[rows], errors, _ = network(images, data.sexes[rows])
        if errors is not None:
            expected[rows] = errors
    return np.maximum(predicted, 0), expected if network.expects_error else None


def write_predictions(
    path: Path,
    data: PreparedData,
    predicted: NDArray[Any],
    expected: NDArray[Any] | None = None,
) -> None:
    """Write ``predictions.csv``: ``id,sex,true_months,predicted_months``.

    Where the network expects errors, a column ``expected_error_months`` follows.
    """
    header = ["id", "sex", "true_months", "predicted_months"]
    columns: list[Iterable[str]] = [
        data.ids,
        map(sex_word, data.sexes),
        (f"{age:g}" for age in data.bone_ages_months),
        (f"{age:.2f}" for age in predicted),
    ]
    if expected is not None:
        header.append("expected_error_months")
        columns.append(f"{error:.3f}" for error in expected)
    write_csv(path, header, list(zip(*columns, strict=True)))


def _write_population(path: Path, parts: dict[str, PreparedData]) -> None:
    """Write ``data.csv``: ``id,sex,bone_age_months,part``."""
    rows = [
        (name, sex_word(sex), f"{age:g}", part)
        for part, data in parts.items()
        for name, sex, age in zip(data.ids, data.sexes, data.bone_ages_months, strict=True)
    ]
    write_csv(path, ("id", "sex", "bone_age_months", "part"), rows)
