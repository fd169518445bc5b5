import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import boneage
from boneage.apps.information import EXTRAS

REPOSITORY = Path(__file__).parents[2]


def test_the_version(run_cli: Any) -> None:
    done = run_cli("--version")
    assert (done.returncode, done.stdout) == (0, f"boneage {boneage.__version__}\n")


def test_versions_devices_models_and_extras(run_cli: Any, bundle: Path) -> None:
    done = run_cli("info", "--json", env={"BONEAGE_MODEL": str(bundle), "BONEAGE_CACHE": "/c"})
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["versions"]["boneage"] == boneage.__version__
    assert facts["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["versions"]["onnxruntime"] == metadata.version("onnxruntime")
    assert re.match(r"\d+\.\d+", facts["versions"]["opencv"])
    assert facts["devices"][0]["kind"] == "cpu"
    assert facts["devices"][0]["cores"] >= 1
    model = facts["models"][0]
    assert (model["name"], model["origin"]) == ("tiny", "$BONEAGE_MODEL")
    assert (model["path"], model["problem"]) == (str(bundle), None)
    assert set(facts["extras"]) == set(EXTRAS)
    assert facts["cache"].startswith("/c")


def test_the_same_for_reading(run_cli: Any, bundle: Path) -> None:
    done = run_cli("info", env={"BONEAGE_MODEL": str(bundle)})
    assert done.returncode == 0
    assert f"boneage {boneage.__version__}" in done.stdout
    assert "tiny 1 ($BONEAGE_MODEL: " in done.stdout


def test_a_model_that_cannot_be_used_is_shown_with_its_problem(
    run_cli: Any, tmp_path: Path
) -> None:
    surroundings = {"BONEAGE_MODEL": str(tmp_path / "gone")}
    done = run_cli("info", "--json", env=surroundings)
    assert done.returncode == 0
    assert "There is no model at" in json.loads(done.stdout)["models"][0]["problem"]
    assert "There is no model at" in run_cli("info", env=surroundings).stdout


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_the_extras_are_those_of_the_package(extra: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["optional-dependencies"]
    assert set(EXTRAS) == set(wanted) - {"dev"}
    names = {re.split(r"[\[<>=~!;]", requirement)[0] for requirement in wanted[extra]}
    assert set(EXTRAS[extra]) == names


@pytest.mark.parametrize("verb", ["predict", "prepare", "train", "evaluate", "demo", "info"])
def test_every_verb_explains_itself(run_cli: Any, verb: str) -> None:
    done = run_cli(verb, "--help")
    assert done.returncode == 0
    assert f"Usage: boneage {verb}" in done.stdout
    assert f"Example: boneage {verb}" in done.stdout
    assert verb in run_cli("--help").stdout
