"""Receiving: C-STORE and C-ECHO, and who is refused what.

Success is answered when the instance is on the disk, never before. A refusal has the status of
PS3.4 table B.2-1 and a comment that says why; nothing of the instance stays, and the sender may
try again. The data set is not looked into here: a damaged one costs its own work later, in a
process of its own, and nothing of the receiving.
"""

import contextlib
import logging
import threading
import time
from typing import Any, cast

from pydicom import uid as uids
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta

from boneage.apps.node.association import BoundedServer, BoundedSocket, bounded_handler
from boneage.apps.node.counters import Counters
from boneage.apps.node.queue import Queue
from boneage.apps.node.queue_rows import Arrival
from boneage.apps.node.settings import Limits, NodeSettings
from boneage.errors import OutputError

__all__ = ["Receiver"]

_LOG = logging.getLogger("boneage.node")

_VERIFICATION = "1.2.840.10008.1.1"
_SUCCESS = 0x0000
_OUT_OF_RESOURCES = 0xA700
_CANNOT_UNDERSTAND = 0xC000

_STORAGE = (
    uids.ComputedRadiographyImageStorage,
    uids.DigitalXRayImageStorageForPresentation,
    uids.DigitalXRayImageStorageForProcessing,
    uids.SecondaryCaptureImageStorage,
)
_TRANSFER_SYNTAXES = [
    uids.ExplicitVRLittleEndian,
    uids.ImplicitVRLittleEndian,
    uids.DeflatedExplicitVRLittleEndian,
    uids.ExplicitVRBigEndian,
    uids.JPEGBaseline8Bit,
    uids.JPEGExtended12Bit,
    uids.JPEGLossless,
    uids.JPEGLosslessSV1,
    uids.JPEGLSLossless,
    uids.JPEGLSNearLossless,
    uids.JPEG2000Lossless,
    uids.JPEG2000,
    uids.RLELossless,
]

_ARRIVALS = {
    Arrival.NEW: "received",
    Arrival.KNOWN: "duplicates",
    Arrival.OTHER: "conflicts",
    Arrival.OWN: "returned",
}


