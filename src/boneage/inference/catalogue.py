"""Where models are found when none is named: $BONEAGE_MODEL, then the one that comes along."""

import os
from dataclasses import dataclass
from pathlib import Path

from boneage.errors import BundleError
from boneage.inference.bundle import CARD_FILE, read_card
from boneage.inference.card import Card

__all__ = ["MODEL_VARIABLE", "ModelAtHand", "default_model", "models_at_hand"]

MODEL_VARIABLE = "BONEAGE_MODEL"
"""Environment variable that names the bundle to use when no other is named."""

_SHIPPED = Path(__file__).parent / "models"
_DEFAULT_NAME = "default"


@dataclass(frozen=True)
class ModelAtHand:
    """A model that can be used without naming it, or that comes with boneage.

    Attributes:
        path: The bundle.
        origin: ``$BONEAGE_MODEL`` or ``shipped``.
        card: Its card, or None if it cannot be read.
        problem: Why the card cannot be read; empty if it can.
    """

    path: Path
    origin: str
    card: Card | None
    problem: str = ""


def default_model() -> Path:
    """The bundle to use when none is named.

    Raises:
        BundleError: There is none; the message says how to get one.
    """
    if named := os.environ.get(MODEL_VARIABLE):
        return Path(named)
    for path in _shipped():
        if path.stem == _DEFAULT_NAME:
            return path
    raise BundleError(
        "No model comes with this installation. Name one with --model BUNDLE (in Python: "
        f"load(bundle)) or in the environment variable {MODEL_VARIABLE}, or train one: "
        "boneage train --help"
    )


def models_at_hand() -> tuple[ModelAtHand, ...]:
    """Every model that is found without naming it, the default one first."""
    places = [(path, "shipped") for path in _shipped()]
    if named := os.environ.get(MODEL_VARIABLE):
        places.insert(0, (Path(named), f"${MODEL_VARIABLE}"))
    return tuple(_look_at(path, origin) for path, origin in places)


def _shipped() -> list[Path]:
    if not _SHIPPED.is_dir():
        return []
    bundles = [
        path for path in _SHIPPED.iterdir() if path.suffix == ".zip" or (path / CARD_FILE).is_file()
    ]
    return sorted(bundles, key=lambda path: (path.stem != _DEFAULT_NAME, path.name))


def _look_at(path: Path, origin: str) -> ModelAtHand:
    try:
        return ModelAtHand(path, origin, read_card(path))
    except BundleError as error:
        return ModelAtHand(path, origin, None, str(error))
