"""What every test can use: the real radiographs, the command line, a cache of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
COLOUR_SWITCHES = ("CLICOLOR_FORCE", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS")


class RunCli(Protocol):
    """Runs ``boneage`` with some arguments in a process of its own."""

    def __call__(
        self,
        *args: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]: ...


def pytest_configure() -> None:
    # Read when OpenCV, OpenMP and MKL start, so it has to be set before they are imported. One
    # thread each makes sums come out in the same order everywhere; child processes inherit it.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ.setdefault(name, "1")
    # A shared machine may stall for longer than Hypothesis allows one example by default.
    hypothesis.settings.register_profile("boneage", deadline=None)
    hypothesis.settings.load_profile("boneage")


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of this test run: never the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BONEAGE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real radiographs: $BONEAGE_SHARED_DATA, else ../shared/data."""
    named = os.environ.get("BONEAGE_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (folder / "rsna-100px").is_dir():
        pytest.skip(f"no real radiographs in {folder}; BONEAGE_SHARED_DATA can name another folder")
    return folder


@pytest.fixture(scope="session")
def run_cli(cache_folder: Path) -> RunCli:
    """``run_cli("predict", "x.png")``: the completed process, output as text, colours off."""

    def run(
        *args: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        surroundings = {k: v for k, v in os.environ.items() if k not in COLOUR_SWITCHES}
        # Always this checkout, as the tests themselves (pythonpath in pyproject.toml).
        paths = [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")]
        surroundings |= {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONIOENCODING": "utf-8",
            "BONEAGE_CACHE": str(cache_folder),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "TERM": "dumb",
            **(env or {}),
        }
        return subprocess.run(
            [sys.executable, "-m", "boneage", *(os.fspath(arg) for arg in args)],
            cwd=cwd,
            env=surroundings,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    return run
