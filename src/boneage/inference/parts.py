"""The rows of a bulk prediction, part by part on disk, so that a run that was stopped goes on.

The folder holds ``part-00000.csv`` and so on, each the table of so many inputs in their order, and
``run.json``, which says of what: the inputs, the options and the model. A part is written to a
temporary name and moved, so one that is there is finished.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boneage import __version__
from boneage.errors import RunExistsError
from boneage.files import atomic_path, make_folder, output_errors, write_json
from boneage.inference.card import Card
from boneage.inference.inputs import InputFile
from boneage.inference.rows import open_table, read_rows
from boneage.inference.run import SexTable
from boneage.radiographs.radiograph import Sex

__all__ = ["RUN_FILE", "Part", "PartsFolder", "cut_into_parts", "describe_run", "open_parts"]

RUN_FILE = "run.json"

_PART_NAME = re.compile(r"part-\d{5,}\.csv")
_LEFTOVER_NAME = re.compile(r"\.(part-\d{5,}\.csv|run\.json)\..*")


@dataclass(frozen=True)
class Part:
    """Some inputs that one worker predicts at a time.

    Attributes:
        index: Number of the part, from 0.
        files: Its inputs, in order.
    """

    index: int
    files: tuple[InputFile, ...]

    @property
    def name(self) -> str:
        """Name of the file with its rows."""
        return f"part-{self.index:05d}.csv"


def cut_into_parts(files: Sequence[InputFile], size: int) -> list[Part]:
    """Cut the inputs into parts of ``size``, 1 or more; the last one has what is left."""
    starts = range(0, len(files), size)
    return [Part(index, tuple(files[at : at + size])) for index, at in enumerate(starts)]


def describe_run(
    card: Card,
    files: Sequence[InputFile],
    *,
    sex: Sex | None,
    labels: SexTable | None,
    level: float | None,
    intake: bool,
    part_size: int,
) -> dict[str, Any]:
    """Everything that decides the rows and how they are cut, as JSON values for ``run.json``.

    Inputs are told apart by name and place, not by content: reading an archive of millions for that
    would take about as long as predicting it.

    Args:
        card: Card of the model; it holds the digests of the model's files.
        files: The inputs.
        sex: Sex of every child, if it was given for all.
        labels: Where the sex is looked up by id.
        level: Level of the intervals, or None if the model has none.
        intake: Whether the intake gate is on.
        part_size: Inputs in a part.
    """
    # By place as well: the same relative names mean other files in another folder.
    named = (f"{file.path}\0{os.path.abspath(file.path)}\0{file.problem}" for file in files)
    labelled = (str(labels.sex_of(file.id)) for file in files) if labels else None
    return {
        "boneage_version": __version__,
        "model": {"name": card.name, "version": card.version, "sha256": _sha256([card.to_json()])},
        "inputs": {"count": len(files), "sha256": _sha256(named)},
        "labels": None if labelled is None else {"sha256": _sha256(labelled)},
        "sex": None if sex is None else sex.value,
        "level": level,
        "intake": intake,
        "part_size": part_size,
    }


def open_parts(
    path: str | os.PathLike[str], run: Mapping[str, Any], *, overwrite: bool = False
) -> "PartsFolder":
    """Take a folder for a run, or go on with the run that was begun there.

    Args:
        path: The folder. It is made if it does not exist.
        run: What :func:`describe_run` says of the run.
        overwrite: Remove the parts of an earlier run, whatever it was. Nothing else is removed.

    Raises:
        RunExistsError: The folder holds another run, or something that is no run.
        OutputError: The folder cannot be written.
    """
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        begun = folder / RUN_FILE
        if not begun.is_file():
            raise RunExistsError(
                f"{folder} is there already and is no bulk prediction: it has no {RUN_FILE}, so "
                "nothing in it is touched. Choose another --out."
            )
        if not overwrite:
            _check_same_run(begun, run)
            make_folder(folder)
            return PartsFolder(folder)
        PartsFolder(folder).clear()
    make_folder(folder)
    write_json(folder / RUN_FILE, run)
    return PartsFolder(folder)


@dataclass(frozen=True)
class PartsFolder:
    """A folder of parts that is open for writing.

    Attributes:
        path: The folder.
    """

    path: Path

    def write(self, part: Part, table: bytes) -> None:
        """Write the rows of a part in their CSV form, all of them or nothing.

        Raises:
            OutputError: The system refused to write.
        """
        with atomic_path(self.path / part.name) as temporary:
            temporary.write_bytes(table)

    def statuses(self, part: Part) -> Counter[str] | None:
        """How often which status came in a part, or None if the part is not finished.

        A file whose rows are not those of the part's inputs counts as not finished: it was changed
        by someone, and is made again.
        """
        try:
            rows = list(read_rows(self.path / part.name))
        except (OSError, ValueError):
            return None
        if [row.path for row in rows] != [file.path for file in part.files]:
            return None
        return Counter(row.status for row in rows)

    def join(self, parts: Sequence[Part], table: str | os.PathLike[str]) -> None:
        """Write the rows of all parts as one table, CSV or JSON by the suffix of ``table``.

        Raises:
            OutputError: The system refused to write.
        """
        with open_table(table) as write:
            for part in parts:
                for row in read_rows(self.path / part.name):
                    write(row)

    def clear(self) -> None:
        """Remove the parts and ``run.json``, and the folder if nothing else is in it.

        Raises:
            OutputError: The system refused to.
        """
        with output_errors(self.path):
            for entry in self._own_files():
                entry.unlink()
            # Last: while it is there, the folder is known for what it is.
            (self.path / RUN_FILE).unlink(missing_ok=True)
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def _own_files(self) -> Iterator[Path]:
        """Parts, and what killed processes left behind of them."""
        for entry in list(self.path.iterdir()):
            if _PART_NAME.fullmatch(entry.name) or _LEFTOVER_NAME.fullmatch(entry.name):
                yield entry


def _check_same_run(file: Path, run: Mapping[str, Any]) -> None:
    """Raise unless ``run`` is the one that was begun, naming what differs."""
    try:
        begun = json.loads(file.read_text(encoding="utf-8"))
        differing = sorted(name for name in run if begun.get(name) != run[name])
    except (OSError, ValueError, AttributeError) as error:
        raise RunExistsError(
            f"{file} cannot be read ({error}), so the run cannot go on. Say --overwrite to start "
            "anew."
        ) from error
    if differing:
        raise RunExistsError(
            f"{file.parent} holds a run that was begun otherwise; what differs: "
            f"{', '.join(differing)}. Give the same command to go on with it, say --overwrite to "
            "start anew, or choose another --out."
        )


def _sha256(texts: Iterator[str] | Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
