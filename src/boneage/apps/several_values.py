"""Options that take several values after one flag: ``--conv-layers 3 4 5``."""

from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["SeveralValues", "spread_values"]


class SeveralValues(TyperCommand):
    """A verb whose repeatable options of numbers may have their values in a row.

    ``--conv-layers 3 4 5`` is read as ``--conv-layers=3 --conv-layers=4 --conv-layers=5``. Only
    numbers belong to the flag before them, so an argument may follow; a folder whose name is a
    number is written ``./3``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spread the rows of values, then parse as usual.

        Raises:
            typer.BadParameter: A flag has no value.
        """
        flags = {
            flag
            for parameter in self.get_params(ctx)
            if getattr(parameter, "multiple", False)
            for flag in parameter.opts
        }
        return super().parse_args(ctx, spread_values(args, flags))


def spread_values(args: list[str], flags: set[str]) -> list[str]:
    """Give each value the flag that it follows.

    Args:
        args: The words of a command line.
        flags: Flags that take several numbers.

    Raises:
        typer.BadParameter: A flag has no value.
    """
    spread: list[str] = []
    flag, bare = "", False
    for word in args:
        if flag and (_is_number(word) or (bare and not word.startswith("-"))):
            spread.append(f"{flag}={word}")
            bare = False
            continue
        _require_value(flag, bare)
        name, equals, _ = word.partition("=")
        flag = name if name in flags else ""
        bare = bool(flag) and not equals
        if not bare:
            spread.append(word)
    _require_value(flag, bare)
    return spread


def _require_value(flag: str, bare: bool) -> None:
    if bare:
        raise typer.BadParameter(f"{flag} needs at least one value.")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
