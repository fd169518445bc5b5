"""A helper process: ``python -m boneage.training.helper FOLDER RANK COUNT``.

Started by :mod:`boneage.training.helpers`, which says why. It trains on its device in step with the
others and writes nothing into the run.
"""

import os
import sys
import threading
from pathlib import Path

from boneage.errors import BoneAgeError
from boneage.files import write_text
from boneage.training.fit import fit
from boneage.training.hardware import choose_hardware
from boneage.training.helpers import Job, error_file, place_in, ready_file
from boneage.training.processes import connected


def main() -> None:
    """Do the job in the folder that the command line names."""
    folder, rank, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    try:
        job = Job.read(folder)
        accelerator = choose_hardware(job.settings).accelerator
        ready_file(folder, rank).touch()
        with connected(place_in(folder, rank, count), accelerator) as place:
            fit(job.settings, job.train, job.validation, job.run, resume=job.resume, place=place)
    except BoneAgeError as error:
        if not isinstance(error.__cause__, RuntimeError):  # that it lost the first is no news
            write_text(error_file(folder, rank), str(error))
        sys.exit(error.exit_code)


def _end_with_the_first() -> None:
    """The first process holds the other end of the standard input as long as it lives."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
