"""A lock between processes that ends with the process that holds it."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boneage.files import output_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked"]

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


@contextmanager
def locked(path: Path, tell: bool) -> Iterator[bool]:
    """Hold a lock file; wait while another process holds it.

    Args:
        path: The lock file. It is made, and removed at the end.
        tell: Whether to say on a terminal that it waits.

    Yields:
        True if the lock is held; False where the system or the drive has no locks.

    Raises:
        OutputError: The lock file cannot be made.
    """
    handle = _acquire(path, tell)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def _acquire(path: Path, tell: bool) -> int | None:
    """Open and lock; None where there are no locks."""
    if fcntl is None:
        return None
    while True:
        with output_errors(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if tell and sys.stderr.isatty():
                    print("Another process is preparing these images; waiting.", file=sys.stderr)
                fcntl.flock(handle, fcntl.LOCK_EX)
            # The holder before us removed the file at its end: then ours has no name any more,
            # and the next process would lock another one.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    return handle
            os.close(handle)
        except BaseException as error:
            os.close(handle)
            if isinstance(error, OSError) and error.errno in _UNSUPPORTED:
                return None
            raise
