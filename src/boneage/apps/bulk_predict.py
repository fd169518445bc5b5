"""``boneage predict --engine ray``: an archive part by part, which goes on where it was stopped."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from boneage.apps.screen import BulkProgress, counted, note
from boneage.errors import SettingsError, require_extra
from boneage.inference.bundle import Bundle
from boneage.inference.catalogue import default_model
from boneage.inference.cluster import predict_parts
from boneage.inference.inputs import InputFile
from boneage.inference.part_worker import WorkerTask
from boneage.inference.parts import Part, PartsFolder, cut_into_parts, describe_run, open_parts
from boneage.inference.predictor import Predictor
from boneage.inference.ray_session import ClusterSettings
from boneage.inference.rows import TABLE_SUFFIXES
from boneage.inference.run import SexTable
from boneage.radiographs.radiograph import Sex

__all__ = ["DEFAULT_PART_SIZE", "BulkOptions", "predict_in_bulk"]

DEFAULT_PART_SIZE = 1000
"""Inputs in a part: about a minute of work for a core, the most that a lost worker costs."""


@dataclass(frozen=True)
class BulkOptions:
    """How a bulk prediction is cut, where it runs and where it goes.

    Attributes:
        out: A folder for the parts; or a table, ``.csv`` or ``.json``, whose parts stay in
            ``<out>.parts`` until it is written.
        cluster: Where to predict.
        part_size: Inputs in a part, 1 to 1,000,000.
        overwrite: Throw away what an earlier run has left in ``out``.
    """

    out: Path
    cluster: ClusterSettings
    part_size: int = DEFAULT_PART_SIZE
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.part_size <= 1_000_000:
            raise SettingsError(f"--part-size must be within 1 to 1000000, not {self.part_size}.")
        if self.is_table and self.out.is_dir():
            raise SettingsError(
                f"--out {self.out} is a folder, but its name is that of a table. Choose another."
            )

    @property
    def is_table(self) -> bool:
        """Whether the rows are wanted as one table."""
        return self.out.suffix.lower() in TABLE_SUFFIXES

    @property
    def parts_folder(self) -> Path:
        """Where the parts are while the run is not finished."""
        return self.out.with_name(f"{self.out.name}.parts") if self.is_table else self.out


def predict_in_bulk(
    files: Sequence[InputFile],
    options: BulkOptions,
    *,
    model: Path | None,
    sex: Sex | None,
    labels: SexTable | None,
    level: float | None,
    intake: bool,
) -> bool:
    """Predict the inputs on a cluster and write their rows.

    Args:
        files: The inputs.
        options: Where to run and to write.
        model: The bundle; None for the default one.
        sex: Sex of every child, if it was given for all.
        labels: Where the sex is looked up by id.
        level: Level of the intervals; None for the card's.
        intake: Whether the intake gate is on.

    Returns:
        Whether every input is ok.

    Raises:
        RunExistsError: The place is taken by another run, or by something else.
        BoneAgeError: As :func:`~boneage.inference.cluster.predict_parts`.
    """
    require_extra("cluster", "ray", "pyarrow")
    bundle = Bundle.open(default_model() if model is None else model)
    # Loaded here only to find what is wrong with it before any process is started.
    level = Predictor(bundle, threads=1, level=level, intake=intake).level
    run = describe_run(
        bundle.card,
        files,
        sex=sex,
        labels=labels,
        level=level,
        intake=intake,
        part_size=options.part_size,
    )
    folder = open_parts(options.parts_folder, run, overwrite=options.overwrite)
    parts = cut_into_parts(files, options.part_size)
    statuses, missing = _finished(folder, parts)
    if len(missing) < len(parts):
        note(f"Going on: {len(parts) - len(missing)} of {len(parts)} parts are finished already")
    task = WorkerTask(
        sex=sex, labelled=labels is not None, level=level, intake=intake, folder=os.getcwd()
    )
    results = predict_parts(bundle, missing, task=task, labels=labels, settings=options.cluster)
    with (
        _saying_how_to_go_on(folder, parts),
        BulkProgress(len(files), statuses) as progress,
        contextlib.closing(results),
        # Ray tells there at length what becomes a line of ours.
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        for result in results:
            folder.write(parts[result.index], result.table)
            statuses += result.statuses
            progress.show(statuses)
        if options.is_table:
            folder.join(parts, options.out)
            folder.clear()
    note(f"{counted(statuses)}. Written to {options.out}")
    return set(statuses) == {"ok"}


def _finished(folder: PartsFolder, parts: Sequence[Part]) -> tuple[Counter[str], list[Part]]:
    """How often which status came in the finished parts, and the parts that are not."""
    statuses: Counter[str] = Counter()
    missing = []
    for part in parts:
        found = folder.statuses(part)
        if found is None:
            missing.append(part)
        else:
            statuses += found
    return statuses, missing


@contextlib.contextmanager
def _saying_how_to_go_on(folder: PartsFolder, parts: Sequence[Part]) -> Iterator[None]:
    """Say on Control-C and on SIGTERM, which comes as ``SystemExit``, what is kept."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        kept = sum((folder.path / part.name).is_file() for part in parts)
        note(
            f"Stopped: {kept} of {len(parts)} parts are finished and kept in {folder.path}. "
            "The same command goes on with the others."
        )
        raise
