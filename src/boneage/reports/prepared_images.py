"""Prepared images as PNG files, for looking at what a network is given."""

import os
from pathlib import Path

import cv2

from boneage.dataset.prepared import PreparedData
from boneage.errors import RunExistsError
from boneage.files import atomic_path, make_folder

__all__ = ["claim_image_folder", "write_prepared_images"]


def claim_image_folder(folder: str | os.PathLike[str]) -> Path:
    """Make a folder that is new or empty: images that are in another may be the originals.

    Raises:
        RunExistsError: The folder is not empty.
        OutputError: It cannot be made or written to.
    """
    out = make_folder(folder)
    if any(out.iterdir()):
        raise RunExistsError(
            f"{out} is not empty, and nothing in it is replaced. Choose another folder."
        )
    return out


def write_prepared_images(prepared: PreparedData, folder: str | os.PathLike[str]) -> Path:
    """Write ``ID.png`` for every prepared image, and ``discarded.csv``.

    Args:
        prepared: The prepared images.
        folder: A folder of :func:`claim_image_folder`, or one to make in it.

    Returns:
        The folder.

    Raises:
        OutputError: The system refused to write.
    """
    out = make_folder(folder)
    for row, name in enumerate(prepared.ids):
        png = cv2.imencode(".png", prepared.images[row])[1]
        with atomic_path(out / f"{name}.png") as temporary:
            temporary.write_bytes(png.tobytes())
    prepared.write_discarded(out / "discarded.csv")
    return out
