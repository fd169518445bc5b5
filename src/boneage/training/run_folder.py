"""The run folder: who may write into it, and what it says of the run.

A run folder belongs to one training. It is never overwritten unless that is asked for, nothing but
a run is ever removed, and a run that is resumed must be the one that was begun.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boneage.dataset.data import Data
from boneage.dataset.records import Record
from boneage.errors import InputError, RunExistsError, SettingsError
from boneage.files import make_folder, output_errors, write_json
from boneage.radiographs.preparation import PREPARATION_VERSION

__all__ = [
    "CONFIG_FILE",
    "FOLDS_FILE",
    "METRICS_FILE",
    "REFIT",
    "RunFolder",
    "data_facts",
    "differences",
    "digest",
    "fingerprint",
    "fold_folder",
    "open_run",
    "part_facts",
    "stage_folder",
]

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
FOLDS_FILE = "folds.csv"
REFIT = "refit"

# What may differ when a run goes on: it changes nothing that is learned.
_FREE_TO_CHANGE = (
    "settings.device",
    "settings.devices",
    "settings.nodes",
    "settings.threads",
    "settings.zooms",
    "settings.mirror_each",
    "settings.standards",
    "boneage_version",
)


@dataclass(frozen=True)
class RunFolder:
    """A run folder that is open for writing.

    Attributes:
        path: The folder.
        resumed: Whether a run that was begun earlier goes on.
    """

    path: Path
    resumed: bool


def digest(lines: Iterable[str]) -> str:
    """SHA-256 over lines, whatever their order."""
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def fingerprint(records: Iterable[Record]) -> str:
    """SHA-256 over ids and labels, whatever their order: the same data or not."""
    return digest(f"{item.id}\t{item.sex}\t{item.bone_age_months:g}" for item in records)


def part_facts(records: Sequence[Record]) -> dict[str, Any]:
    """How many radiographs a part of the data has, and which, for ``config.json``."""
    return {"count": len(records), "sha256": fingerprint(records)}


def data_facts(data: Data, **parts: Sequence[Record]) -> dict[str, Any]:
    """What ``config.json`` says of the data: how it is prepared, and which parts it has.

    Args:
        data: Radiographs with labels.
        parts: The radiographs of each part, by its name.
    """
    return {
        "preparation": None if data.preparation is None else data.preparation.to_dict(),
        "preparation_version": PREPARATION_VERSION,
        **{name: part_facts(records) for name, records in parts.items()},
    }


def fold_folder(run: Path, fold: int) -> Path:
    """Where a fold of a cross-validation lies; ``fold`` counts from 1."""
    return run / f"fold-{fold}"


def stage_folder(run: Path, stage: int) -> Path:
    """Where the folds of an earlier stage of training lie; ``stage`` counts from 1."""
    return run / f"stage-{stage}"


def open_run(
    path: Path, config: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
) -> RunFolder:
    """Take a folder for a run and write its ``config.json``.

    Args:
        path: The run folder.
        config: Everything that decides the result, as JSON values.
        resume: Go on with the run that is there; where there is none, begin one.
        overwrite: Remove the run that is there first.

    Returns:
        The folder.

    Raises:
        InputError: Both ``resume`` and ``overwrite`` are asked for.
        RunExistsError: Something is there and neither was asked for, or it is no run.
        SettingsError: The run that is there was begun with other settings or other data.
        OutputError: The folder cannot be written.
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite contradict each other: give one of them.")
    occupied = path.exists() and (not path.is_dir() or any(path.iterdir()))
    begun = (path / CONFIG_FILE).is_file()
    if occupied and not begun:
        raise RunExistsError(
            f"{path} is there already and is not a run: it has no {CONFIG_FILE}, so nothing in it "
            "is touched. Choose another --out."
        )
    if occupied and resume:
        _check_same_run(path / CONFIG_FILE, config)
        return RunFolder(path, resumed=True)
    if occupied and not overwrite:
        raise RunExistsError(
            f"{path} holds a run already. Say --resume to go on with it, --overwrite to start "
            "anew, or choose another --out."
        )
    if occupied:
        with output_errors(path):
            shutil.rmtree(path)
    make_folder(path)
    write_json(path / CONFIG_FILE, config)
    return RunFolder(path, resumed=False)


def _check_same_run(file: Path, config: Mapping[str, Any]) -> None:
    """Raise if ``config`` is not that of the run, naming what differs."""
    try:
        begun = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunExistsError(
            f"{file} cannot be read ({error}), so the run cannot go on. Say --overwrite to start "
            "anew."
        ) from error
    differing = differences(begun, config)
    if differing:
        raise SettingsError(
            f"The run in {file.parent} was begun otherwise: {'; '.join(differing[:5])}. "
            "Resume with the same command, or choose another --out."
        )


def differences(begun: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """What decides the result and is not as it was, in words, one entry each."""
    before, now = _flat(begun), _flat(json.loads(json.dumps(config)))
    return [
        f"{name} was {before.get(name, 'absent')!r}, now {now.get(name, 'absent')!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and name not in _FREE_TO_CHANGE
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots."""
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for name, item in value.items():
        flat |= _flat(item, f"{prefix}.{name}" if prefix else str(name))
    return flat
