"""The light installation: no deep-learning framework, no matplotlib, and quick to start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

# Runs the command line in a process where some packages cannot be imported, and prints which of
# the packages that are watched were imported after all.
PROGRAM = """
import sys

# None stands for a module that cannot be imported, nor found by looking for it.
sys.modules.update(dict.fromkeys(filter(None, sys.argv[1].split(","))))
WATCHED = set(filter(None, sys.argv[2].split(",")))
sys.argv[:] = ["boneage", *sys.argv[3:]]
from boneage.apps.cli import main
try:
    main()
except SystemExit as error:
    found = sorted(name for name in sys.modules if name.partition(".")[0] in WATCHED)
    print("exit code", error.code or 0, "imported", found[:5], file=sys.stderr)
"""
HEAVY = "torch,pytorch_lightning,matplotlib,optuna,onnx,safetensors,tensorboard,scipy,PIL"


def boneage(
    *arguments: str | os.PathLike[str], blocked: str = "", watched: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, blocked, watched, *map(os.fspath, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SRC), "BONEAGE_MODEL": ""},
    )


def test_predicting_needs_nothing_of_the_training(bundle: Path, scans: Path) -> None:
    done = boneage("predict", scans, "--sex", "F", "--model", bundle, blocked=HEAVY)
    assert done.stderr == "exit code 0 imported []\n"
    assert len(done.stdout.splitlines()) == 4


def test_a_report_needs_nothing_of_the_training(bundle: Path, scans: Path) -> None:
    page = scans / "r.html"
    options = ["--sex", "F", "--model", bundle, "--report", page, "--age-months", "100"]
    done = boneage("predict", scans / "1.png", *options, blocked=HEAVY)
    assert done.stderr == f"Report written to {page}\nexit code 0 imported []\n"
    assert "<svg" in page.read_text()


@pytest.mark.parametrize("arguments", [["info", "--json"], ["info"], ["--version"], ["--help"]])
def test_information_imports_nothing_heavy(arguments: list[str]) -> None:
    done = boneage(*arguments, watched=f"{HEAVY},onnxruntime")
    assert done.stderr == "exit code 0 imported []\n"


def test_predicting_imports_nothing_of_the_training(bundle: Path, scans: Path) -> None:
    done = boneage("predict", scans, "--sex", "F", "--model", bundle, watched=HEAVY)
    assert done.stderr == "exit code 0 imported []\n"


def test_the_engine_of_clusters_names_its_extra(bundle: Path, scans: Path, tmp_path: Path) -> None:
    command = ["predict", scans, "--sex", "F", "--model", bundle, "--engine", "ray"]
    done = boneage(*command, "--out", tmp_path / "parts", blocked="ray", watched=HEAVY)
    assert done.stderr.splitlines() == [
        "error: This needs ray, which is not installed: pip install 'boneage[cluster]'",
        "exit code 2 imported []",
    ]
    assert not (tmp_path / "parts").exists()


def test_the_node_names_its_extra(tmp_path: Path) -> None:
    command = ["listen", "--send-to", "archive:104:ARCHIVE", "--queue", tmp_path / "queue"]
    done = boneage(*command, blocked="pynetdicom", watched=HEAVY)
    assert done.stderr.splitlines() == [
        "error: This needs pynetdicom, which is not installed: pip install 'boneage[dicom]'",
        "exit code 2 imported []",
    ]
    assert not (tmp_path / "queue").exists()


def test_the_web_app_names_its_extra() -> None:
    done = boneage("serve", blocked="fastapi", watched=HEAVY)
    assert done.stderr.splitlines() == [
        "error: This needs fastapi, which is not installed: pip install 'boneage[web]'",
        "exit code 2 imported []",
    ]


def test_only_the_web_app_loads_its_packages(bundle: Path, scans: Path) -> None:
    web = "fastapi,jinja2,prometheus_client,python_multipart,starlette,uvicorn"
    done = boneage("predict", scans, "--sex", "F", "--model", bundle, watched=web)
    assert done.stderr == "exit code 0 imported []\n"


@pytest.mark.parametrize("verb", ["predict", "serve"])
def test_help_does_not_wait_for_arrays(verb: str) -> None:
    done = boneage(verb, "--help", watched="cv2,numpy,onnxruntime,fastapi")
    assert done.stderr == "exit code 0 imported []\n"
