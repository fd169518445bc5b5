import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_card

from boneage.errors import RunExistsError
from boneage.inference.inputs import InputFile
from boneage.inference.parts import RUN_FILE, Part, cut_into_parts, describe_run, open_parts
from boneage.inference.rows import Row, open_table
from boneage.radiographs.radiograph import Sex

FILES = [InputFile(f"{name}.png", name) for name in "abcde"]
ROWS = [
    Row("a.png", "a", "ok", "female", 100.25, 88.0, 112.0, 'turned, "upright"'),
    Row("b.png", "b", "refused", None, message="no hand\nat all"),
    Row("c.png", "c", "ok", "male", 0.0),
    Row("d.png", "d", "failed", "male", message="not an image"),
    Row("e.png", "e", "ok", "female", 217.0, 205.0, 229.0),
]


class Labels:
    """Girls all, but for those who are named."""

    def __init__(self, *boys: str) -> None:
        self._boys = boys

    def sex_of(self, id: str, /) -> Sex | None:  # noqa: A002
        return Sex.MALE if id in self._boys else Sex.FEMALE


def run(**changes: Any) -> dict[str, Any]:
    """What run.json says; ``changes`` are other options."""
    options = {"sex": None, "labels": None, "level": 0.9, "intake": True, "part_size": 2}
    card, files = changes.pop("card", tiny_card()), changes.pop("files", FILES)
    return describe_run(card, files, **{**options, **changes})


def table(tmp_path: Path, rows: list[Row]) -> bytes:
    with open_table(tmp_path / "table.csv") as write:
        for row in rows:
            write(row)
    return (tmp_path / "table.csv").read_bytes()


def test_parts_are_cut_in_order() -> None:
    parts = cut_into_parts(FILES, 2)
    assert [part.name for part in parts] == ["part-00000.csv", "part-00001.csv", "part-00002.csv"]
    assert [file for part in parts for file in part.files] == FILES
    assert [len(part.files) for part in parts] == [2, 2, 1]
    assert Part(123456, ()).name == "part-123456.csv"


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_joined_parts_are_the_table_that_one_process_writes(tmp_path: Path, suffix: str) -> None:
    folder = open_parts(tmp_path / "out", run())
    parts = cut_into_parts(FILES, 2)
    for part in reversed(parts):
        assert folder.statuses(part) is None
        folder.write(part, table(tmp_path, ROWS[2 * part.index : 2 * part.index + 2]))
    assert [folder.statuses(part) for part in parts] == [
        {"ok": 1, "refused": 1},
        {"ok": 1, "failed": 1},
        {"ok": 1},
    ]
    folder.join(parts, tmp_path / f"joined{suffix}")
    with open_table(tmp_path / f"whole{suffix}") as write:
        for row in ROWS:
            write(row)
    wanted = (tmp_path / f"whole{suffix}").read_bytes()
    assert (tmp_path / f"joined{suffix}").read_bytes() == wanted


@pytest.mark.parametrize("spoil", ["cut", "other rows", "other columns", "no number"])
def test_a_part_that_someone_changed_is_not_finished(tmp_path: Path, spoil: str) -> None:
    folder = open_parts(tmp_path / "out", run())
    part = cut_into_parts(FILES, 2)[0]
    whole = table(tmp_path, ROWS[:2])
    spoilt = {
        "cut": whole[: whole.index(b"b.png")],
        "other rows": table(tmp_path, ROWS[2:4]),
        "other columns": b"id,age\na,100\n",
        "no number": whole.replace(b"100.2", b"old"),
    }
    folder.write(part, whole)
    assert folder.statuses(part) is not None
    folder.write(part, spoilt[spoil])
    assert folder.statuses(part) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"files": FILES[:-1]}, "inputs"),
        ({"files": [*FILES[:-1], InputFile("f.png", "f")]}, "inputs"),
        ({"sex": Sex.MALE}, "sex"),
        ({"labels": Labels("a")}, "labels"),
        ({"level": 0.8}, "level"),
        ({"intake": False}, "intake"),
        ({"part_size": 3}, "part_size"),
        ({"card": tiny_card(files={"model.onnx": "0" * 64})}, "model"),
    ],
)
def test_another_run_is_not_gone_on_with(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    parts = cut_into_parts(FILES, 2)
    folder = open_parts(tmp_path, run())
    folder.write(parts[0], table(tmp_path.parent, ROWS[:2]))
    assert open_parts(tmp_path, run()).statuses(parts[0])
    with pytest.raises(RunExistsError, match=f"what differs: {named}\\. .*--overwrite"):
        open_parts(tmp_path, run(**dict(changes)))
    assert open_parts(tmp_path, run()).statuses(parts[0])
    anew = open_parts(tmp_path, run(**dict(changes)), overwrite=True)
    assert anew.statuses(parts[0]) is None
    assert json.loads((tmp_path / RUN_FILE).read_text()) == run(**dict(changes))


def test_the_same_names_in_another_folder_are_other_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_parts(tmp_path / "out", run())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunExistsError, match="inputs"):
        open_parts(tmp_path / "out", run())


def test_labels_that_say_the_same_are_the_same_labels(tmp_path: Path) -> None:
    open_parts(tmp_path, run(labels=Labels("a")))
    open_parts(tmp_path, run(labels=Labels("a", "not among the inputs")))
    with pytest.raises(RunExistsError, match="labels"):
        open_parts(tmp_path, run(labels=Labels("b")))


def test_what_is_not_a_run_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "part-00000.csv").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunExistsError, match=r"no run\.json"):
            open_parts(tmp_path, run(), overwrite=overwrite)
    assert (tmp_path / "part-00000.csv").read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["part-00000.csv"]


def test_clearing_leaves_what_is_of_others(tmp_path: Path) -> None:
    folder = open_parts(tmp_path / "out", run())
    folder.write(cut_into_parts(FILES, 2)[0], b"")
    (tmp_path / "out" / ".part-00001.csv.x1y2.csv").write_bytes(b"half of a")  # left by kill -9
    (tmp_path / "out" / "notes.txt").write_text("mine")
    folder.clear()
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["notes.txt"]
    (tmp_path / "out" / "notes.txt").unlink()
    open_parts(tmp_path / "out", run()).clear()
    assert not (tmp_path / "out").exists()
