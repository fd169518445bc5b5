"""What an exported network says of prepared radiographs, and what its card says of it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.dataset.data import Data
from boneage.dataset.prepared import PreparedData
from boneage.errors import SettingsError
from boneage.evaluation.conformal import conformal_widths
from boneage.evaluation.metrics import Metrics, evaluate
from boneage.files import write_csv
from boneage.inference.bundle import Bundle
from boneage.inference.intervals import Interval
from boneage.inference.session import Network
from boneage.radiographs.preparation import PREPARATION_VERSION, PreparationSettings

__all__ = [
    "INTERVAL_LEVEL",
    "card_facts",
    "evaluate_bundle",
    "interval_from",
    "learned_from",
    "metrics_of",
    "predict_prepared",
    "sex_word",
    "sexes_in",
    "write_predictions",
]

INTERVAL_LEVEL = 0.9


def card_facts(
    name: str, preparation: PreparationSettings | None, size_px: int, train: PreparedData
) -> dict[str, Any]:
    """What every card says: the name, how images are prepared, and whom the model knows.

    Args:
        name: Name of the model.
        preparation: How the images were prepared.
        size_px: Side of the input in pixels.
        train: What was learned from.

    Returns:
        Fields of :class:`~boneage.inference.card.Card`.
    """
    return {
        "name": name,
        "preparation": None if preparation is None else preparation.to_dict(),
        "preparation_version": PREPARATION_VERSION,
        "size_px": size_px,
        "sexes": sexes_in(train),
    }


def learned_from(train: PreparedData) -> dict[str, Any]:
    """How many radiographs were learned from, and of which ages, for a card's ``trained_on``."""
    ages = train.bone_ages_months
    return {"count": len(train), "bone_age_months": [float(ages.min()), float(ages.max())]}


def sex_word(value: float) -> str:
    """``male`` for 1 and ``female`` for 0, as prepared data codes the sexes."""
    return "male" if value else "female"


def sexes_in(data: PreparedData) -> tuple[str, ...]:
    """The sexes that the data has, as a card names them."""
    return tuple(
        word for word, value in (("female", 0.0), ("male", 1.0)) if (data.sexes == value).any()
    )


def interval_from(
    errors_months: NDArray[Any], expected_months: NDArray[Any] | None, what: str
) -> Interval | None:
    """Conformal interval from errors on radiographs that were kept from training.

    Args:
        errors_months: Absolute errors in months, shape (N,).
        expected_months: The errors that the network expected, shape (N,), or None.
        what: What the radiographs are, for the card.

    Returns:
        None where there are too few for the level.
    """
    widths = conformal_widths(errors_months, expected_months)
    if not widths or widths[-1][0] < INTERVAL_LEVEL:
        return None
    scaled = expected_months is not None
    return Interval(
        level=INTERVAL_LEVEL,
        widths=tuple((level, round(width, 4)) for level, width in widths),
        scaled=scaled,
        method=f"split conformal, absolute errors of {len(errors_months)} {what}"
        + (", each divided by the error that the network expected" if scaled else ""),
    )


def predict_prepared(
    bundle: Bundle, data: PreparedData, *, batch_size: int = 32
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Bone ages of prepared radiographs by the exported network, and the errors it expects.

    Returns:
        Both in months, shape (N,); None for the errors if the network expects none.
    """
    network = Network(bundle)
    predicted, expected = np.empty((2, len(data)), np.float32)
    for start in range(0, len(data), batch_size):
        rows = slice(start, start + batch_size)
        images = data.images[rows].astype(np.float32)[:, np.newaxis] / np.float32(255)
        predicted[rows], errors, _ = network(images, data.sexes[rows])
        if errors is not None:
            expected[rows] = errors
    return np.maximum(predicted, 0), expected if network.expects_error else None


def metrics_of(data: PreparedData, predicted: NDArray[Any]) -> Metrics:
    """Figures of bone ages in months, shape (N,), that were predicted for prepared radiographs."""
    sexes = [sex_word(value) for value in data.sexes]
    return evaluate(data.bone_ages_months, predicted, sexes)


def write_predictions(
    path: Path,
    data: PreparedData,
    predicted: NDArray[Any],
    expected: NDArray[Any] | None = None,
    folds: NDArray[Any] | None = None,
) -> None:
    """Write ``predictions.csv``: ``id,sex,true_months,predicted_months``.

    Where the network expects errors, a column ``expected_error_months`` follows; out of fold, a
    column ``fold`` comes last.
    """
    header = ["id", "sex", "true_months", "predicted_months"]
    columns: list[Iterable[str]] = [
        data.ids,
        map(sex_word, data.sexes),
        (f"{age:g}" for age in data.bone_ages_months),
        (f"{age:.2f}" for age in predicted),
    ]
    if expected is not None:
        header.append("expected_error_months")
        columns.append(f"{error:.3f}" for error in expected)
    if folds is not None:
        header.append("fold")
        columns.append(str(fold) for fold in folds)
    write_csv(path, header, list(zip(*columns, strict=True)))


def evaluate_bundle(bundle: Bundle, data: Data) -> Metrics:
    """Figures of a model on data that it was not trained on.

    Args:
        bundle: The model.
        data: Radiographs with labels, to be prepared as the model wants it.

    Raises:
        SettingsError: The data is to be prepared otherwise.
        BoneAgeError: The data cannot be prepared.
    """
    preparation = bundle.card.preparation
    wanted = None if preparation is None else dict(preparation)
    given = None if data.preparation is None else data.preparation.to_dict()
    if given != wanted:
        settings = None if wanted is None else f"PreparationSettings.from_dict({wanted})"
        raise SettingsError(
            "The data is not prepared as this model was trained: give "
            f"Data(..., preparation={settings})."
        )
    prepared = data.prepare()
    predicted, _ = predict_prepared(bundle, prepared)
    return metrics_of(prepared, predicted)
