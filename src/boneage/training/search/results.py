"""What a search found: its trials, the best of them, and the files that say so."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from boneage import __version__
from boneage.errors import TrainingError
from boneage.files import write_csv, write_json
from boneage.training.search.queue import ERROR, FOLDER
from boneage.training.search.space import Space
from boneage.training.settings import TrainingSettings

__all__ = ["BEST_FILE", "TRIALS_FILE", "SearchRun", "SearchedTrial", "read_trials", "write_result"]

TRIALS_FILE = "trials.csv"
BEST_FILE = "best.json"
IMPORTANCE_FILE = "importance.csv"

_FEWEST_FOR_IMPORTANCE = 4
_MEASURED = ("validation_mae_months", "best_epoch", "epochs", "seconds")


@dataclass(frozen=True)
class SearchedTrial:
    """One trial of a search.

    Attributes:
        number: Its number in the study, from 0.
        state: ``complete``, ``pruned`` (given up because it was poor), ``failed``, ``interrupted``
            (its worker ended; it was started again under another number), ``running`` or
            ``waiting``.
        values: The searched settings.
        validation_mae_months: Validation MAE of the epoch that is kept, in months; None without.
        best_epoch: The number of that epoch, from 1.
        epochs: Epochs that were run.
        seconds: Wall-clock time of these epochs.
        folder: Name of its folder under ``RUN/trials``.
        message: Why it failed.
    """

    number: int
    state: str
    values: Mapping[str, Any]
    validation_mae_months: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    folder: str = ""
    message: str = ""


@dataclass(frozen=True, eq=False)
class SearchRun:
    """What a search left.

    Attributes:
        path: The run folder.
        trials: All trials, by number.
        best: The complete trial with the smallest validation MAE.
        best_settings: Its settings: what to train with.
        wanted: Trials that were asked for.
        importances: How much each searched setting decides whether a trial is of the better half,
            as shares; empty where there are too few trials to tell.
    """

    path: Path
    trials: tuple[SearchedTrial, ...]
    best: SearchedTrial
    best_settings: TrainingSettings
    wanted: int
    importances: Mapping[str, float]

    @property
    def best_mae_months(self) -> float:
        """Validation MAE of the best trial in months. It was chosen by it: slightly optimistic."""
        assert self.best.validation_mae_months is not None
        return self.best.validation_mae_months

    def summary(self) -> str:
        """A few lines for the screen."""
        states = [trial.state for trial in self.trials]
        counts = [
            f"{states.count(state)} {state}"
            for state in ("complete", "pruned", "failed", "interrupted", "running", "waiting")
            if state in states
        ]
        lines = [
            f"{len(states)} trials: {', '.join(counts)}",
            f"Best: trial {self.best.number}, validation MAE {self.best_mae_months:.2f} months "
            f"(epoch {self.best.best_epoch} of {self.best.epochs})",
            *(f"  {name} = {value}" for name, value in self.best.values.items()),
            "The trial was chosen by this figure, so it is slightly optimistic.",
        ]
        fewer = self.wanted - states.count("complete") - states.count("pruned")
        if fewer > 0:
            lines.append(
                f"note: {fewer} fewer than the {self.wanted} asked for: no combination that did "
                "not fail is left."
            )
        return "\n".join(lines)


def read_trials(study: Study, space: Space) -> tuple[SearchedTrial, ...]:
    """All trials of a study."""
    return tuple(_searched(trial, space) for trial in study.get_trials(deepcopy=False))


def _searched(trial: FrozenTrial, space: Space) -> SearchedTrial:
    facts = trial.user_attrs
    state = trial.state.name.lower()
    if trial.state == TrialState.FAIL:
        state = "failed" if ERROR in facts else "interrupted"
    return SearchedTrial(
        number=trial.number,
        state=state,
        values=space.values_of(trial.params),
        folder=facts.get(FOLDER, ""),
        message=facts.get(ERROR, ""),
        **{name: facts.get(name) for name in _MEASURED},
    )


def write_result(
    out: Path,
    study: Study,
    space: Space,
    base: TrainingSettings,
    preparation: Mapping[str, Any] | None,
    wanted: int,
) -> SearchRun | None:
    """Write ``trials.csv`` and, once a trial is complete, ``best.json`` and ``importance.csv``.

    Args:
        out: The run folder.
        study: The study; what it holds decides alone, so every worker writes the same.
        space: What is searched.
        base: Settings that are not searched.
        preparation: How the images are prepared, or None if not at all.
        wanted: Trials that were asked for.

    Returns:
        The search as it is, or None before the first complete trial.

    Raises:
        OutputError: The run folder cannot be written.
    """
    trials = read_trials(study, space)
    _write_trials(out / TRIALS_FILE, trials, space)
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        return None
    best = min(complete, key=lambda trial: (trial.validation_mae_months or 0.0, trial.number))
    settings = base.updated(**best.values)
    recipe = {"boneage_version": __version__, "settings": settings.to_dict()}
    if preparation is not None:
        recipe["preparation"] = dict(preparation)
    write_json(out / BEST_FILE, recipe)
    importances = _importances(study, complete)
    rows = [(name, f"{share:.4f}") for name, share in importances.items()]
    write_csv(out / IMPORTANCE_FILE, ("setting", "importance"), rows)
    return SearchRun(out, trials, best, settings, wanted, importances)


def _write_trials(path: Path, trials: tuple[SearchedTrial, ...], space: Space) -> None:
    header = ("number", "state", *space.axes, *_MEASURED, "folder", "message")
    rows = [
        (
            trial.number,
            trial.state,
            *(trial.values.get(name, "") for name in space.axes),
            "" if trial.validation_mae_months is None else f"{trial.validation_mae_months:.4f}",
            "" if trial.best_epoch is None else trial.best_epoch,
            "" if trial.epochs is None else trial.epochs,
            "" if trial.seconds is None else f"{trial.seconds:.1f}",
            trial.folder,
            trial.message,
        )
        for trial in trials
    ]
    write_csv(path, header, rows)


def _importances(study: Study, complete: list[SearchedTrial]) -> dict[str, float]:
    """How much each setting decides whether a trial is of the better half, the largest first.

    By PED-ANOVA (Watanabe et al., IJCAI 2023) over the complete trials. Its usual tenth is, of as
    few trials as here, a single one, and leaves all settings equal.
    """
    errors = sorted(trial.validation_mae_months or 0.0 for trial in complete)
    names = [
        name
        for name in complete[0].values
        if len({str(trial.values[name]) for trial in complete}) > 1
    ]
    halves_differ = errors[math.ceil(len(errors) / 2) - 1] < errors[-1]
    if len(complete) < _FEWEST_FOR_IMPORTANCE or not halves_differ or not names:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
    found = optuna.importance.get_param_importances(
        study, evaluator=evaluator, params=names, normalize=False
    )
    total = sum(found.values())
    return {name: share / total for name, share in found.items()} if total > 0 else {}


def nothing_complete(trials: tuple[SearchedTrial, ...]) -> TrainingError:
    """The error of a search without a complete trial."""
    messages = [trial.message for trial in trials if trial.message]
    why = f" The last one failed: {messages[-1]}" if messages else ""
    return TrainingError(f"No trial of the search was completed.{why}")
