"""Hearing what a C library says on standard error, and keeping it from the user's screen."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator

__all__ = ["hear_stderr"]

# Standard error belongs to the whole process, so only one thread may divert it at a time.
_LOCK = threading.Lock()
_STDERR = 2


@contextlib.contextmanager
def hear_stderr(prefixes: tuple[bytes, ...]) -> Iterator[list[str]]:
    """Divert file descriptor 2 during the block and pick out a library's messages.

    libjpeg reports damage that it can live with (the rest of the picture stays grey) only here.
    What other threads write meanwhile is passed on afterwards. A process that another thread forks
    meanwhile would keep the diversion, so start worker processes first or by spawning.

    Args:
        prefixes: How the library's messages begin.

    Yields:
        A list that holds, once the block is left, the lines that begin with one of ``prefixes``.
    """
    heard: list[str] = []
    with _LOCK, _anonymous_file() as file:
        try:
            saved = os.dup(_STDERR)
        except OSError:  # the process has no standard error
            saved = None
        os.dup2(file, _STDERR)
        try:
            yield heard
        finally:
            if saved is None:
                os.close(_STDERR)
            else:
                os.dup2(saved, _STDERR)
                os.close(saved)
            os.lseek(file, 0, os.SEEK_SET)
            others = []
            while block := os.read(file, 1 << 16):
                others.append(block)
            lines = b"".join(others).splitlines(keepends=True)
            heard += [
                line.decode("utf-8", "replace").strip()
                for line in lines
                if line.startswith(prefixes)
            ]
            rest = b"".join(line for line in lines if not line.startswith(prefixes))
            if rest and saved is not None:
                with contextlib.suppress(OSError):  # as lost as if it had been written directly
                    os.write(_STDERR, rest)


@contextlib.contextmanager
def _anonymous_file() -> Iterator[int]:
    """A file to whose end everything is written: two threads that write at once share no place.

    Without that, a line of another thread can replace the beginning of a library's message, which
    then is not known for one.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("boneage-stderr")
        try:
            _write_at_the_end(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryFile("a+b") as file:
            yield file.fileno()


def _write_at_the_end(descriptor: int) -> None:
    import fcntl  # where there is no memfd, there may be no fcntl either

    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
