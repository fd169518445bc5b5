"""Options of a search, for the verbs that make one, and how it is set up from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from boneage.training.search.space import Space
    from boneage.training.settings import TrainingSettings

__all__ = [
    "ConvFilters",
    "ConvLayers",
    "DenseDepth",
    "Dropouts",
    "Fraction",
    "Pruning",
    "SpaceFile",
    "Trials",
    "space_from",
]

ConvLayers = Annotated[
    list[int] | None,
    typer.Option(
        metavar="N...", help="Hypermodel: numbers of convolutional layers to try [3 4 5]."
    ),
]

ConvFilters = Annotated[
    list[int] | None,
    typer.Option(metavar="N...", help="Hypermodel: filters of the first layer to try [8 16 32]."),
]

DenseDepth = Annotated[
    list[int] | None,
    typer.Option(
        metavar="N...", help="Hypermodel: dense layers after joining the sex to try [1 2 3]."
    ),
]

Dropouts = Annotated[
    list[float] | None,
    typer.Option(metavar="SHARE...", help="Dropout to try [0.1 0.2 0.3]."),
]

SpaceFile = Annotated[
    Path | None,
    typer.Option(
        metavar="TOML",
        help="More settings to search, a list or a range each: batch_size = [16, 32], "
        "learning_rate = {low = 1e-4, high = 1e-2, log = true}; those of the network under "
        "[network], those of the augmentation under [augmentation].",
    ),
]

Fraction = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Share of all combinations to try, above 0 to 1 [0.25]."),
]

Trials = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Trials to finish in all, instead of --fraction. More of them, with --resume, "
        "extend a search.",
    ),
]

Pruning = Annotated[
    bool,
    typer.Option(
        "--pruning/--no-pruning",
        help="Give up trials that are poorer than the median of the others (default).",
    ),
]


def space_from(settings: "TrainingSettings", file: Path | None, **lists: Any) -> "Space":
    """The space that the options describe.

    Args:
        settings: Settings that are not searched.
        file: The space file, or None.
        lists: Values by setting; None stands for not given.

    Raises:
        SettingsError: It cannot be read or searched.
    """
    from boneage.training.search.space import combine_spaces, read_space

    return combine_spaces(settings, {} if file is None else read_space(file), lists)
