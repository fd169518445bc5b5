"""A worker that is ended takes along what it has started."""

import subprocess
import sys

from boneage.apps.groups import end_group

PROGRAM = (
    "import subprocess, sys\n"
    "hangs = 'import time; print(1, flush=True); time.sleep(600)'\n"
    "subprocess.Popen([sys.executable, '-c', hangs])\n"
    "sys.stdin.read()\n"
)


def test_what_it_has_started_ends_with_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"  # of the one that it has started
        end_group(process.pid)
        assert process.stdout.read() == b""  # which had the other end of the pipe, too
        assert process.wait() != 0
    end_group(process.pid)  # which is gone
