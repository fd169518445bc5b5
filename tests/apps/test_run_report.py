"""``boneage report``: what it says and how it ends."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_models import explaining_bundle, write_hand


@pytest.fixture(scope="module")
def made(run_cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, a model that gives heat maps, and its evaluation."""
    tmp_path = tmp_path_factory.mktemp("made")
    (tmp_path / "data" / "images").mkdir(parents=True)
    for seed in range(3):
        write_hand(tmp_path / "data" / "images" / f"{seed}.png", seed)
    rows = "".join(f"{seed},{60 + 9 * seed},F\n" for seed in range(3))
    (tmp_path / "data" / "labels.csv").write_text("id,boneage,sex\n" + rows)
    explaining_bundle(tmp_path / "model")
    done = run_cli("evaluate", tmp_path / "data", "--model", tmp_path / "model",
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.fixture
def evaluated(made: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(made, tmp_path / "evaluated"))


def test_a_report_on_an_evaluation(run_cli: Any, evaluated: Path) -> None:
    run = evaluated / "run"
    done = run_cli("report", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Written to {run / 'report.html'}\n"
    assert "What moved the estimate" in (run / "report.html").read_text()


def test_heat_maps_that_a_run_lacks_are_drawn(run_cli: Any, evaluated: Path) -> None:
    run, page = evaluated / "run", evaluated / "page.html"
    (run / "plots" / "heat_maps.png").unlink()
    done = run_cli("report", run, "--out", page)
    assert done.returncode == 0
    assert "What moved the estimate" not in page.read_text()
    done = run_cli("report", run, "--out", page, "--data", evaluated / "data",
                   "--model", evaluated / "model")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "What moved the estimate" in page.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nowhere"], "nowhere has no metrics.json"),
        (["run", "--out", "page.txt"], "--out page.txt: the name must end in .html."),
        (["run", "--model", "model"], "--model is for the heat maps: add --data DATA."),
        (["run", "--data", "data"], "run/bundle"),
        (["run", "--data", "model", "--model", "model"], "model"),
    ],
)
def test_a_mistake_is_one_clear_line(
    run_cli: Any, evaluated: Path, options: list[str], said: str
) -> None:
    done = run_cli("report", *options, cwd=evaluated)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
