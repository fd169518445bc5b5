"""``boneage crossval`` as a user types it; what it computes is in ``tests/training``."""

from pathlib import Path
from typing import Any

import pytest

from boneage.radiographs.phantom import write_phantom_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_dataset(tmp_path_factory.mktemp("data") / "phantoms", 6, height_px=64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--folds", "1"], "--folds must be within 2 to 50, not 1"),
        (["--fold", "9"], "--fold must be within 1 to 5, not 9"),
        (["--split", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    run_cli: Any, data: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    done = run_cli("crossval", data, "--out", tmp_path / "folds", "--size", "32", *options)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert done.stderr.splitlines()[-1] == line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "folds").exists()
