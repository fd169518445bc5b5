"""The error hierarchy: as drawn in its docstring, with the exit status that it promises."""

import re
import sys

import pytest

from boneage import errors
from boneage.errors import (
    BoneAgeError,
    BundleError,
    InputError,
    MissingExtraError,
    OutputError,
    WorkerError,
    require_extra,
)

CLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


def drawn_parents() -> dict[str, str | None]:
    """Class to parent, as the tree in the docstring draws them."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+Error)\b", line)
        if match is None:
            continue
        depth, name = len(match[1]) // 4, match[2]
        above = [(d, n) for d, n in above if d < depth]
        parents[name] = above[-1][1] if above else None
        above.append((depth, name))
    return parents


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    real = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}
    real["BoneAgeError"] = None
    assert drawn_parents() == real


@pytest.mark.parametrize("cls", CLASSES)
def test_what_leaves_no_results_exits_with_2_and_everything_else_with_1(
    cls: type[BoneAgeError],
) -> None:
    assert issubclass(cls, BoneAgeError)
    without_results = InputError | BundleError | OutputError | WorkerError
    assert cls.exit_code == (2 if issubclass(cls, without_results) else 1)
    assert cls.__doc__


def test_a_missing_extra_gives_the_pip_command() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require_extra("dicom", "json", "no_such_module_here")
    message = str(caught.value)
    assert "no_such_module_here" in message
    assert "pip install 'boneage[dicom]'" in message
    assert "\n" not in message


def test_an_extra_that_is_there_is_looked_for_but_not_imported() -> None:
    sys.modules.pop("this", None)
    require_extra("train", "json", "this")
    assert "this" not in sys.modules
