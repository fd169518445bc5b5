"""Writing files so that no reader ever sees half of one.

Everything that boneage leaves on disk goes through here: it is written to a temporary name in the
same folder and moved into place, and whatever the system refuses becomes an
:class:`~boneage.errors.OutputError` that says what to do.
"""

import contextlib
import csv
import errno
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from boneage.errors import OutputError

__all__ = ["atomic_path", "make_folder", "output_errors", "write_csv", "write_json", "write_text"]

_ADVICE = {
    errno.ENOSPC: "the disk is full. Free some space or choose another place",
    errno.EDQUOT: "your disk quota is used up. Free some space or choose another place",
    errno.EROFS: "the file system is read-only. Choose another place",
    errno.EACCES: "permission denied. Choose a place that you may write to",
    errno.EPERM: "permission denied. Choose a place that you may write to",
    errno.EISDIR: "a folder of that name is in the way. Choose another name",
    errno.ENOTDIR: "a part of the path is a file, not a folder. Choose another place",
    errno.EEXIST: "a file of that name is in the way. Choose another place",
}


@contextlib.contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an ``OSError`` raised inside into an ``OutputError`` that names ``path``.

    Args:
        path: What was being written, for the message.

    Raises:
        OutputError: The system refused to write; the message says why and what to do.
    """
    try:
        yield
    except OSError as error:
        code = error.errno if error.errno is not None else 0
        advice = _ADVICE.get(code, error.strerror or str(error))
        raise OutputError(f"Cannot write {os.fspath(path)}: {advice}.") from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it into place if the block succeeds.

    Args:
        path: Where the finished file is to be. Its folder is made if it does not exist.

    Yields:
        The temporary path to write to. It is removed if the block raises.

    Raises:
        OutputError: The system refused to write.
    """
    target = Path(path)
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name[:60]}.", suffix=target.suffix, dir=target.parent
        )
        temporary = Path(name)
        try:
            os.close(handle)
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp makes it owner-only
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, all of it or nothing.

    Raises:
        OutputError: The system refused to write.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_csv(
    path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write a table as CSV with a header, all of it or nothing.

    Raises:
        OutputError: The system refused to write.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    # File names that are no valid text (they come as lone surrogates) must not stop a result.
    write_text(path, text.getvalue().encode("utf-8", errors="replace").decode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, all of it or nothing; NaN and infinity are refused.

    Raises:
        OutputError: The system refused to write.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, its parents too, and prove that it can be written to.

    Returns:
        The folder.

    Raises:
        OutputError: It cannot be made, or nothing can be written into it.
    """
    folder = Path(path)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    return folder
