"""Beginning a search, or joining one that was begun: the run folder and the study agree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna import Study

from boneage.dataset.locks import locked
from boneage.errors import RunExistsError, SettingsError
from boneage.files import make_folder
from boneage.training.run_folder import differences, open_run
from boneage.training.search.stores import Store
from boneage.training.search.trial import TRIALS_FOLDER

__all__ = ["agree", "begin"]

_CONFIG, _WANTED = "config", "wanted"


def begin(
    store: Store,
    out: Path,
    config: Mapping[str, Any],
    *,
    shared: bool,
    resume: bool,
    overwrite: bool,
) -> Study:
    """Open run folder and study. Nothing is removed before all is known to be well.

    Args:
        store: Where the study is kept.
        out: Run folder.
        config: Everything that decides the result.
        shared: Whether the study may be there without the run folder.
        resume: Go on with a search, or begin it.
        overwrite: Remove the search that is there.

    Raises:
        SettingsError: The search was begun otherwise, or the storage cannot be reached.
        RunExistsError: Run folder or study are in use.
        OutputError: The run folder cannot be written.
    """
    known = store.load() if shared else None
    if known is not None and not overwrite:
        if not resume:
            raise RunExistsError(
                f"{store.where} has a study {store.study_name!r} already. Say --resume to work on "
                "it, --overwrite to start anew, or choose another --study."
            )
        _check_same_search(store, known, config)
    make_folder(out.parent)
    # Workers that start together make the folder one after the other.
    with locked(out.parent / f".{out.name}.lock", tell=False):
        run = open_run(out, config, resume=resume, overwrite=overwrite)
    if overwrite:
        store.close()  # a journal may have lain in the folder that was just removed
        store.delete()
    with store.errors(), store.exclusive():
        known = store.load()
        trials = out / TRIALS_FOLDER
        if known is None and run.resumed and trials.is_dir() and any(trials.iterdir()):
            raise SettingsError(
                f"{out} has trials, and there is no study {store.study_name!r} in {store.where}. "
                "Give --storage and --study as when it was begun."
            )
        study = store.create() if known is None else known
        _check_same_search(store, study, config)
        study.set_user_attr(_CONFIG, dict(config))
    return study


def agree(store: Store, study: Study, *, asked: int | None, default: int | None) -> int:
    """How many trials to finish: what is asked for now, was asked for before, or the default.

    Raises:
        SettingsError: Neither says so.
    """
    with store.errors(), store.exclusive():
        before = study.user_attrs.get(_WANTED)
        wanted = asked or before or default
        if wanted is None:
            raise SettingsError("The space has a continuous range: say how many --trials.")
        if wanted > (before or 0):
            study.set_user_attr(_WANTED, wanted)
    return int(wanted)


def _check_same_search(store: Store, study: Study, config: Mapping[str, Any]) -> None:
    """Raise if a study is that of another search."""
    begun = study.user_attrs.get(_CONFIG)
    if begun is None:
        if study.get_trials(deepcopy=False):
            raise SettingsError(
                f"The study {store.study_name!r} in {store.where} is not one of boneage. Choose "
                "another --study."
            )
        return
    differing = differences(begun, config)
    if differing:
        raise SettingsError(
            f"The study {store.study_name!r} in {store.where} was begun otherwise: "
            f"{'; '.join(differing[:5])}. Resume with the same command, or choose another --study."
        )
