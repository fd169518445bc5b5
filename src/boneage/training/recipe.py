"""A recipe: the one file that says how a model is made, from the first scale to its card."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boneage.errors import SettingsError
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.settings import TrainingSettings

__all__ = ["CARD_TEXTS", "Recipe", "read_recipe"]

CARD_TEXTS = ("name", "version", "licence", "terms", "intended_use", "limits", "data")
"""What a recipe may say on the card of the model that it makes."""


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        settings: How to train.
        preparation: How to prepare, but for the size, which is that of ``settings``.
        card: Texts for the card: any of ``CARD_TEXTS``.
    """

    settings: TrainingSettings = field(default_factory=TrainingSettings)
    preparation: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prepare_at(self.settings.size_px)
        unknown = sorted(set(self.card) - set(CARD_TEXTS))
        if unknown or not all(isinstance(text, str) for text in self.card.values()):
            raise SettingsError(
                f"card may hold texts under {', '.join(CARD_TEXTS)} and nothing else"
                + (f"; not {', '.join(unknown)}." if unknown else ".")
            )

    def prepare_at(self, size_px: int) -> PreparationSettings:
        """The preparation for images of ``size_px``.

        Raises:
            SettingsError: A key is unknown or a value out of range.
        """
        return PreparationSettings.from_dict({**self.preparation, "size_px": size_px})


def read_recipe(path: Path | None) -> Recipe:
    """Read a recipe, the ``config.json`` of a run, or bare settings.

    Args:
        path: A JSON object: the settings, or an object with the keys ``settings``, ``preparation``
            and ``card``, each of which may be missing. None for the defaults.

    Returns:
        The recipe.

    Raises:
        SettingsError: It cannot be read, or holds an unknown or impossible setting.
    """
    if path is None:
        return Recipe()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--config {path} cannot be read as JSON: {error}.") from error
    if not isinstance(values, dict):
        raise SettingsError(f"--config {path} must hold a JSON object of settings.")
    parts = values if isinstance(values.get("settings"), dict) else {"settings": values}
    preparation = parts.get("preparation")
    if preparation is None and isinstance(parts.get("data"), dict):
        preparation = parts["data"].get("preparation")
    try:
        return Recipe(
            TrainingSettings.from_dict(parts["settings"]), preparation or {}, parts.get("card", {})
        )
    except (SettingsError, TypeError, ValueError) as error:
        raise SettingsError(f"--config {path}: {error}") from error
