"""A recipe: the one file that says how a model is made, from the first scale to its card."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boneage.errors import SettingsError
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.settings import TrainingSettings

__all__ = ["CARD_TEXTS", "Recipe", "read_recipe"]

CARD_TEXTS = ("name", "version", "licence", "terms", "intended_use", "limits", "data")
"""What a recipe may say on the card of the model that it makes."""

_PARTS = ("settings", "preparation", "card")
_BEFORE = "before"
# What a stage has of its own, whatever the command line says of the last one; the size, if it
# names one.
_OF_A_STAGE = ("epochs",)
_SIZE = "size_px"
# What the config.json of a run holds beside them.
_OF_A_RUN = ("boneage_version", "folds", "data", "start_sha256", "starts_from_trained", "searched")


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        settings: How to train.
        preparation: How to prepare, but for the size, which is that of ``settings``.
        card: Texts for the card: any of ``CARD_TEXTS``.
        before: Stages of training that come first, each from the weights that the one before it
            left: what is otherwise than in ``settings``, the size too. Cross-validation runs them.
    """

    settings: TrainingSettings = field(default_factory=TrainingSettings)
    preparation: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        self.prepare_at(self.settings.size_px)
        self.stages_before({})
        unknown = sorted(set(self.card) - set(CARD_TEXTS))
        if unknown or not all(isinstance(text, str) for text in self.card.values()):
            raise SettingsError(
                f"card may hold texts under {', '.join(CARD_TEXTS)} and nothing else"
                + (f"; not {', '.join(unknown)}." if unknown else ".")
            )

    def settings_with(self, given: Mapping[str, Any]) -> TrainingSettings:
        """The settings with what was given put before them; None stands for not given.

        Raises:
            SettingsError: A name is unknown or a value out of range.
        """
        return self.settings.updated(
            **{name: value for name, value in given.items() if value is not None}
        )

    def stages_before(self, given: Mapping[str, Any]) -> tuple[TrainingSettings, ...]:
        """The settings of the stages that come first, with what was given put before them.

        Raises:
            SettingsError: A name is unknown or a value out of range.
        """
        fixed = {name: value for name, value in given.items() if name not in _OF_A_STAGE}
        return tuple(
            dataclasses.replace(
                self, settings=self.settings.updated(**stage), before=()
            ).settings_with({**fixed, _SIZE: stage.get(_SIZE, fixed.get(_SIZE))})
            for stage in self.before
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
        path: A JSON object: the settings, or an object with the keys ``settings``, ``preparation``,
            ``card`` and ``before``, each of which may be missing. None for the defaults.

    Returns:
        The recipe.

    Raises:
        SettingsError: It cannot be read, or holds an unknown or impossible setting.
    """
    if path is None:
        return Recipe()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"--config {path} cannot be read as JSON: {error}.") from error
    if not isinstance(values, dict):
        raise SettingsError(f"--config {path} must hold a JSON object of settings.")
    try:
        settings, preparation, card = _parts(values)
        before = _stages(values.get(_BEFORE) or [])
        return Recipe(TrainingSettings.from_dict(settings), preparation, card, before)
    except (SettingsError, TypeError, ValueError) as error:
        raise SettingsError(f"--config {path}: {error}") from error


def _parts(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Settings, preparation and card of whichever of the three kinds of file this is.

    Raises:
        SettingsError: A part is unknown or no JSON object.
    """
    if not values.keys() & {*_PARTS, _BEFORE}:
        return [values, {}, {}]
    if unknown := sorted(values.keys() - {*_PARTS, _BEFORE, *_OF_A_RUN}):
        raise SettingsError(
            f"a recipe has the parts {', '.join((*_PARTS, _BEFORE))}; "
            f"{', '.join(map(repr, unknown))} is none."
        )
    parts = {name: values.get(name) or {} for name in _PARTS}
    data = values.get("data")
    if "preparation" not in values and isinstance(data, dict):
        parts["preparation"] = data.get("preparation") or {}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise SettingsError(f"{name} must be a JSON object.")
    return list(parts.values())


def _stages(values: Any) -> tuple[dict[str, Any], ...]:
    """The stages that come first.

    Raises:
        SettingsError: They are no list of JSON objects.
    """
    if not isinstance(values, list) or not all(isinstance(stage, dict) for stage in values):
        raise SettingsError(f"{_BEFORE} must be a list of JSON objects of settings, one a stage.")
    return tuple(values)
