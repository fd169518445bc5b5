"""What ``boneage`` offers: these names and no others, and nothing heavy comes with them."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import boneage

SOURCE = Path(__file__).resolve().parent.parent / "src"
PUBLIC = [
    "BoneAgeError",
    "Data",
    "Model",
    "Prediction",
    "Predictor",
    "Radiograph",
    "Sex",
    "__version__",
    "load",
    "predict",
]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(boneage.__path__, "boneage.")
    if module.name != "boneage.__main__"
)
HEAVY = ["cv2", "matplotlib", "numpy", "onnxruntime", "pytorch_lightning", "torch", "typer"]


def test_the_public_names_are_these() -> None:
    assert boneage.__all__ == PUBLIC
    assert dir(boneage) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_can_be_imported(name: str) -> None:
    value = getattr(boneage, name)
    # What its own module calls private or does not list is not public here either.
    if name != "__version__":
        home = sys.modules[value.__module__]
        assert name in home.__all__
        assert getattr(home, name) is value
        assert value.__doc__


def test_an_unknown_name_is_refused_as_usual() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Xray'"):
        _ = boneage.Xray


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_is_there(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    listed = getattr(module, "__all__", [])
    assert [item for item in listed if not hasattr(module, item)] == []
    assert len(listed) == len(set(listed))


def test_importing_boneage_loads_nothing_heavy() -> None:
    code = f"import sys, boneage; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
