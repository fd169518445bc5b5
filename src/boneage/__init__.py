"""Bone age in months from a child's hand radiograph.

``Data`` pairs radiographs with labels, ``Model`` trains on them, ``load`` opens a trained model and
``predict`` is its shortest form. Names are imported when first used, so that ``import boneage`` is
quick and never pulls in a deep-learning framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boneage.dataset.data import Data
    from boneage.errors import BoneAgeError
    from boneage.inference.predictor import Prediction, Predictor, load, predict
    from boneage.radiographs.radiograph import Radiograph, Sex
    from boneage.training.model import Model

__all__ = [
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

__version__ = "0.1.0"

_HOMES = {
    "BoneAgeError": "boneage.errors",
    "Data": "boneage.dataset.data",
    "Model": "boneage.training.model",
    "Prediction": "boneage.inference.predictor",
    "Predictor": "boneage.inference.predictor",
    "Radiograph": "boneage.radiographs.radiograph",
    "Sex": "boneage.radiographs.radiograph",
    "load": "boneage.inference.predictor",
    "predict": "boneage.inference.predictor",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'boneage' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
