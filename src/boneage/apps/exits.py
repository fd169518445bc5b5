"""How the command ends: errors become one line on standard error and an exit code."""

import os
import sys
from typing import Any, NoReturn

from typer.core import TyperGroup

from boneage.errors import BoneAgeError

__all__ = ["DEBUG_VARIABLE", "EXIT_SOME_NOT_OK", "Verbs"]

DEBUG_VARIABLE = "BONEAGE_DEBUG"
"""Environment variable; set to 1 it shows where in boneage an error comes from."""

EXIT_SOME_NOT_OK = 1
"""Exit code of a verb that wrote its rows, some of which are refused or failed."""

_EXIT_FAULT = 1
_EXIT_INTERRUPTED = 130  # as shells do it: 128 + SIGINT
_EXIT_READER_GONE = 141  # 128 + SIGPIPE


class Verbs(TyperGroup):
    """The verbs; an error in one of them ends the command with one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that the command line names."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(_EXIT_INTERRUPTED)
        except BrokenPipeError:
            _abandon_output()
            sys.exit(_EXIT_READER_GONE)
        except BoneAgeError as error:
            _fail(error, str(error), error.exit_code)
        except Exception as error:
            if type(error).__module__.startswith(("typer", "click")):
                raise  # a wrong command line or typer.Exit
            _fail(
                error,
                f"unexpected {type(error).__name__}: {error}. This is a fault of boneage: please "
                f"report it with what {DEBUG_VARIABLE}=1 shows.",
                _EXIT_FAULT,
            )
        else:
            return result


def _fail(error: Exception, message: str, code: int) -> NoReturn:
    """End the command with a line on standard error, or with all of the error when debugging."""
    if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
        raise error
    _abandon_output()
    print("error: " + " ".join(message.split("\n")), file=sys.stderr)
    sys.exit(code)


def _abandon_output() -> None:
    """Write what is left for standard output, or drop it so that Python does not try again."""
    from boneage.apps.screen import abandon_standard_output

    try:
        sys.stdout.flush()
    except OSError:
        abandon_standard_output()