class Receiver:
    """Listens until it is closed."""

    def __init__(self, settings: NodeSettings, queue: Queue, counters: Counters) -> None:
        """Open the port.

        Args:
            settings: The node's.
            queue: Where instances go.
            counters: Where they are counted.

        Raises:
            OutputError: The port cannot be opened.
        """
        self._limits, self._queue, self._counters = settings.limits, queue, counters
        self._rates = _Rates(settings.limits)
        self._ae = AE(ae_title=settings.ae_title)
        self._ae.require_called_aet = True
        self._ae.require_calling_aet = list(settings.allow)
        self._ae.maximum_associations = settings.limits.associations
        self._ae.maximum_pdu_size = settings.limits.pdu_bytes
        self._ae.acse_timeout = self._ae.dimse_timeout = settings.limits.timeout_s
        self._ae.network_timeout = settings.limits.timeout_s
        self._ae.add_supported_context(_VERIFICATION)
        for storage in _STORAGE:
            self._ae.add_supported_context(storage, _TRANSFER_SYNTAXES)
        try:
            self._server: Any = self._ae.make_server(
                (settings.host, settings.port),
                evt_handlers=[
                    (evt.EVT_C_STORE, self._store),
                    (evt.EVT_REJECTED, self._count, ["rejected_associations"]),
                    (evt.EVT_ABORTED, self._count, ["broken_associations"]),
                ],
                server_class=BoundedServer,
                request_handler=bounded_handler(settings.limits),
            )
        except OSError as error:
            raise OutputError(
                f"Cannot listen on {settings.host}:{settings.port}: {error.strerror or error}. "
                "Choose another --host or --port."
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="listening"
        )
        self._thread.daemon = True
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still listens."""
        return self._thread.is_alive()

    @property
    def associations(self) -> int:
        """How many associations are open."""
        return len(self._ae.active_associations)

    def close(self, grace_s: float) -> None:
        """Take no new associations, and let those that are open finish.

        Args:
            grace_s: How long they may take, in seconds; then they are aborted, and what was not
                acknowledged is the sender's to send again.
        """
        self._server.stop_listening()
        self._thread.join()
        end = time.monotonic() + grace_s
        while time.monotonic() < end:
            # A connection that was never agreed on has nothing to finish.
            if not any(open_.is_established for open_ in self._ae.active_associations):
                break
            time.sleep(0.02)
        for association in self._ae.active_associations:
            association.abort(block=False)
            if isinstance(association.dul.socket, BoundedSocket):
                association.dul.socket.cut()

    def _store(self, event: evt.Event) -> Dataset:
        requestor = event.assoc.requestor
        peer = f"{requestor.ae_title}@{requestor.address}"
        dataset = event.encoded_dataset(include_meta=False)
        if reason := self._reason_against(requestor.address, len(dataset)):
            return self._refusal(peer, reason)
        if not dataset:
            return self._refusal(peer, "no data set", _CANNOT_UNDERSTAND)
        uid = str(cast(C_STORE, event.request).AffectedSOPInstanceUID)
        head = b"\0" * 128 + b"DICM" + encode_file_meta(event.file_meta)  # PS3.10 section 7.1
        try:
            arrival = self._queue.put(uid, head, dataset)
        except OutputError as error:
            self._counters.add("disk_errors")
            _LOG.error("%s", error)
            return self._refusal(peer, "the disk does not take it")
        self._counters.add(_ARRIVALS[arrival])
        if arrival is Arrival.OTHER:
            _LOG.warning("%s sent other content under a UID that is known: not kept", _shown(peer))
        return _status(_SUCCESS)

    def _reason_against(self, address: str, size: int) -> str:
        """Why an instance is not taken; empty if it is."""
        if size > self._limits.instance_bytes:
            return f"larger than {self._limits.instance_mb} MB"
        if not self._rates.take(address):
            return f"more than {self._limits.per_minute} a minute"
        try:
            if self._queue.files.free_bytes() < self._limits.reserve_bytes + size:
                return "the disk is nearly full"
            if self._queue.waiting() >= self._limits.waiting:
                return "the queue is full"
        except (OSError, OutputError) as error:
            _LOG.error("%s", error)
            return "the queue cannot be read"
        return ""

    def _refusal(self, peer: str, reason: str, code: int = _OUT_OF_RESOURCES) -> Dataset:
        self._counters.add("refused_receipts")
        _LOG.warning("refused an instance of %s: %s", _shown(peer), reason)
        return _status(code, reason)

    def _count(self, event: evt.Event, kind: str) -> None:
        self._counters.add(kind)
        requestor = event.assoc.requestor
        # An AE title is not known if the association was never asked for.
        with contextlib.suppress(AttributeError):
            peer = f"{requestor.ae_title}@{requestor.address}"
            _LOG.warning("%s: %s", kind.replace("_", " "), _shown(peer))


class _Rates:
    """How many instances each address may still send: a bucket that fills with time.

    Not each AE title: a peer may call itself anything.
    """

    def __init__(self, limits: Limits) -> None:
        self._per_minute = limits.per_minute
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, address: str) -> bool:
        """Take one of a peer's, if it has one left."""
        if self._per_minute is None:
            return True
        now = time.monotonic()
        with self._lock:
            # A full bucket is as good as none: the peers of long ago take no memory.
            self._levels = {
                name: (level, then)
                for name, (level, then) in self._levels.items()
                if self._filled(level, now - then) < self._per_minute
            }
            level, then = self._levels.get(address, (self._per_minute, now))
            level = self._filled(level, now - then)
            taken = level >= 1
            self._levels[address] = (level - taken, now)
        return taken

    def _filled(self, level: float, seconds: float) -> float:
        most = float(self._per_minute or 0)
        return min(level + most * seconds / 60, most)


def _status(code: int, comment: str = "") -> Dataset:
    status = Dataset()
    status.Status = code
    if comment:
        status.ErrorComment = comment  # at most 64 characters (PS3.7 annex C)
    return status


def _shown(peer: str) -> str:
    """A name that a peer gave itself, fit for a line of a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in peer)[:80]
