"""Connections whose callers do not send all, or do not take all: each ends, and by itself."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from api_tools import ApiServer, wait_for

from boneage.apps.web.connections import Patience, connection_class
from boneage.apps.web.settings import Limits

BODY = b"Content-Length: 1000000\r\n\r\n"
UNREAD = {
    "no form": (b"POST /api/v1/predictions HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BODY, 415),
    "other name": (b"POST /api/v1/predictions HTTP/1.1\r\nHost: x\r\n" + BODY, 421),
    "not read": (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BODY, 200),
    "nowhere": (b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BODY, 404),
    "chunks": (
        b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
        404,
    ),
}


def connected(url: str) -> socket.socket:
    parts = httpx.URL(url)
    return socket.create_connection((parts.host, parts.port or 80), timeout=30)


def head(connection: socket.socket) -> bytes:
    """What comes until the first answer is there."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65_536)
        assert piece, got
        got += piece
    return got.partition(b"\r\n\r\n")[0].lower()


def test_a_body_that_is_never_finished_ends_its_connection(api: ApiServer) -> None:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connected(str(api.http.base_url))) for _ in UNREAD]
        for connection, (said, status) in zip(opened, UNREAD.values(), strict=True):
            connection.sendall(said)
            answer = head(connection)
            assert answer.startswith(f"http/1.1 {status} ".encode())
            assert answer.count(b"connection: close") == 1
        for connection in opened:
            wait_for(lambda connection=connection: takes_nothing(connection))


def takes_nothing(connection: socket.socket) -> bool:
    """Whether the other end is gone, after one more byte."""
    try:
        connection.sendall(b"x")
    except ConnectionError:
        return True
    return False


def test_a_caller_that_breaks_off_is_no_fault(api: ApiServer) -> None:
    for _ in range(50):
        with connected(str(api.http.base_url)) as connection:
            # Without lingering, closing resets the connection.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(UNREAD["other name"][0])
    assert api.http.get("/health").status_code == 200
    assert "unexpected" not in api.log


def test_an_answer_that_comes_early_is_not_lost(api: ApiServer) -> None:
    with connected(str(api.http.base_url)) as connection:
        connection.sendall(UNREAD["other name"][0])
        with contextlib.suppress(ConnectionError):
            for _ in range(15):
                connection.sendall(bytes(65_536))
        assert head(connection).startswith(b"http/1.1 421 ")


def test_a_body_that_was_read_leaves_its_connection_open(api: ApiServer, hand: Path) -> None:
    assert "connection" not in api.predict(hand).headers
    said = b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx"
    with connected(str(api.http.base_url)) as connection:
        for _ in range(2):
            connection.sendall(said)
            assert b"connection: close" not in head(connection)


def test_two_lengths_are_the_last_request(api: ApiServer) -> None:
    said = (
        b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    )
    with connected(str(api.http.base_url)) as connection:
        connection.sendall(said)
        got = b""
        with contextlib.suppress(ConnectionError):
            got = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert got.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in got.lower()


async def large(_scope: Any, _receive: Any, send: Any) -> None:
    """An app whose answer fits into no buffer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(30_000_000)})


@contextlib.contextmanager
def served(app: Callable[..., Any], patience: Patience) -> Iterator[tuple[uvicorn.Server, str]]:
    """A server in a thread, and its address."""
    config = uvicorn.Config(
        app, http=connection_class(Limits(), patience), lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
        )
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_an_answer_that_nobody_takes_is_dropped() -> None:
    with served(large, Patience(stalled_s=0.3)) as (server, url), connected(url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.server_state.total_requests)
        wait_for(lambda: not server.server_state.connections)


def test_an_answer_that_is_taken_slowly_is_not() -> None:
    with served(large, Patience(stalled_s=1)) as (server, url), connected(url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        count = 0
        pause = threading.Event()
        while count < 30_000_000:
            piece = connection.recv(3_000_000)
            assert piece
            count += len(piece)
            pause.wait(0.1)
        assert server.server_state.connections
