"""Where in a data folder the images and the labels are: found by looking, never guessed.

Two layouts are understood. The plain one has one folder of images (or the images themselves) and
one label table. The four-part one has ``Training/``, ``Test/``, ``training.csv`` and ``test.csv``,
in any case. Where two things could be meant, the error names both and the flag that decides.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from boneage.dataset.labels import is_label_table
from boneage.dataset.tables import clean_id
from boneage.errors import InputError, LabelsError, NoInputError
from boneage.radiographs.readers import IMAGE_SUFFIXES, file_id, looks_like_image

__all__ = ["Places", "find_places", "list_images"]

_TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
#: How deep images are looked for; archives often unpack to a folder within a folder.
_MAX_DEPTH = 2


@dataclass(frozen=True)
class Places:
    """Where one set of labelled radiographs is.

    Attributes:
        images: Folder that holds the image files.
        labels: The label table.
        test: The test part of the four-part layout, or None.
    """

    images: Path
    labels: Path
    test: "Places | None" = None


def find_places(
    folder: str | os.PathLike[str],
    images: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
) -> Places:
    """Find the images folder and the label table of a data folder.

    Args:
        folder: The data folder.
        images: The images folder, if it is not to be looked for.
        labels: The label table, if it is not to be looked for.

    Raises:
        NoInputError: The folder does not exist, or holds no images.
        InputError: It is no folder, or several folders with images could be meant.
        LabelsError: No file could be the label table, or several could.
    """
    root = _existing_folder(folder, "data folder", None)
    if images is None and labels is None and (places := _four_parts(root)):
        return places
    image_folder = (
        _find_image_folder(root)
        if images is None
        else _existing_folder(images, "images folder", root)
    )
    table = _find_labels([root, image_folder]) if labels is None else _named_table(labels, root)
    return Places(image_folder, table)


def list_images(folder: Path) -> dict[str, list[Path]]:
    """Image files directly in a folder by id, which is the file name without its suffix."""
    found: dict[str, list[Path]] = {}
    for name in _listing(folder)[1]:
        if looks_like_image(folder / name):
            found.setdefault(clean_id(file_id(name)), []).append(folder / name)
    return found


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in a folder, without hidden ones.

    ``._7.png`` and ``__MACOSX`` are what macOS leaves in archives; they are no radiographs.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__MACOSX")):
                    continue
                (folders if entry.is_dir() else files).append(entry.name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"Cannot look into {folder}: {reason}. Check the path.") from error
    return sorted(folders), sorted(files)


def _existing_folder(path: str | os.PathLike[str], what: str, root: Path | None) -> Path:
    """An absolute path to a folder that exists.

    It is absolute so that a later change of the working folder does not lose the images.
    """
    folder = Path(os.path.abspath(path))
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"{path} is a file; as {what} name the folder that holds the images.")
    raise NoInputError(f"There is no {what} {path}.{_hint(path, root)}")


def _hint(path: str | os.PathLike[str], root: Path | None) -> str:
    """A pointer to the place of the same name inside the data folder, if there is one."""
    if root is not None and (inside := root / path).exists():
        return f" Did you mean {inside}?"
    return " Check the path."


def _named_table(path: str | os.PathLike[str], root: Path) -> Path:
    """The label table that the caller named."""
    table = Path(os.path.abspath(path))
    if not table.is_file():
        raise LabelsError(f"There is no label table {path}.{_hint(path, root)}")
    return table


def _four_parts(root: Path) -> Places | None:
    """The four-part layout, if it is there."""
    folders, files = _listing(root)
    by_name = {name.lower(): root / name for name in [*folders, *files]}
    parts = [by_name.get(name) for name in ("training", "training.csv", "test", "test.csv")]
    if any(part is None for part in parts):
        return None
    training, training_csv, test, test_csv = (part for part in parts if part is not None)
    if not (training.is_dir() and test.is_dir() and training_csv.is_file() and test_csv.is_file()):
        return None
    return Places(
        _find_image_folder(training), training_csv, Places(_find_image_folder(test), test_csv)
    )


def _find_image_folder(root: Path) -> Path:
    """The one folder under ``root`` that holds images; nearer ones hide deeper ones."""
    level = [root]
    found: list[Path] = []
    for depth in range(_MAX_DEPTH + 1):
        listings = [(folder, *_listing(folder)) for folder in level]
        found += [
            folder
            for folder, _, files in listings
            if any(looks_like_image(folder / name) for name in files)
        ]
        # The folder and its folders are looked at together: images in both are ambiguous.
        if found and depth > 0:
            break
        level = [folder / name for folder, names, _ in listings for name in names]
    if not found:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise NoInputError(
            f"There are no images in {root} or its folders ({kinds} and DICOM are looked for). "
            "Name the folder with --images."
        )
    if len(found) > 1:
        raise InputError(
            f"Several folders hold images: {_names(root, found)}. Say which with --images"
            f"{_four_part_advice(root, found)}."
        )
    return found[0]


def _four_part_advice(root: Path, found: Iterable[Path]) -> str:
    """What a four-part layout lacks, where the folders look like one."""
    if not {"training", "test"} <= {folder.name.lower() for folder in found}:
        return ""
    there = {name.lower() for name in _listing(root)[1]}
    missing = [name for name in ("training.csv", "test.csv") if name not in there]
    return f"; for the layout Training, Test, add {' and '.join(missing)}" if missing else ""


def _find_labels(folders: Sequence[Path]) -> Path:
    """The one label table in the first of ``folders`` that has any."""
    looked_at: list[Path] = []
    for folder in dict.fromkeys(folders):
        tables = [
            folder / name
            for name in _listing(folder)[1]
            if Path(name).suffix.lower() in _TABLE_SUFFIXES
        ]
        fitting = [table for table in tables if is_label_table(table)]
        if len(fitting) > 1:
            raise LabelsError(
                f"Several files could be the label table: {_names(folder, fitting)}. "
                "Say which with --labels."
            )
        if fitting:
            return fitting[0]
        looked_at += tables
    needed = "An id, a bone age and a sex are needed, as in 'id,boneage,male'"
    if looked_at:
        raise LabelsError(
            f"None of the tables in {folders[0]} has the columns of a label table: "
            f"{_names(folders[0], looked_at)}. {needed}; name the table with --labels."
        )
    raise LabelsError(
        f"There is no label table (.csv, .tsv) in {folders[0]}. {needed}; name it with --labels."
    )


def _names(root: Path, paths: Iterable[Path]) -> str:
    """Paths for a message, relative to the folder that the user named."""
    return ", ".join(
        f"{path.relative_to(root)}" if path != root and path.is_relative_to(root) else f"{path}"
        for path in paths
    )
