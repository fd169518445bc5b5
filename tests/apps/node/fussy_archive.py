"""An archive that answers C-STORE with the statuses of its command line, then with Success.

python fussy_archive.py PORT SOP_CLASS [STATUS ...] prints a line for each request of that class.
Where it takes reports, it takes sheets as well, without a word.
"""

import sys

from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage
from pynetdicom import AE, evt


def main() -> None:
    port, storage, statuses = int(sys.argv[1]), sys.argv[2], [int(text, 0) for text in sys.argv[3:]]

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPClassUID != storage:
            return 0
        status = statuses.pop(0) if statuses else 0
        print(f"{event.request.AffectedSOPInstanceUID} 0x{status:04X}", flush=True)
        return status

    entity = AE("ARCHIVE")
    entity.add_supported_context(storage)
    if storage == ComprehensiveSRStorage:
        entity.add_supported_context(SecondaryCaptureImageStorage)
    entity.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])


if __name__ == "__main__":
    main()
