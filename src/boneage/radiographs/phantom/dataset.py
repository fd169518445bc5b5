"""A folder of phantoms in the layout of the RSNA bone-age data set."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from boneage.errors import OutputError, SettingsError
from boneage.files import atomic_path, make_folder, write_text
from boneage.radiographs.phantom.anatomy import OLDEST_MONTHS
from boneage.radiographs.phantom.rendering import MAX_HEIGHT_PX, MIN_HEIGHT_PX, draw_phantom
from boneage.radiographs.radiograph import Sex

__all__ = ["FIRST_ID", "MAX_COUNT", "write_phantom_dataset"]

#: The first radiograph's id; ids go up by one, all with as many digits.
FIRST_ID = 100_001
MAX_COUNT = 800_000

_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


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
        workers: How many to draw at a time; None for one a core.

    Returns:
        The folder.

    Raises:
        SettingsError: An argument is out of its range; the message names it.
        OutputError: The folder cannot be written to, or other images are in it.
    """
    low, high = _check(count, seed, height_px, age_range_months, workers)
    target = Path(folder)
    images = make_folder(target / "images")
    numbers = range(count)
    _refuse_others(images, numbers)

    def write(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        months = int(rng.integers(low, high + 1))
        sex = Sex.FEMALE if rng.random() < 0.5 else Sex.MALE
        radiograph = draw_phantom(months, sex, rng=rng, height_px=height_px)
        with atomic_path(_image(images, number)) as temporary:
            temporary.write_bytes(cv2.imencode(".png", radiograph.pixels, _FAST_PNG)[1].tobytes())
        return f"{FIRST_ID + number},{months},{sex is Sex.MALE}\n"

    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        rows = list(pool.map(write, numbers))
    write_text(target / "labels.csv", "id,boneage,male\n" + "".join(rows))
    return target


def _image(images: Path, number: int) -> Path:
    return images / f"{FIRST_ID + number}.png"


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


def _refuse_others(images: Path, numbers: Sequence[int]) -> None:
    """Raise if the folder holds images that would stay there without a label."""
    ours = {_image(images, number).name for number in numbers}
    others = sorted(
        p.name for p in images.iterdir() if not p.name.startswith(".") and p.name not in ours
    )
    if others:
        raise OutputError(
            f"{images} holds other files already, {others[0]} for one: choose another folder."
        )
