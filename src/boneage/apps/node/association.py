"""Associations that cannot fill the memory or hold a thread for ever.

pynetdicom reads a PDU of any length that its header claims, keeps a data set of any length until
its last fragment has come, and waits for ever for the rest of a PDU. A peer that is broken, or
means it, could take the node down so. Here each of the three has a bound.
"""

import contextlib
import socket
import socketserver
from typing import Any, cast

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from boneage.apps.node.settings import Limits

__all__ = ["BoundedServer", "BoundedSocket", "bounded_handler"]

_COMMAND_BYTES = 65_536
"""Command sets have a few hundred bytes (PS3.7 annex E)."""

_ASSOCIATION_PDU_BYTES = 1_048_576
"""Association PDUs are not bound by the maximum length (PS3.8 annex D.1): 128 presentation contexts
with 40 transfer syntaxes each need about 400 kB.
"""

_INVALID_PDU = "Evt19"
"""The event of PS3.8 table 9-9 that makes the state machine abort the association."""


class BoundedServer(ThreadedAssociationServer):
    """A server that can stop listening while its associations go on."""

    def stop_listening(self) -> None:
        """Close the port. pynetdicom's own ``shutdown`` is for servers that an AE has started."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()


class BoundedSocket(AssociationSocket):
    """The socket of an association, taken over when the association has been made."""

    def __init__(self, made: AssociationSocket, most_bytes: int) -> None:
        # Not its own __init__: that would tell the state machine of a second connection.
        self.__dict__.update(made.__dict__)
        self._most_bytes = most_bytes

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, unless a PDU cannot be that long."""
        if nr_bytes > self._most_bytes:
            raise OSError("PDU too long")  # pynetdicom closes the connection
        connection = cast(socket.socket, self.socket)
        content = bytearray(nr_bytes)
        view, got = memoryview(content), 0
        while got < nr_bytes:
            count = connection.recv_into(view[got:])
            if not count:
                break
            got += count
        view.release()
        del content[got:]
        return content

    def cut(self) -> None:
        """End the connection, also for a thread that waits for the rest of a PDU."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class _BoundedProvider(DIMSEServiceProvider):
    """Puts messages together, and drops what is over the limit of an instance.

    A data set that is too long is kept up to one byte over the limit: so it can be told to be too
    long when its end has come, and be answered with the status for it.
    """

    def __init__(self, assoc: Any, most_bytes: int) -> None:
        super().__init__(assoc)
        self._most_bytes = most_bytes
        self._command_bytes = self._dataset_bytes = 0

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take a fragment of a message."""
        # pynetdicom says that these are tuples, and takes lists alone.
        cast(Any, primitive).presentation_data_value_list = [
            [context, self._kept(fragment)]
            for context, fragment in primitive.presentation_data_value_list
        ]
        # More than one unanswered message was not agreed on (PS3.7 annex D.3.3.3): they would pile
        # up in memory.
        if self._command_bytes > _COMMAND_BYTES or self.msg_queue.qsize() > 1:
            self.dul.event_queue.put(_INVALID_PDU)
            return
        super().receive_primitive(primitive)

    def _kept(self, fragment: bytes) -> bytes:
        """What is kept of a fragment, whose first byte is its header (PS3.8 annex E.2)."""
        is_command, is_last = fragment[0] & 1, fragment[0] & 2
        if is_command:
            self._command_bytes += len(fragment)
            if is_last and self._command_bytes <= _COMMAND_BYTES:
                self._command_bytes = self._dataset_bytes = 0
            return fragment
        room = self._most_bytes + 1 - self._dataset_bytes
        kept = fragment[: 1 + max(room, 0)]
        self._dataset_bytes += len(kept) - 1
        return kept


def bounded_handler(limits: Limits) -> type[RequestHandler]:
    """The class that makes associations with these limits."""

    class Handler(RequestHandler):
        def _create_association(self) -> Any:
            cast(socket.socket, self.request).settimeout(limits.timeout_s)
            assoc = super()._create_association()
            made = cast(AssociationSocket, assoc.dul.socket)
            # 6 bytes of header come before a PDU's length; a peer that goes by the maximum is never
            # over it.
            assoc.dul.socket = BoundedSocket(made, max(limits.pdu_bytes, _ASSOCIATION_PDU_BYTES))
            assoc.dimse = _BoundedProvider(assoc, limits.instance_bytes)
            return assoc

    return Handler
