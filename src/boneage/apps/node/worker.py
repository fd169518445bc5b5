"""The process that judges: one line of JSON in, one line of JSON out, until its node is gone.

Run as ``python -m boneage.apps.node.worker [BUNDLE]``. A decoder that crashes takes this process
down and nothing else. The first line out says that the model is loaded, or why not.

>>> {"path": "sources/K.dcm", "out": "work/K"}
<<< {"status": "ok", "own": ["1.2.3"], "refused": ""}
"""

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from boneage.apps.groups import end_group
from boneage.errors import BoneAgeError, OutputError, UnreadableError

__all__ = ["main"]


def main() -> None:
    """Serve the node that started this process."""
    # Service managers send these to every process of a service; the node says when it ends.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _own_standard_output()
    # From here on, so that it ends with its node even while a decoder hangs.
    requests = _requests()
    try:
        from boneage.apps.node.judging import Judge

        judge = Judge(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except BoneAgeError as error:
        _answer(answers, {"status": "broken", "reason": str(error)})
        return
    _answer(answers, {"status": "ready"})
    while True:
        request = requests.get()
        _answer(answers, _judged(judge, Path(request["path"]), Path(request["out"])))


def _judged(judge: Any, path: Path, out: Path) -> dict[str, Any]:
    """What became of one instance. No reason names a patient."""
    from pydicom.filereader import read_file_meta_info

    try:
        judged = judge.handle(path, out)
        own = [str(read_file_meta_info(file).MediaStorageSOPInstanceUID) for file in judged.files]
    except UnreadableError as error:
        return {"status": "failed", "reason": str(error)}
    except (OutputError, OSError) as error:
        return {"status": "disk", "reason": type(error).__name__}
    except BoneAgeError as error:
        return {"status": "failed", "reason": str(error)}
    except Exception as error:
        # Its message may quote the data set.
        return {"status": "failed", "reason": f"unexpected {type(error).__name__}"}
    if not own:
        return {"status": "failed", "reason": "there is no result"}
    return {"status": "ok", "own": own, "refused": judged.refused}


def _own_standard_output() -> TextIO:
    """Standard output for the answers alone: what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _requests() -> "queue.SimpleQueue[dict[str, str]]":
    """The requests; the process ends when no more can come."""
    requests: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            requests.put(json.loads(line))
        end_group(os.getpid())  # at once: nobody is there any more who could take an answer
        os._exit(0)

    threading.Thread(target=read, daemon=True, name="requests").start()
    return requests


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
