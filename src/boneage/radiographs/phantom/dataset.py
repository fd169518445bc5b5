"""A folder of phantoms in the layout of the RSNA bone-age data set."""

import os
from pathlib import Path

import numpy as np

from boneage.errors import OutputError, SettingsError
from boneage.files import make_folder, write_text
from boneage.radiographs.phantom.anatomy import OLDEST_MONTHS
from boneage.radiographs.phantom.rendering import MAX_HEIGHT_PX, MIN_HEIGHT_PX
from boneage.radiographs.phantom.workers import (
    Share,
    draw_child,
    draw_in_processes,
    image_path,
)
from boneage.radiographs.radiograph import Sex

__all__ = ["FIRST_ID", "MAX_COUNT", "write_phantom_dataset"]

#: The first radiograph's id; ids go up by one, all with as many digits.
FIRST_ID = 100_001
MAX_COUNT = 800_000


def write_phantom_dataset(
    folder: str | os.PathLike[str],
    count: int,
    *,
    seed: int = 0,
    height_px: int = 256,
    age_range_months: tuple[float, float] = (3, OLDEST_MONTHS),
    workers: int | None = None,
) -> Path:
    """Write ``images/<id>.png`` and ``labels.csv`` with the columns ``id,boneage,male``.

    Bone ages are whole months, spread evenly over the range; half of the children are girls.
    Each radiograph has a seed of its own, made of ``seed`` and its number: the first hundred of
    a thousand are the same as a hundred. The labels are written last, so a folder that has them
    is complete; running it again with the same arguments writes the same files over the old ones.

    Args:
        folder: Where to; it is made if it does not exist.
        count: How many radiographs, 1 to 800,000.
        seed: Which radiographs, 0 or more.
        height_px: Their height, 64 to 4096 pixels.
        age_range_months: Youngest and oldest bone age, within 0 to 228 months.
        workers: How many processes draw at a time; None for one a core.

    Returns:
        The folder.

    Raises:
        SettingsError: An argument is out of its range; the message names it.
        OutputError: The folder cannot be written to, or other images are in it.
    """
    months = _check(count, seed, height_px, age_range_months, workers)
    target = Path(folder)
    images = make_folder(target / "images")
    _refuse_others(images, count)
    share = Share(os.fspath(images), FIRST_ID, seed, height_px, months, 0, count, 1)
    draw_in_processes(share, workers)
    rows = ["id,boneage,male"]
    for number in range(count):
        age, sex, _ = draw_child(seed, number, months)
        rows.append(f"{FIRST_ID + number},{age},{sex is Sex.MALE}")
    write_text(target / "labels.csv", "\n".join(rows) + "\n")
    return target


def _check(
    count: int,
    seed: int,
    height_px: int,
    age_range_months: tuple[float, float],
    workers: int | None,
) -> tuple[int, int]:
    """Check the arguments; give the youngest and the oldest whole month."""
    if not 1 <= count <= MAX_COUNT:
        raise SettingsError(f"count must be within 1 to {MAX_COUNT}, not {count}.")
    if seed < 0:
        raise SettingsError(f"seed must be 0 or more, not {seed}.")
    if not MIN_HEIGHT_PX <= height_px <= MAX_HEIGHT_PX:
        raise SettingsError(
            f"height_px must be within {MIN_HEIGHT_PX} to {MAX_HEIGHT_PX}, not {height_px}."
        )
    if workers is not None and workers < 1:
        raise SettingsError(f"workers must be 1 or more, not {workers}.")
    youngest, oldest = age_range_months
    if not 0 <= youngest <= oldest <= OLDEST_MONTHS:
        raise SettingsError(
            f"age_range_months must rise within 0 to {OLDEST_MONTHS}, not {youngest} to {oldest}."
        )
    low, high = int(np.ceil(youngest)), int(np.floor(oldest))
    if low > high:
        raise SettingsError(
            f"age_range_months {youngest} to {oldest} holds no whole month: widen it."
        )
    return low, high


def _refuse_others(images: Path, count: int) -> None:
    """Raise if the folder holds images that would stay there without a label."""
    ours = {image_path(images, FIRST_ID + number).name for number in range(count)}
    names = sorted(path.name for path in images.iterdir() if not path.name.startswith("."))
    others = [name for name in names if name not in ours]
    if others:
        raise OutputError(
            f"{images} holds other files already, {others[0]} for one: choose another folder."
        )
