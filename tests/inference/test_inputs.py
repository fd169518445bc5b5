import os
from pathlib import Path

import pytest
from tiny_models import write_hand

from boneage.inference.inputs import InputFile, find_inputs


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some radiographs and other things; the working folder."""
    for name in ["b.png", "a.PNG", "sub/c.jpeg", "sub/deep er/d.tiff", ".hidden/e.png", "z.jpg"]:
        write_hand(tmp_path / name)
    for name in ["labels.csv", "._a.png", "Ä.txt"]:
        (tmp_path / name).write_text("")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*names: str | os.PathLike[str]) -> list[str]:
    return [file.path for file in find_inputs(names).files]


def test_a_folder_stands_for_the_images_below_it_sorted(tree: Path) -> None:
    below = ["a.PNG", "b.png", "sub/c.jpeg", "sub/deep er/d.tiff", "z.jpg"]
    assert paths(tree) == [str(tree / name) for name in below]
    assert paths("sub") == ["sub/c.jpeg", "sub/deep er/d.tiff"]


@pytest.mark.usefixtures("tree")
def test_a_named_file_is_taken_whatever_its_suffix() -> None:
    found = find_inputs(["Ä.txt", "b.png", "./sub/c.jpeg"])
    assert found.files == (
        InputFile("Ä.txt", "Ä"),
        InputFile("b.png", "b"),
        InputFile("./sub/c.jpeg", "c"),
    )
    assert found.notes == ()


def test_the_order_is_that_of_the_names_and_nothing_comes_twice(tree: Path) -> None:
    assert paths("z.jpg", "sub", "*.p*g", "z.jpg", tree / "b.png", "sub/../z.jpg") == [
        "z.jpg",
        "sub/c.jpeg",
        "sub/deep er/d.tiff",
        "b.png",
    ]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.png", ["b.png"]),
        ("[az].*", ["a.PNG", "z.jpg"]),
        ("su?", ["sub/c.jpeg", "sub/deep er/d.tiff"]),
        ("**/*.tiff", ["sub/deep er/d.tiff"]),
    ],
)
def test_globs(pattern: str, wanted: list[str]) -> None:
    assert paths(pattern) == wanted


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tree: Path) -> None:
    write_hand(tree / "[b].png")
    assert paths("[b].png") == ["[b].png"]


def test_what_does_not_exist_is_an_input_with_a_problem(tree: Path) -> None:
    (tree / "link.png").symlink_to(tree / "gone.png")
    os.mkfifo(tree / "pipe.png")
    found = find_inputs(["gone.png", "b.png", "link.png", "pipe.png"]).files
    assert [file.path for file in found] == ["gone.png", "b.png", "link.png", "pipe.png"]
    assert [bool(file.problem) for file in found] == [True, False, True, True]
    assert "no such file" in found[0].problem
    assert "link to a file that is gone" in found[2].problem


@pytest.mark.usefixtures("tree")
def test_what_leads_to_nothing_is_noted() -> None:
    found = find_inputs(["empty", "*.dcm", "b.png"])
    assert len(found.files) == 1
    assert found.notes[0].startswith("empty holds no radiographs (")
    assert found.notes[1] == "*.dcm matches nothing."
