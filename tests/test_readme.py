"""The README is run: every block marked ``<!-- runs -->``, in order, on synthetic radiographs."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from boneage.radiographs.phantom import write_phantom_dataset

RunCli = Callable[..., subprocess.CompletedProcess[str]]
REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PHANTOMS = 40
# What makes the README's demonstration small enough to be one test among many.
SMALL_DEMO = ["--count", "100", "--epochs", "1"]


@dataclass(frozen=True)
class Block:
    """A fenced block of the README, with the word of the comment above it."""

    marker: str
    language: str
    text: str


def blocks(readme: str) -> list[Block]:
    """The marked blocks, in order."""
    found = re.finditer(r"^<!-- (\w+) -->\n```(\w+)\n(.*?)^```$", readme, re.M | re.S)
    return [Block(*match.groups()) for match in found]


def boneage_commands(block: Block) -> list[list[str]]:
    """The arguments of each ``boneage`` command; installing and pytest itself are left out."""
    commands = []
    for line in block.text.replace("\\\n", " ").splitlines():
        for command in line.split(" && "):
            words = shlex.split(command, comments=True)
            if words and Path(words[0]).name == "boneage":
                commands.append(words[1:])
            else:
                setup = r"|python3 -m venv .*|\.venv/bin/(pip install .*|pytest)"
                assert re.fullmatch(setup, shlex.join(words)), f"no test runs {command!r}"
    return commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader would stand, with the data folder that the README calls ``phantoms``."""
    folder = tmp_path_factory.mktemp("readme")
    write_phantom_dataset(folder / "phantoms", PHANTOMS, seed=0)
    return folder


def test_the_readme_gives_one_command_to_try_and_one_to_test() -> None:
    by_marker = {block.marker: block for block in blocks(README) if block.marker != "runs"}
    assert set(by_marker) == {"try", "test"}
    assert [block.text.count("\n") for block in by_marker.values()] == [1, 1]
    assert by_marker["try"].text.endswith("boneage demo\n")
    assert ".venv/bin/pytest " in by_marker["test"].text


def test_every_block_is_marked() -> None:
    assert README.count("```") == 2 * len(blocks(README))
    assert {block.language for block in blocks(README)} == {"bash", "python"}


def test_the_demonstration_runs(folder: Path, run_cli: RunCli) -> None:
    (command,) = boneage_commands(next(b for b in blocks(README) if b.marker == "try"))
    done = run_cli(*command, *SMALL_DEMO, cwd=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "say nothing about children" in done.stdout
    (report,) = re.findall(r"Open (\S+\.html)$", done.stdout, re.M)
    page = (folder / report).read_text(encoding="utf-8")
    assert "synthetic" in page.lower()
    assert "data:image/png" in page


def test_the_commands_run(folder: Path, run_cli: RunCli) -> None:
    runs = [b for b in blocks(README) if (b.marker, b.language) == ("runs", "bash")]
    commands = [words for block in runs for words in boneage_commands(block)]
    assert [words[0] for words in commands] == ["predict", "train", "predict"]
    for words in commands:
        done = run_cli(*words, cwd=folder, timeout=600)
        assert done.returncode == 0, f"boneage {shlex.join(words)}\n{done.stderr}"
    rows = (folder / "ages.csv").read_text().splitlines()
    assert rows[0] == ("path,id,status,sex,bone_age_months,lower_months,upper_months,message")
    assert len(rows) == 1 + PHANTOMS


def test_the_python_lines_run(folder: Path) -> None:
    (block,) = (b for b in blocks(README) if (b.marker, b.language) == ("runs", "python"))
    # From a file, as readers run it: processes that are started along the way import it again.
    (folder / "first.py").write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "first.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bone_age, lower, upper = map(float, done.stdout.split()[-3:])
    assert 0 <= lower <= bone_age <= upper <= 300
