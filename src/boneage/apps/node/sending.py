"""Sending: results go to the archive by C-STORE, again and again until it has taken them.

What is marked as sent has been taken. A node that is killed between the two sends the same
instances once more; they have the same SOP Instance UIDs, so an archive keeps them once.
"""

import logging
import threading

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from boneage.apps.node.counters import Counters
from boneage.apps.node.queue import Delivery, Queue
from boneage.apps.node.settings import NodeSettings
from boneage.apps.node.threads import NodeThread
from boneage.errors import OutputError

__all__ = ["Sender"]

_LOG = logging.getLogger("boneage.node")

_LOOK_SECONDS = 0.5
_TIDY_ROUNDS = 240

_TAKEN = {0x0000, 0xB000, 0xB006, 0xB007}
"""Success, and the warnings with which an archive keeps an instance (PS3.4 table B.2-1)."""


class Sender(NodeThread):
    """Sends what is answered, in a thread, until it is stopped."""

    def __init__(
        self,
        settings: NodeSettings,
        queue: Queue,
        counters: Counters,
        answered: threading.Event,
        stop: threading.Event,
    ) -> None:
        """Start sending.

        Args:
            settings: The node's.
            queue: Where results come from.
            counters: Where they are counted.
            answered: Is set when there is something to send.
            stop: When this is set, the instance that is being sent is the last one.
        """
        # The bytes of the file go out as they are.
        _config.STORE_SEND_CHUNKED_DATASET = True
        self._settings, self._queue, self._counters = settings, queue, counters
        self._answered = answered
        self._ae = AE(ae_title=settings.ae_title)
        seconds = settings.limits.timeout_s
        self._ae.acse_timeout = self._ae.dimse_timeout = seconds
        self._ae.network_timeout = self._ae.connection_timeout = seconds
        self._failures = 0
        super().__init__("sending", stop)

    @property
    def reachable(self) -> bool:
        """Whether the last association with the archive came about and held."""
        return not self._failures

    def _run(self) -> None:
        rounds = 0
        while not self._stop.is_set():
            try:
                deliveries = self._queue.due()
                if deliveries and not self._send(deliveries):
                    self._failures += 1
                    self._counters.add("failed_connections")
                    self._stop.wait(self._settings.retries.pause_s(self._failures))
                elif not deliveries:
                    self._answered.wait(_LOOK_SECONDS)
                    self._answered.clear()
                rounds += 1
                if rounds % _TIDY_ROUNDS == 0:
                    self._queue.tidy(self._settings.remember_days)
            except OutputError as error:
                self._counters.add("disk_errors")
                _LOG.error("%s", error)
                self._stop.wait(self._settings.retries.pause_s(3))

    def _send(self, deliveries: list[Delivery]) -> bool:
        """Send what is due over one association; False if it did not come about or broke."""
        peer = self._settings.send_to
        try:
            association = self._ae.associate(
                peer.host, peer.port, contexts=_contexts(deliveries), ae_title=peer.ae_title
            )
        except OSError:  # its name has no address, for now
            association = None
        if association is None or not association.is_established:
            if not self._failures:
                _LOG.warning("%s cannot be reached, or does not accept: trying again", peer)
            return False
        if self._failures:
            _LOG.info("%s can be reached again", peer)
        try:
            for delivery in deliveries:
                if self._stop.is_set():
                    break
                status = self._send_one(association, delivery)
                pause = self._settings.retries.pause_s(delivery.tries + 1)
                if status is None:
                    # Others go first next time, in case that it was this one that broke it.
                    self._queue.postpone(delivery, pause)
                    _LOG.warning("the association with %s broke: trying again", peer)
                    return False
                self._failures = 0
                if status in _TAKEN:
                    self._queue.sent(delivery)
                    self._counters.add("sent")
                else:
                    self._queue.postpone(delivery, pause)
                    self._counters.add("failed_sends")
                    name = delivery.key[:12]
                    _LOG.warning("%s: not taken, status 0x%04X; again in %g s", name, status, pause)
        finally:
            if association.is_established:
                association.release()
        return True

    def _send_one(self, association: Association, delivery: Delivery) -> int | None:
        """Send the results of one instance; the first status that is a failure, or the last.

        Returns:
            The status, or None if the association broke.
        """
        status = 0
        for file in delivery.files:
            try:
                answer = association.send_c_store(file)
            except ValueError:  # the archive did not accept the presentation context
                status = 0x0122  # SOP class not supported (PS3.7 annex C)
            except RuntimeError:  # the association ended before
                return None
            else:
                if "Status" not in answer:
                    return None
                status = int(answer.Status)
            if status not in _TAKEN:
                break
        return status


def _contexts(deliveries: list[Delivery]) -> list[PresentationContext]:
    """A presentation context for each kind of result, as it is encoded in its file."""
    kinds = set()
    for delivery in deliveries:
        for file in delivery.files:
            meta = read_file_meta_info(file)
            kinds.add((str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)))
    return [build_context(storage, syntax) for storage, syntax in sorted(kinds)]
