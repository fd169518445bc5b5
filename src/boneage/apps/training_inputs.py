"""What the training verbs start from: settings and data, from the options that they share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from boneage.dataset.data import Data
    from boneage.training.recipe import Recipe
    from boneage.training.settings import TrainingSettings

__all__ = ["TrainingInputs", "read_inputs"]


class TrainingInputs(NamedTuple):
    """What a training verb starts from.

    Attributes:
        settings: How to train.
        data: Radiographs with labels.
        recipe: What the settings were begun from.
        speaks: Whether this process is the one that reports, of those that train together.
    """

    settings: "TrainingSettings"
    data: "Data"
    recipe: "Recipe"
    speaks: bool


def read_inputs(
    data: Path,
    given: Mapping[str, Any],
    *,
    config: Path | None,
    preprocessing: bool,
    images: Path | None,
    labels: Path | None,
    cache: Path | None,
) -> TrainingInputs:
    """Read settings and data folder, and say on standard error what was found.

    Of several processes that train together, only the first one says it.

    Args:
        data: The data folder.
        given: Settings from the command line by name; None stands for not given.
        config: A recipe, the ``config.json`` of a run, or bare settings to start from.
        preprocessing: Whether the images are prepared.
        images: The images folder, if ``data`` leaves a choice.
        labels: The label table, if ``data`` leaves a choice.
        cache: Folder for prepared images.

    Raises:
        InputError: A setting is out of its range, or the data cannot be used.
    """
    from boneage.apps.screen import note
    from boneage.dataset.data import Data
    from boneage.training.recipe import read_recipe

    recipe = read_recipe(config)
    settings = recipe.settings_with(given)
    preparation = recipe.prepare_at(settings.size_px) if preprocessing else None
    found = Data(data, images=images, labels=labels, preparation=preparation, cache=cache)
    # Not before: this takes seconds, and what was said wrong is told without it.
    from boneage.training.processes import find_place

    speaks = find_place(settings).is_first
    if speaks:
        note(found.summary())
    return TrainingInputs(settings, found, recipe, speaks)
