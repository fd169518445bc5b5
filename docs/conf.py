"""Sphinx settings. Nothing here reaches for the network."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from boneage import __version__  # noqa: E402  (only now on the path)

project = "boneage"
author = "The boneage contributors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autoclass_content = "both"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# The documentation is to build from `pip install -e '.[dev]'` too, without the training packages.
autodoc_mock_imports = [
    name
    for name in (
        "torch",
        "pytorch_lightning",
        "optuna",
        "sqlalchemy",
        "onnx",
        "onnxscript",
        "safetensors",
    )
    if importlib.util.find_spec(name) is None
]

html_theme = "furo"
html_title = f"boneage {version}"
