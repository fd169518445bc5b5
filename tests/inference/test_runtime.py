"""ONNX Runtime reports to nobody, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import tiny_bundle, write_hand

SOURCE = Path(__file__).resolve().parents[2] / "src"


def test_only_one_module_loads_it() -> None:
    loads = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if any(line.startswith(("import onnxrun", "from onnxrun")) for line in _lines(path))
    ]
    assert loads == ["boneage/inference/runtime.py"]


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text().splitlines()]


@pytest.mark.skipif(os.name != "posix", reason="the folders are those of POSIX")
def test_predicting_leaves_nothing_in_the_home_and_the_temporary_folder(tmp_path: Path) -> None:
    bundle, hand = tiny_bundle(tmp_path / "tiny"), write_hand(tmp_path / "hand.png")
    for name in ("home", "tmp", "cwd"):
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-m", "boneage", "predict", hand, "--sex", "F", "--model", bundle],
        cwd=tmp_path / "cwd",
        # Nothing else: what a build server sets, as CI, would keep it quiet as well.
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "tmp"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    left = [path for name in ("home", "tmp", "cwd") for path in (tmp_path / name).rglob("*")]
    assert left == []
