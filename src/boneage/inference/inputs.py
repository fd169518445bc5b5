"""From what is named on the command line to an ordered list of files."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from boneage.errors import MissingExtraError, UnreadableError
from boneage.radiographs.readers import IMAGE_SUFFIXES, file_id, looks_like_image
from boneage.radiographs.readers.dicomdir import is_dicomdir, read_dicomdir

__all__ = ["InputFile", "Inputs", "find_inputs"]

_GLOB_SIGNS = frozenset("*?[")


@dataclass(frozen=True)
class InputFile:
    """One input, whether or not there is a file.

    Attributes:
        path: As it was named, or as it was found in a folder that was named.
        id: Id for the label table: the name of the file without its suffix.
        problem: Why it cannot be read at all; empty if it is a file.
    """

    path: str
    id: str
    problem: str = ""


@dataclass(frozen=True)
class Inputs:
    """All inputs of a command.

    Attributes:
        files: In the order in which they were named; those of a folder or glob are sorted by
            path. None comes twice.
        notes: What was named and led to no input, a sentence each.
    """

    files: tuple[InputFile, ...]
    notes: tuple[str, ...]


def find_inputs(names: Sequence[str | os.PathLike[str]]) -> Inputs:
    """Find the files that the command line names.

    A folder stands for the images in it and in the folders below, known by their suffix, or as
    DICOM by their first bytes if they have none; hidden ones are left out. A file that is named is
    taken whatever its suffix. A DICOMDIR stands for the images that it lists; of its other
    files none is taken. A glob is tried only if nothing has that very name; ``**`` in it stands for
    any depth.

    Args:
        names: Files, folders and globs.

    Returns:
        The inputs. A name that does not exist is among them, with its problem.
    """
    files: dict[str, InputFile] = {}
    notes: list[str] = []
    for given in names:
        name = os.fspath(given)
        found = list(_expand(name))
        if not found:
            notes.append(_nothing(name))
        for file in found:
            # By its place, not its identity: two links to one file are two names to answer for.
            files.setdefault(os.path.abspath(file.path), file)
    return Inputs(tuple(files.values()), tuple(notes))


def _expand(name: str) -> Iterable[InputFile]:
    """The inputs that one name stands for."""
    if os.path.lexists(name):
        return _files_at(name)
    if _GLOB_SIGNS & set(name):
        matches = sorted(glob.glob(name, recursive=True))
        return [file for match in matches for file in _files_at(match)]
    return [_input(name, f"{name}: there is no such file.")]


def _files_at(path: str) -> Iterator[InputFile]:
    if os.path.isdir(path):
        yield from _files_in(path)
    elif is_dicomdir(path):
        yield from _listed_in(path)[0]
    elif os.path.isfile(path):
        yield _input(path)
    elif os.path.exists(path):
        yield _input(path, f"{path}: not a file.")
    else:
        yield _input(path, f"{path}: a link to a file that is gone.")


def _files_in(folder: str) -> Iterator[InputFile]:
    """Images in a folder and below, sorted by path; a folder that cannot be listed is one input."""
    failed: list[OSError] = []
    found: list[InputFile] = []
    others: set[str] = set()
    for root, folders, names in os.walk(folder, onerror=failed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [os.path.join(root, name) for name in names if not name.startswith(".")]
        for path in filter(is_dicomdir, paths):
            listed, unlisted = _listed_in(path)
            found += listed
            others |= {path, *unlisted}
        for path in paths:
            if path not in others and looks_like_image(path):
                found += _files_at(path)
    for error in failed:
        place = error.filename or folder
        yield _input(place, f"{place}: the folder cannot be listed: {error.strerror}.")
    yield from sorted(found, key=lambda file: file.path)


def _listed_in(dicomdir: str) -> tuple[list[InputFile], list[str]]:
    """The images that a DICOMDIR lists, and the paths of all else that it lists."""
    try:
        listing = read_dicomdir(dicomdir)
    except (UnreadableError, MissingExtraError) as error:
        return [_input(dicomdir, f"{dicomdir}: {error}")], []
    images = [
        _input(path)
        if os.path.isfile(path)
        else _input(path, f"{path}: {dicomdir} lists it, but it is not there.")
        for path in listing.images
    ]
    return images, list(listing.others)


def _input(path: str, problem: str = "") -> InputFile:
    return InputFile(path, file_id(path), problem)


def _nothing(name: str) -> str:
    if os.path.isdir(name):
        return f"{name} holds no radiographs ({', '.join(sorted(IMAGE_SUFFIXES))}, DICOM)."
    return f"{name} matches nothing."
