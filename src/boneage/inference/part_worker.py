"""What a worker process of a cluster does: predict a part, give its rows as a table.

Only names go to a worker and only rows come back; pixels stay on the machine that reads them. What
is sent is bytes, because file names need not be valid text.
"""

import dataclasses
import json
import os
import pickle
import socket
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2

from boneage import __version__
from boneage.errors import BoneAgeError, InputError
from boneage.inference.bundle import Bundle
from boneage.inference.inputs import InputFile
from boneage.inference.parts import Part
from boneage.inference.predictor import Predictor
from boneage.inference.rows import Row, csv_bytes
from boneage.inference.run import SexTable, predict_rows
from boneage.radiographs.radiograph import Sex

__all__ = ["Attempts", "PartResult", "PartWorker", "WorkerTask", "packed_part"]

_MOST_ATTEMPTS = 5
"""How often a part is begun before it is given up. Ray would go on for ever, and a file that takes
its worker down would take it down each time.
"""


@dataclass(frozen=True)
class WorkerTask:
    """What is the same for every part.

    Attributes:
        sex: Sex of every child; None to look it up.
        labelled: Whether there is a label table.
        level: Level of the intervals; None for the one on the model's card.
        intake: Whether the intake gate is on.
        folder: The folder that relative paths start from.
        boneage_version: The release that sends the parts.
    """

    sex: Sex | None
    labelled: bool
    level: float | None
    intake: bool
    folder: str
    boneage_version: str = __version__


@dataclass(frozen=True)
class PartResult:
    """What a worker made of a part.

    Attributes:
        index: Number of the part.
        table: Its rows in their CSV form.
        statuses: How often which status came.
    """

    index: int
    table: bytes
    statuses: Counter[str]

    @classmethod
    def unpacked(cls, row: Mapping[str, Any]) -> "PartResult | None":
        """Read what a worker gave; None if the part was given up.

        Raises:
            BoneAgeError: The worker met an error that is not one of a single file.
            RuntimeError: The worker met a fault of boneage.
        """
        if row["error"]:
            error = pickle.loads(row["error"])
            assert isinstance(error, Exception)
            raise error
        if row["given_up"]:
            return None
        return cls(row["part"], row["table"], Counter(json.loads(row["statuses"])))


def packed_part(part: Part, labels: SexTable | None) -> dict[str, Any]:
    """A part for sending: its inputs and the sexes that the label table has for them."""
    sexes = {file.id: labels.sex_of(file.id) for file in part.files} if labels else {}
    content = {
        "files": [dataclasses.astuple(file) for file in part.files],
        "sexes": {id_: sex.value for id_, sex in sexes.items() if sex},
    }
    # JSON escapes the halves of characters that stand for bytes in file names; Arrow's text cannot.
    return {"part": part.index, "content": json.dumps(content).encode("ascii")}


class Attempts:
    """Counts how often each part was begun; one process of the cluster holds it."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, part: int) -> int:
        """Note that a part is begun, and say how often it was up to now."""
        self._begun[part] += 1
        return self._begun[part]


class PartWorker:
    """Predicts parts in one process, on one core, with a model that is loaded once."""

    def __init__(
        self, task: WorkerTask, bundle: Callable[[], Bundle], begin: Callable[[int], int]
    ) -> None:
        """Keep what is needed to begin.

        Args:
            task: What is the same for every part.
            bundle: Gets the model from where the run was started: the same on every machine.
            begin: Notes that a part is begun, and says how often it was up to now.
        """
        self._begin = begin
        self._task = task
        self._bundle = bundle
        self._predictor: Predictor | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Predict a part as :func:`packed_part` made it; an error that ends the run is packed."""
        part = row["part"]
        result = {"part": part, "table": b"", "statuses": "{}", "error": b"", "given_up": False}
        if self._begin(part) > _MOST_ATTEMPTS:
            return {**result, "given_up": True}
        try:
            content = json.loads(row["content"])
            files = [InputFile(*fields) for fields in content["files"]]
            rows = list(self._rows(files, _PartSexes(content["sexes"])))
        except BoneAgeError as error:
            return {**result, "error": pickle.dumps(error)}
        except Exception:
            fault = RuntimeError(f"in a worker:\n{traceback.format_exc()}")
            return {**result, "error": pickle.dumps(fault)}
        statuses = json.dumps(Counter(row.status for row in rows))
        return {**result, "table": csv_bytes(rows), "statuses": statuses}

    def _rows(self, files: list[InputFile], labels: "_PartSexes") -> Iterable[Row]:
        task = self._task
        # Joined, not resolved: what ".." means behind a link is the system's business.
        there = [
            dataclasses.replace(file, path=os.path.join(task.folder, file.path)) for file in files
        ]
        _check_reachable(there)
        rows = predict_rows(
            self._load(), there, sex=task.sex, labels=labels if task.labelled else None
        )
        for file, row in zip(files, rows, strict=True):
            yield dataclasses.replace(row, path=file.path)

    def _load(self) -> Predictor:
        """The model, loaded when the first part comes, so that what is wrong with it is told."""
        if self._predictor is None:
            if self._task.boneage_version != __version__:
                raise InputError(
                    f"{socket.gethostname()} has boneage {__version__}, and the run was started "
                    f"with {self._task.boneage_version}. Install one release on every machine."
                )
            # A worker for each core: threads of its own would only fight over the cores.
            cv2.setNumThreads(1)
            self._predictor = Predictor(
                self._bundle(), threads=1, level=self._task.level, intake=self._task.intake
            )
        return self._predictor


class _PartSexes:
    """The label table, as far as the inputs of one part need it."""

    def __init__(self, sexes: Mapping[str, str]) -> None:
        self._sexes = sexes

    def sex_of(self, id: str, /) -> Sex | None:  # noqa: A002
        """Sex of the child on a radiograph, or None if the table does not say."""
        return Sex(self._sexes[id]) if id in self._sexes else None


def _check_reachable(files: Iterable[InputFile]) -> None:
    """Raise if this machine sees none of the files that the one that sent them saw."""
    paths = [file.path for file in files if not file.problem]
    if paths and not any(os.path.exists(path) for path in paths):
        raise InputError(
            f"{socket.gethostname()} sees none of {len(paths)} inputs, the first being {paths[0]}. "
            "The radiographs must be reachable under the same path on every machine of the cluster."
        )
