"""Images and labels, matched by id."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from boneage.dataset.labels import LabelTable
from boneage.dataset.records import Discard, Reason, Record, describe_discards
from boneage.errors import LabelsError

__all__ = ["pair"]

_EXAMPLES = 3


def pair(
    images: Mapping[str, list[Path]], table: LabelTable, folder: Path
) -> tuple[tuple[Record, ...], tuple[Discard, ...]]:
    """Match images and labels.

    Args:
        images: Image files by id.
        table: The labels.
        folder: Where the images are, for messages.

    Returns:
        Records sorted by id, and everything that was left out, sorted by reason and id.

    Raises:
        LabelsError: No id is on both sides, or nothing is left to work with.
    """
    labelled = {row.id for row in table.rows} | {item.id for item in table.discarded if item.id}
    if not labelled & images.keys():
        raise LabelsError(
            f"No image in {folder} has a label in {table.path}. Images are called "
            f"{_examples(images)}; labels are for {_examples(labelled)}. An image's name without "
            "its suffix must be the label's id."
        )
    records: list[Record] = []
    discarded = [_with_image(item, images, table) for item in table.discarded]
    for row in table.rows:
        files = images.get(row.id, [])
        if not files:
            detail = f"line {row.line}"
            discarded.append(Discard(row.id, "", Reason.LABEL_WITHOUT_IMAGE, detail))
        elif len(files) == 1 and row.bone_age_months is not None:
            records.append(Record(row.id, files[0], row.sex, row.bone_age_months))
    for image_id, files in images.items():
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            discarded += [
                Discard(image_id, str(path), Reason.SEVERAL_IMAGES, names) for path in files
            ]
        elif image_id not in labelled:
            discarded.append(Discard(image_id, str(files[0]), Reason.IMAGE_WITHOUT_LABEL))
    if not records:
        raise LabelsError(
            f"No radiograph in {folder} is left to work with: {describe_discards(discarded)}. "
            f"Check {table.path}."
        )
    order = list(Reason)
    discarded.sort(key=lambda item: (order.index(item.reason), item.id, item.path, item.detail))
    return tuple(sorted(records, key=lambda record: record.id)), tuple(discarded)


def _with_image(item: Discard, images: Mapping[str, list[Path]], table: LabelTable) -> Discard:
    """Name the image that goes with a discarded label, unless another label covers it."""
    files = images.get(item.id, [])
    if len(files) != 1 or table.get(item.id) is not None:
        return item
    return replace(item, path=str(files[0]))


def _examples(ids: Iterable[str]) -> str:
    """A few ids for a message."""
    return ", ".join(repr(item) for item in islice(sorted(ids), _EXAMPLES))
