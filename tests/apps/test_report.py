"""``boneage predict --report``: the page, beside rows and exit codes that stay as they are."""

from pathlib import Path
from typing import Any

import pytest
from tiny_models import write_hand


def test_a_report_changes_nothing_else(
    run_cli: Any, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    common = ["predict", scans / "1.png", "--sex", "M", "--model", bundle]
    plain = run_cli(*common)
    page = tmp_path / "new" / "r.html"
    options = ["--report", page, "--age-months", "120", "--height-cm", "140", "--norm", "stanford"]
    done = run_cli(*common, *options)
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    assert done.stderr == f"Report written to {page}\n"
    assert "Stanford" in page.read_text()
    assert "SD score" in page.read_text()


def test_a_report_on_what_has_no_bone_age(run_cli: Any, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    page = tmp_path / "r.html"
    done = run_cli("predict", tmp_path / "text.png", "--sex", "F", "--model", bundle,
                   "--report", page)  # fmt: skip
    assert done.returncode == 1
    assert ",failed," in done.stdout
    assert "No bone age" in page.read_text()


def test_visits_of_a_child(run_cli: Any, bundle: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_hand(tmp_path / f"{name}.png")
    labels = tmp_path / "labels.csv"
    labels.write_text("id,sex,child,age_months\na,F,Jo,100\nb,F,Jo,110\n")
    page = tmp_path / "r.html"
    inputs = [tmp_path / "a.png", tmp_path / "b.png"]
    done = run_cli("predict", *inputs, "--labels", labels, "--model", bundle, "--report", page)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert "Bone age: Jo" in page.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--age-months", "100"], "--age-months is for the report: add --report FILE.html."),
        (["--report", "r.html", "--age-months", "-3"], "--age-months must be within 0 to 300"),
        (["--report", "r.html"], "--report is about one child, and there are 3 radiographs"),
    ],
)
def test_a_wrong_report_is_one_clear_line_before_any_work(
    run_cli: Any, bundle: Path, scans: Path, options: list[str], said: str
) -> None:
    inputs = [scans] if options[-1] == "r.html" else [scans / "1.png"]
    done = run_cli("predict", *inputs, "--sex", "F", "--model", bundle, *options, cwd=scans)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {said}")
    assert not (scans / "r.html").exists()
