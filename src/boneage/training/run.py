"""One training run: from ``Data`` to a run folder with figures and a bundle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boneage import __version__
from boneage.dataset.data import Data
from boneage.dataset.prepared import PreparedData
from boneage.dataset.records import write_discarded
from boneage.errors import SettingsError
from boneage.evaluation.metrics import Metrics
from boneage.files import write_csv, write_json
from boneage.inference.bundle import Bundle
from boneage.inference.card import Card
from boneage.training.export import export_bundle, to_onnx
from boneage.training.fit import Fit, fit
from boneage.training.hardware import choose_hardware
from boneage.training.measuring import (
    card_facts,
    interval_from,
    learned_from,
    metrics_of,
    predict_prepared,
    sex_word,
    write_predictions,
)
from boneage.training.processes import connected, find_place
from boneage.training.run_folder import METRICS_FILE, data_facts, open_run
from boneage.training.settings import TrainingSettings
from boneage.training.start import Start

__all__ = [
    "TrainedRun",
    "check_size",
    "train_run",
]


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

    Where torchrun or SLURM has started several processes, all of them call this: the first one
    writes the run, and all return it.

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
        "data": data_facts(data, train=train.records, validation=validation.records),
        **({} if start is None else {"start_sha256": start.sha256}),
    }
    with connected(find_place(settings), choose_hardware(settings).accelerator) as place:
        run = place.first(lambda: open_run(out, config, resume=resume, overwrite=overwrite))
        prepared = data.prepare(workers=workers, progress=progress and place.is_first)
        parts = {
            "train": prepared.subset(record.id for record in train.records),
            "validation": prepared.subset(record.id for record in validation.records),
        }
        if place.is_first:
            write_discarded(out / "discarded.csv", prepared.discarded)
            _write_population(out / "data.csv", parts)
        result = fit(
            settings,
            parts["train"],
            parts["validation"],
            out,
            start=start,
            resume=run.resumed,
            place=place,
        )
        return place.first(
            lambda: _finish(
                out, name or out.name, data, settings, parts, result, prepared.summary()
            )
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
    about_the_data: str,
) -> TrainedRun:
    """Export the network, measure what is exported, and write its figures into its card."""
    validation = parts["validation"]
    facts = {
        **card_facts(name, data.preparation, settings.size_px, parts["train"]),
        "trained_on": {
            **learned_from(parts["train"]),
            "best_epoch": result.best_epoch,
            "settings": settings.to_dict(),
        },
    }
    bundle = out / "bundle"
    note = _SELECTION_NOTE if settings.keep == "best" else _NO_SELECTION_NOTE
    graph = to_onnx(result.network, settings.size_px)
    predicted, expected = predict_prepared(Bundle(bundle, Card(**facts), graph), validation)
    metrics = metrics_of(validation, predicted)
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
    return TrainedRun(
        path=out,
        bundle=bundle,
        metrics=metrics,
        summary=(
            about_the_data,
            f"{settings.keep} epoch {result.best_epoch} of {result.epochs_run}: validation MAE "
            f"{metrics.mae_months:.2f} months",
        ),
    )


_SELECTION_NOTE = (
    "The epoch was chosen on this validation part, so the figure is slightly optimistic."
)

_NO_SELECTION_NOTE = "Nothing was chosen on this validation part."


def _write_population(path: Path, parts: dict[str, PreparedData]) -> None:
    """Write ``data.csv``: ``id,sex,bone_age_months,part``."""
    rows = [
        (name, sex_word(sex), f"{age:g}", part)
        for part, data in parts.items()
        for name, sex, age in zip(data.ids, data.sexes, data.bone_ages_months, strict=True)
    ]
    write_csv(path, ("id", "sex", "bone_age_months", "part"), rows)
