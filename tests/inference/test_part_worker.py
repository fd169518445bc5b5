import dataclasses
import os
from pathlib import Path

import pytest
from tiny_models import tiny_bundle, write_hand

from boneage.errors import BundleError, InputError
from boneage.inference.bundle import Bundle
from boneage.inference.inputs import InputFile, find_inputs
from boneage.inference.part_worker import (
    Attempts,
    PartResult,
    PartWorker,
    WorkerTask,
    packed_part,
)
from boneage.inference.parts import Part
from boneage.radiographs.radiograph import Sex

TASK = WorkerTask(sex=Sex.FEMALE, labelled=False, level=None, intake=True, folder="/")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(tiny_bundle(tmp_path_factory.mktemp("models") / "tiny"))


def part_of(folder: Path) -> dict[str, object]:
    return packed_part(Part(3, find_inputs([folder]).files), None)


def test_paths_in_the_rows_are_as_they_were_named(tmp_path: Path, bundle: Bundle) -> None:
    write_hand(tmp_path / "hand.png")
    files = (InputFile("./hand.png", "hand"), InputFile("gone.png", "gone", "gone.png: not there"))
    worker = PartWorker(
        dataclasses.replace(TASK, folder=str(tmp_path)), lambda: bundle, Attempts().begin
    )
    result = PartResult.unpacked(worker(packed_part(Part(0, files), None)))
    assert result is not None
    assert result.statuses == {"ok": 1, "failed": 1}
    lines = result.table.decode().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["./hand.png", "gone.png"]


def test_a_part_is_given_up_when_it_was_begun_too_often(tmp_path: Path, bundle: Bundle) -> None:
    write_hand(tmp_path / "hand.png")
    # Attempts live outside the worker, so they outlast it: each of these is a new process.
    attempts = Attempts()
    results = [
        PartResult.unpacked(PartWorker(TASK, lambda: bundle, attempts.begin)(part_of(tmp_path)))
        for _ in range(6)
    ]
    assert [result is None for result in results] == [False] * 5 + [True]


def test_a_machine_that_sees_none_of_the_files_says_so(tmp_path: Path, bundle: Bundle) -> None:
    path = write_hand(tmp_path / "hand.png")
    part = part_of(tmp_path)
    os.unlink(path)
    answer = PartWorker(TASK, lambda: bundle, Attempts().begin)(part)
    with pytest.raises(InputError, match="same path on every machine"):
        PartResult.unpacked(answer)


def test_a_machine_with_another_release_says_so(tmp_path: Path, bundle: Bundle) -> None:
    write_hand(tmp_path / "hand.png")
    task = dataclasses.replace(TASK, boneage_version="0.0.1")
    answer = PartWorker(task, lambda: bundle, Attempts().begin)(part_of(tmp_path))
    with pytest.raises(InputError, match=r"started with 0\.0\.1"):
        PartResult.unpacked(answer)


def test_a_model_that_cannot_be_used_ends_the_run(tmp_path: Path, bundle: Bundle) -> None:
    write_hand(tmp_path / "hand.png")
    broken = dataclasses.replace(bundle, onnx_bytes=b"no graph")
    answer = PartWorker(TASK, lambda: broken, Attempts().begin)(part_of(tmp_path))
    with pytest.raises(BundleError, match="cannot be loaded"):
        PartResult.unpacked(answer)
