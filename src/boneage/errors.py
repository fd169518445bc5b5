"""Every error that boneage raises on purpose.

::

    BoneAgeError
    ├── InputError              the command line or a data folder is wrong
    │   ├── NoInputError        nothing to work on
    │   ├── LabelsError         a label table cannot be used, or contradicts itself
    │   ├── SettingsError       an option is out of its range; names the flag
    │   ├── RunExistsError      a run is there already: --resume or --overwrite
    │   └── MissingExtraError   an optional part is not installed; gives the pip command
    ├── RadiographError         one file only; the others go on
    │   ├── UnreadableError     not an image, damaged, or too large (row: ``failed``)
    │   └── UnsuitableError     an image, but none to put a number on (row: ``refused``)
    ├── OutsideTableError       a growth reference does not reach this child
    ├── BundleError             a model bundle is missing, damaged or of another version
    ├── OutputError             a result cannot be written (disk full, read-only)
    ├── WorkerError             worker processes cannot be started, or were lost again and again
    └── TrainingError           a training cannot go on (loss not finite, no checkpoint)

A message says what is wrong with which input and what to do about it. ``exit_code`` is what the
command line returns when the error reaches it: 1 where some inputs failed and the results of the
others were written, 2 where there are no results, or not all of the rows, because the command line
is wrong, there is no usable input or model, nothing can be written there, or workers were lost.
"""

import importlib.util
from typing import ClassVar

__all__ = [
    "BoneAgeError",
    "BundleError",
    "InputError",
    "LabelsError",
    "MissingExtraError",
    "NoInputError",
    "OutputError",
    "OutsideTableError",
    "RadiographError",
    "RunExistsError",
    "SettingsError",
    "TrainingError",
    "UnreadableError",
    "UnsuitableError",
    "WorkerError",
    "require_extra",
]


class BoneAgeError(Exception):
    """Base of every error that boneage raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(BoneAgeError):
    """The command line or a data folder is wrong."""

    exit_code = 2


class NoInputError(InputError):
    """There is nothing to work on: an empty folder, a glob that matches nothing."""


class LabelsError(InputError):
    """A label table lacks its columns, matches no image, or contradicts itself."""


class SettingsError(InputError):
    """An option is out of its range; the message names the flag and the range."""


class RunExistsError(InputError):
    """The run folder is in use: say ``--resume`` to go on or ``--overwrite`` to start anew."""


class MissingExtraError(InputError):
    """An optional part of boneage is not installed; the message gives the pip command."""


class RadiographError(BoneAgeError):
    """One radiograph cannot be used; it costs its own row only."""


class UnreadableError(RadiographError):
    """The file is no image, is damaged, or exceeds the size limits (row status ``failed``)."""


class UnsuitableError(RadiographError):
    """A readable image that no bone age should be put on (row status ``refused``)."""


class OutsideTableError(BoneAgeError):
    """A growth reference has no value for this age or bone age; the message gives its range."""


class BundleError(BoneAgeError):
    """A model bundle is missing, damaged, or of a version this release cannot read."""

    exit_code = 2


class OutputError(BoneAgeError):
    """A result cannot be written: the disk is full, or the place is read-only."""

    exit_code = 2


class WorkerError(BoneAgeError):
    """Worker processes cannot be started or were lost again and again; finished parts stay."""

    exit_code = 2


class TrainingError(BoneAgeError):
    """A training cannot go on: the loss is not finite, or there is no checkpoint to resume."""


def require_extra(extra: str, *modules: str) -> None:
    """Raise unless every one of ``modules`` can be imported.

    Args:
        extra: Name of the extra in ``pip install 'boneage[extra]'``.
        modules: Top-level modules that the extra brings. They are looked for, not imported.

    Raises:
        MissingExtraError: Names the first module that is missing and the pip command.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(
                f"This needs {module}, which is not installed: pip install 'boneage[{extra}]'"
            )
